"""Scripts by themselves, given what they cannot use: one clear sentence, exit status 2, nothing half-written."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPOSITORY

from infoplane.specs import ActivationsSpec, DataSpec, MeasuresSpec, Plugin, TrainSpec

ACTIVATIONS = ActivationsSpec(["*.z"], "float32", {}, {}, 64, 0)
LARGEST_FILE = {"data": 16_384, "train": 16_384, "activations": 16_384, "measures": 512}
"""Bytes: less than each stage's output."""


def run(name: str, *arguments: object, largest_file: int = 0) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, from another folder; a limit on file sizes stands in for a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / f"{name}.py"), *map(str, arguments)],
        cwd="/",
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        preexec_fn=limit if largest_file else None,
        capture_output=True,
        text=True,
    )


class Pipeline:
    """One tiny run, script by script."""

    def __init__(self, folder: Path, train_spec: TrainSpec) -> None:
        self.folder, self.train_spec = folder, train_spec

    def path(self, name: str) -> Path:
        return self.folder / name

    def data(self, **options: object) -> subprocess.CompletedProcess[str]:
        spec = DataSpec(Plugin("digits"), held_out=300, validation=100, train=500, seed=0)
        outputs = [
            x
            for name in ("train", "validation", "held_out")
            for x in (f"--{name.replace('_', '-')}", self.path(f"{name}.parquet"))
        ]
        return run("data", "--spec", spec.to_json(), "--folder", self.folder, *outputs, **options)  # type: ignore[arg-type]

    def train(self, device: str = "cpu", **options: object) -> subprocess.CompletedProcess[str]:
        arguments = ["--train", self.path("train.parquet"), "--validation", self.path("validation.parquet")]
        arguments += ["--checkpoints", self.path("c.safetensors"), "--history", self.path("h.parquet")]
        arguments += ["--state", self.path("state"), "--device", device]
        return run("train", "--spec", self.train_spec.to_json(), *arguments, **options)  # type: ignore[arg-type]

    def activations(self, device: str = "cpu", **options: object) -> subprocess.CompletedProcess[str]:
        arguments = ["--checkpoints", self.path("c.safetensors"), "--train", self.path("train.parquet")]
        arguments += [
            "--held-out",
            self.path("held_out.parquet"),
            "--output",
            self.path("a.parquet"),
            "--device",
            device,
        ]
        return run("activations", "--spec", ACTIVATIONS.to_json(), *arguments, **options)  # type: ignore[arg-type]

    def measures(self, device: str = "cpu", **options: object) -> subprocess.CompletedProcess[str]:
        arguments = ["--activations", self.path("a.parquet"), "--held-out", self.path("held_out.parquet")]
        arguments += ["--output", self.path("m.parquet"), "--device", device]
        arguments += ["--architecture", "mlp", "--shortcut", "identity", "--seed", 0, "--family", "linear"]
        return run("measures", "--spec", MeasuresSpec(Plugin("linear")).to_json(), *arguments, **options)  # type: ignore[arg-type]


STAGES = {
    "data": ("train.parquet",),
    "train": ("c.safetensors", "h.parquet"),
    "activations": ("a.parquet",),
    "measures": ("m.parquet",),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("pipeline")}


@pytest.fixture
def pipeline(made: dict[str, Path], train_spec: Callable[..., TrainSpec]) -> Pipeline:
    """A pipeline whose every stage has been run."""
    pipeline = Pipeline(made["folder"], train_spec("mlp"))
    for stage, outputs in STAGES.items():
        if not pipeline.path(outputs[0]).exists():
            done = getattr(pipeline, stage)()
            assert done.returncode == 0, done.stderr
    return pipeline


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a script said as it gave up."""
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if not re.match(r"waiting|.*\d+/\d+ in \d+ s$", line)]
    assert len(said) == 1 and said[0].startswith("error: "), done.stderr
    return said[0]


def copy_without(pipeline: Pipeline, folder: Path, *outputs: str) -> Pipeline:
    """The same files in another folder, without some."""
    for path in pipeline.folder.glob("*.*"):
        if path.is_file() and path.name not in outputs:
            (folder / path.name).write_bytes(path.read_bytes())
    return Pipeline(folder, pipeline.train_spec)


@pytest.mark.parametrize("stage", STAGES)
def test_full_disk(stage: str, pipeline: Pipeline, tmp_path: Path) -> None:
    outputs = ("train.parquet", "validation.parquet", "held_out.parquet") if stage == "data" else STAGES[stage]
    other = copy_without(pipeline, tmp_path, *outputs)
    before = set(tmp_path.glob("*.*"))
    done = getattr(other, stage)(largest_file=LARGEST_FILE[stage])
    assert re.search(rf"no space left on the disk while writing {tmp_path}/\S+\.", refused(done))
    assert set(tmp_path.glob("*.*")) == before and not list(tmp_path.rglob("*.part"))
    assert getattr(other, stage)().returncode == 0


@pytest.mark.parametrize("stage", ["train", "activations", "measures"])
def test_no_gpu_where_one_is_demanded(stage: str, pipeline: Pipeline, tmp_path: Path) -> None:
    other = copy_without(pipeline, tmp_path, *STAGES[stage])
    assert "GPU" in refused(getattr(other, stage)(device="cuda"))
    assert not any(other.path(name).exists() for name in STAGES[stage])


@pytest.mark.parametrize(
    ("stage", "damaged"),
    [
        ("train", "train.parquet"),
        ("train", "validation.parquet"),
        ("activations", "c.safetensors"),
        ("activations", "held_out.parquet"),
        ("measures", "a.parquet"),
        ("measures", "held_out.parquet"),
    ],
)
@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_damaged_input(stage: str, damaged: str, how: str, pipeline: Pipeline, tmp_path: Path) -> None:
    other = copy_without(pipeline, tmp_path, *STAGES[stage])
    if how == "missing":
        other.path(damaged).unlink()
    else:
        other.path(damaged).write_bytes(other.path(damaged).read_bytes()[:-200])
    said = refused(getattr(other, stage)())
    assert damaged in said
    assert not any(other.path(name).exists() for name in STAGES[stage])


def test_files_of_another_run_or_of_other_data(pipeline: Pipeline, tmp_path: Path) -> None:
    """Whole files, but not those that are meant."""
    other = copy_without(pipeline, tmp_path, "m.parquet", "a.parquet")
    meant = replace(pipeline.train_spec, seed=9).to_json()
    reads = ["--checkpoints", other.path("c.safetensors"), "--train", other.path("train.parquet")]
    reads += ["--held-out", other.path("held_out.parquet"), "--output", tmp_path / "a.parquet"]
    said = refused(run("activations", "--spec", ACTIVATIONS.to_json(), "--run", meant, *reads))
    assert "c.safetensors is of another run or experiment (seed is 0, not 9): delete it and run the workflow" in said
    reads = ["--activations", pipeline.path("a.parquet"), "--held-out", other.path("held_out.parquet")]
    reads += ["--architecture", "mlp", "--shortcut", "identity", "--seed", 9, "--family", "linear"]
    spec = MeasuresSpec(Plugin("linear")).to_json()
    said = refused(run("measures", "--spec", spec, "--run", meant, *reads, "--output", tmp_path / "m.parquet"))
    assert "a.parquet is of another run or experiment (seed is 0, not 9)" in said
    split = DataSpec(Plugin("digits"), held_out=300, validation=100, train=500, seed=1)
    outputs = [
        x
        for name in ("train", "validation", "held_out")
        for x in (f"--{name.replace('_', '-')}", other.path(f"{name}.parquet"))
    ]
    assert run("data", "--spec", split.to_json(), "--folder", tmp_path, *outputs).returncode == 0
    assert "c.safetensors was trained on other data than those in" in refused(other.activations())


def test_a_spec_that_is_none(pipeline: Pipeline, tmp_path: Path) -> None:
    other = copy_without(pipeline, tmp_path)
    arguments = ["--train", other.path("train.parquet"), "--validation", other.path("validation.parquet")]
    arguments += ["--checkpoints", tmp_path / "x", "--history", tmp_path / "y", "--state", tmp_path / "s"]
    assert "not JSON" in refused(run("train", "--spec", "{", *arguments))
    assert "TrainSpec" in refused(run("train", "--spec", "{}", *arguments))


def test_unwritable_folder(pipeline: Pipeline, tmp_path: Path) -> None:
    other = copy_without(pipeline, tmp_path)
    (tmp_path / "file").write_text("in the way")
    arguments = ["--checkpoints", other.path("c.safetensors"), "--train", other.path("train.parquet")]
    arguments += ["--held-out", other.path("held_out.parquet"), "--output", tmp_path / "file" / "a.parquet"]
    assert "cannot write" in refused(run("activations", "--spec", ACTIVATIONS.to_json(), *arguments, "--device", "cpu"))

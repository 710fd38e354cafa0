"""An experiment archived, unpacked elsewhere, and rerun there: it comes to the same, to the bit."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from workflow import Workflow, job_counts, tiny

from infoplane import checkout

CLAIM = {"quantity": "start", "of": "half", "expected": "greater", "sentence": "It starts high.", "provenance": "ours"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """One small network, its histogram and a claim, run to the end and archived."""
    config = tiny() | {
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"half": {"kind": "scaled"}},
        "measures": {"linear": None},
        "charts": {"contrast": None},
        "claims": {"high": CLAIM},
        "phases": {"resamples": 100, "nulls": 0},
        "reconstructions": {"images": 0},
        "histograms": {"bins": 4, "checkpoints": 2},
        "results": "made",
    }
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("made"), config)
    for path in checkout.files(REPOSITORY):
        if not (workflow.root / path).exists():
            (workflow.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / path, workflow.root / path)
    (workflow.root / "said").write_text(workflow.snakemake("archive").stdout)
    return workflow


def said_by(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command that ends well prints."""
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def archive(workflow: Workflow) -> Path:
    return workflow.root / "made" / "tiny" / "archive" / "tiny.zip"


def test_the_archive_is_made_and_nothing_is_left_to_do(made: Workflow) -> None:
    assert made.pending("archive") == {}
    assert f"archive: {archive(made)}" in (made.root / "said").read_text()
    with zipfile.ZipFile(archive(made)) as packed:
        names = {name.removeprefix("tiny/") for name in packed.namelist()}
    results = [path for path in (made.root / "made" / "tiny").rglob("*") if path.is_file()]
    inside = {name for name in names if name.startswith("archived/") and not name.startswith("archived/config/")}
    shown = ("tables", "phases", "verdicts", "charts", "histograms", "report.html")
    wanted = (path.relative_to(made.root / "made" / "tiny") for path in results)
    assert inside == {f"archived/{path.as_posix()}" for path in wanted if path.parts[0] in shown}
    assert "archived/config/experiment.yaml" in names


def test_made_again_it_is_the_same_bytes(made: Workflow) -> None:
    before = archive(made).read_bytes()
    archive(made).unlink()
    made.snakemake("archive")
    assert archive(made).read_bytes() == before


@pytest.mark.parametrize("name", ["README.md", "experiment.yaml", "src/infoplane/models/architectures/vit.py"])
def test_an_edit_of_what_it_contains_makes_it_alone_stale(made: Workflow, name: str) -> None:
    path = made.root / name
    before = path.read_bytes()
    path.write_bytes(before + b"\n# a comment\n")
    try:
        assert made.pending("archive") == {"archive": 1}
    finally:
        path.write_bytes(before)


def test_unpacked_elsewhere_it_runs_again_and_comes_to_the_same(made: Workflow, tmp_path: Path) -> None:
    """By `make run`, with an environment that is installed already."""
    with zipfile.ZipFile(archive(made)) as packed:
        packed.extractall(tmp_path)
    folder = tmp_path / "tiny"
    environment = made.environment()
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / "installed").touch()

    planned = said_by([sys.executable, "-m", "snakemake", "-n", "--cores", "2"], folder, environment)
    every = (
        "data",
        "train",
        "activations",
        "measures",
        "histograms",
        "tables",
        "phases",
        "verdicts",
        "charts",
        "report",
    )
    assert job_counts(planned) == dict.fromkeys((*every, "all"), 1) | {"total": 11}

    ran = said_by(["make", "--no-print-directory", "run"], folder, environment)
    first, *_, last = ran.splitlines()
    assert first == "1. Install into .venv, unless that is done: about a minute, and more where the network is slow."
    assert last == f"report: {folder}/results/tiny/report.html" and "Phases of the last block" in ran

    compared = said_by([sys.executable, "-m", "infoplane.archive"], folder, environment | {"PYTHONPATH": "src"})
    lines = dict(line.split("  ", 1) for line in compared.splitlines())
    said = {name: text.strip() for name, text in lines.items()}
    assert said.pop("files of the archive").endswith("as they were archived")
    assert {said.pop(f"{stage}/") for stage in ("activations", "measures", "train")} == {
        "1 of 1 files the same, to the bit"
    }
    assert said.pop("data/") == "3 of 3 files the same, to the bit"
    assert len(said) == 10 and set(said.values()) == {"the same, to the bit"}
    for table in ("measures", "history"):
        name = f"tables/{table}.parquet"
        assert (folder / "results/tiny" / name).read_bytes() == (made.root / "made/tiny" / name).read_bytes()


def test_the_configuration_in_it_is_complete(made: Workflow) -> None:
    with zipfile.ZipFile(archive(made)) as packed:
        found = yaml.safe_load(packed.read("tiny/config/config.yaml"))
    assert found["results"] == "results"
    assert found["shortcuts"] == {"half": {"kind": "scaled", "alpha": 0.5}}
    assert os.fspath(made.root) not in str(found)

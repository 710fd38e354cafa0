"""The measures job: one tidy file per run and family, from activations as they are written."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import REPOSITORY

from infoplane import registry
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.measures import job
from infoplane.measures.subject import Subject
from infoplane.specs import MeasuresSpec, Plugin
from infoplane.testing.measures import made_up

CPU = torch.device("cpu")
RUN = {"architecture": "resnet", "shortcut": "identity", "seed": 3}
FAMILIES = [name for name in registry.names("measure") if registry.reads("measure", name) == ("activations",)]
DECODERS = ("linear", "kernel")


def spec(family: str, **options: Any) -> MeasuresSpec:
    return MeasuresSpec(Plugin(family, options))


def measure(which: MeasuresSpec, activations: Path, held_out: Path, output: Path) -> None:
    labels = RUN | {"family": which.family.kind}
    job.measure(which, Subject(held_out, CPU, activations), output, labels)


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_measures_every_site_at_every_step(family: str, splits: dict[str, Path], tmp_path: Path) -> None:
    activations = made_up(tmp_path / "a.parquet")
    measure(spec(family), activations, splits["held_out"], tmp_path / "m.parquet")
    frame = pl.read_parquet(tmp_path / "m.parquet")
    assert frame.height == 2 * 4 * 2
    first = frame.row(0, named=True)
    assert (first["step"], first["epoch"], first["site"], first["part"], first["depth"]) == (0, 0.0, "stem", "z", 0)
    assert (first["n"], first["d"], first["unit"], first["reference"]) == (60, 6, "nmse", 1.0)
    missing = frame.filter(pl.col("value").is_null())
    assert missing.select("step", "site", "part", "note").unique().rows() == [(4, "block1", "f", "non-finite")]


def test_identical_activations_are_measured_once(
    splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = registry.load("measure", "linear")
    honest, calls = linear.estimate, []

    def counting(*args: Any) -> Any:
        calls.append(args)
        return honest(*args)

    monkeypatch.setattr(linear, "estimate", counting)
    activations = made_up(tmp_path / "a.parquet")
    measure(spec("linear"), activations, splits["held_out"], tmp_path / "m.parquet")
    assert len(calls) == 2 * 3
    frame = pl.read_parquet(tmp_path / "m.parquet").filter(step=0)
    stem, shortcut = (frame.filter(site=site, part=part) for site, part in (("stem", "z"), ("block1", "s")))
    assert stem["value"].to_list() == shortcut["value"].to_list()
    assert frame.filter(site="block1", part="z")["value"].to_list() != stem["value"].to_list()


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("at_once", [2, 100])
def test_activations_measured_side_by_side(
    family: str, at_once: int, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activations = made_up(tmp_path / "a.parquet", steps=(0, 4, 9))
    measure(spec(family), activations, splits["held_out"], tmp_path / "alone.parquet")
    module = registry.load("measure", family)
    takes = module.footprint(torch.zeros(60, 6), module.Options())
    monkeypatch.setitem(job.TOGETHER, "cpu", int(at_once * takes))
    groups, honest = [], job.side_by_side

    def counting(tasks: Any) -> Any:
        groups.append(len(tasks))
        return honest(tasks)

    monkeypatch.setattr(job, "side_by_side", counting)
    measure(spec(family), activations, splits["held_out"], tmp_path / "together.parquet")
    alone, together = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("alone", "together"))
    keys = ["step", "site", "part", "measure"]
    assert together.select(keys).equals(alone.select(keys))
    for name in ("value", "stderr", "extrapolated"):
        assert np.allclose(together[name].to_numpy(), alone[name].to_numpy(), atol=1e-4, equal_nan=True)
    assert max(groups) == min(at_once, 9) if at_once == 100 else max(groups) == 2
    assert sum(groups) == 9  # three sites differ at each of three steps


def test_the_input_is_what_the_network_sees(splits: dict[str, Path]) -> None:
    split = read_split(splits["train"])
    x = split.as_read("x")
    assert x.shape == (300, 1, 8, 8) and abs(x.mean()) < 1e-5 and abs(x.std() - 1) < 1e-5


def test_files_that_do_not_belong_together(splits: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "m.parquet"
    activations = made_up(tmp_path / "a.parquet", n=50)
    with pytest.raises(UserError, match=r"holds 50 samples at step 0, .*held_out\.parquet holds 60"):
        measure(spec("linear"), activations, splits["held_out"], output)
    with pytest.raises(UserError, match="holds no activations"):
        measure(spec("linear"), splits["held_out"], splits["held_out"], output)
    with pytest.raises(UserError, match="missing"):
        measure(spec("linear"), tmp_path / "none.parquet", splits["held_out"], output)
    with pytest.raises(UserError, match="61 cross-validation folds"):
        whole = made_up(tmp_path / "b.parquet")
        measure(spec("linear", folds=61), whole, splits["held_out"], output)
    assert not output.exists()


def test_the_script(splits: dict[str, Path], tmp_path: Path) -> None:
    activations = made_up(tmp_path / "a.parquet")
    command = [sys.executable, REPOSITORY / "scripts" / "measures.py", "--spec", spec("linear").to_json()]
    command += ["--activations", activations, "--held-out", splits["held_out"], "--output", tmp_path / "m.parquet"]
    command += [
        "--architecture",
        "resnet",
        "--shortcut",
        "identity",
        "--seed",
        "3",
        "--family",
        "linear",
        "--device",
        "cpu",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "m.parquet").filter(**RUN).height == 16
    (tmp_path / "m.parquet").unlink()
    activations.write_bytes(activations.read_bytes()[:-100])
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "not a complete Parquet file" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "m.parquet").exists()


def test_measuring_imports_nothing_of_the_workflow() -> None:
    modules = ["infoplane.measures.job", *(f"infoplane.measures.families.{name}" for name in FAMILIES)]
    heavy = ["pydantic", "polars", "altair", "snakemake", "sklearn"]
    code = f"import sys, {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

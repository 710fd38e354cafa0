"""The small experiments on points, spectra, pictures and sound: by how much their networks beat the trivial answer."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from data_sources import paths

from infoplane.config.load import Plan, load
from infoplane.data.prepare import prepare
from infoplane.storage.parquet import read_rows
from infoplane.testing.histories import wide


def plan_of(name: str) -> Plan:
    text = (REPOSITORY / "config" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8")
    return load(yaml.safe_load(text))


def trained(plan: Plan, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last row of the first run's history and its metadata, as the workflow's own script makes them."""
    run = next(run for run in plan.runs if run.shortcut == "identity")
    prepare(plan.data, folder, paths(folder))
    spec = plan.train_spec(run.architecture, run.shortcut, run.seed)
    command = [sys.executable, str(REPOSITORY / "scripts" / "train.py"), "--spec", spec.to_json(), "--device", "cpu"]
    for name in ("train", "validation"):
        command += [f"--{name}", str(paths(folder)[name])]
    for name in ("checkpoints", "history", "state"):
        command += [f"--{name}", str(folder / name)]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    table, about = read_rows(folder / "history")
    return wide(table.to_pylist())[-1], about


MARGINS = [
    ("blobs_smoke", "accuracy", 0.5),
    ("keywords_smoke", "accuracy", 0.5),
    ("superres_smoke", "psnr", 1.0),
    ("separation_smoke", "si_sdr_improvement", 3.0),
]
"""Experiment, its task's first metric, and by how much a network must beat the trivial answer."""


@pytest.mark.parametrize(("name", "metric", "margin"), MARGINS, ids=[name for name, *_ in MARGINS])
def test_a_network_learns(name: str, metric: str, margin: float, tmp_path: Path) -> None:
    plan = plan_of(name)
    last, about = trained(plan, tmp_path)
    assert plan.metric.name == metric and about["metrics"][0]["name"] == metric
    assert last["step"] == plan.config.training.steps
    assert last[f"validation_{metric}"] > about["trivial"][metric] + margin
    assert plan.metric.is_learned(last[f"validation_{metric}"], about["trivial"][metric])


def test_which_fields_are_read_and_answered() -> None:
    found = {}
    for name, *_ in MARGINS:
        plan = plan_of(name)
        found[name] = {key: (one.shape, one.axes, one.dtype) for key, one in plan.fields.items()}
    assert found == {
        "blobs_smoke": {"x": ((2,), "d", "float32"), "y": ((), "", "int64")},
        "keywords_smoke": {"x": ((1, 20, 32), "cft", "float32"), "y": ((), "", "int64")},
        "superres_smoke": {
            "x": ((1, 4, 4), "chw", "float32"),
            "y": ((1, 8, 8), "chw", "uint8"),
            "digit": ((), "", "int64"),
        },
        "separation_smoke": {"x": ((1, 128), "ct", "float32"), "y": ((2, 128), "ct", "float32")},
    }

"""The example package of the docs, built and installed with pip beside infoplane, away from the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import REPOSITORY
from workflow import GARBAGE, Workflow, tiny

from infoplane import plugin_files
from infoplane.testing.measures import made_up, splits

EXAMPLE = REPOSITORY / "docs" / "example-package"
PLUGINS = {"architecture": "bottleneck", "measure": "norm", "task": "smooth_labels"}


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages, installed from wheels."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "infoplane"
    for part in ("src", "pyproject.toml", "README.md", "LICENSE"):
        if (REPOSITORY / part).is_dir():
            shutil.copytree(REPOSITORY / part, source / part, ignore=GARBAGE)
        else:
            shutil.copy(REPOSITORY / part, source / part)
    shutil.copytree(EXAMPLE, folder / "example", ignore=GARBAGE)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "wheels", source, folder / "example")
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["infoplane", "infoplane_extras"]
    pip("install", "--no-deps", "--no-index", "--target", folder / "site", *wheels)
    return folder / "site"


def run(site: Path, folder: Path, *arguments: str) -> str:
    """What Python prints in a folder outside the checkout, with what is installed in ``site``."""
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", plugin_files.VARIABLE: ""}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("role", PLUGINS)
def test_its_plugins_are_held_to_the_rules(role: str, site: Path, tmp_path: Path) -> None:
    module = f"infoplane_extras.{PLUGINS[role]}"
    code = (
        f"import infoplane, {module} as plugin; from infoplane.testing import check_plugin\n"
        f"check_plugin({role!r}, plugin); print(infoplane.__file__)"
    )
    assert run(site, tmp_path, "-c", code).strip() == str(site / "infoplane" / "__init__.py")


def test_its_measure_runs_through_infoplanes_own_command(site: Path, tmp_path: Path) -> None:
    held_out = splits(tmp_path)["held_out"]
    activations = made_up(tmp_path / "activations.parquet")
    arguments = [str(activations), "--held-out", str(held_out), "--x", "x", "--y", "y"]
    said = run(
        site, tmp_path, "-m", "infoplane.measures", *arguments, "--family", "norm", "--output", "measures.parquet"
    )
    found = pl.read_parquet(tmp_path / "measures.parquet")
    assert set(found["family"]) == {"norm"} and "values in measures.parquet" in said
    assert found["value"].is_null().sum() == 1, "the branch overflows at one step"
    assert found.filter(pl.col("value").is_not_null())["value"].is_between(0.8, 1.1).all(), "of normal numbers"


def test_an_experiment_of_its_plugins_alone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow finds them installed; no file of the checkout is changed."""
    extras = tmp_path / "extras"
    extras.mkdir()
    for part in site.glob("infoplane_extras*"):
        shutil.copytree(part, extras / part.name)
    workflow = Workflow.copy_to(
        tmp_path / "checkout",
        tiny()
        | {
            "task": {"kind": "smooth_labels", "smoothing": 0.2},
            "architectures": {"bottleneck": {"width": 8, "blocks": 2}},
            "measures": {"linear": None, "norm": None},
        },
    )
    environment = workflow.environment() | {"PYTHONPATH": str(extras)}
    done = subprocess.run(workflow.command(), cwd=workflow.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(workflow.results / "tables" / "measures.parquet")
    assert set(found["family"]) == {"linear", "norm"} and set(found["architecture"]) == {"bottleneck"}
    assert (workflow.results / "report.html").is_file()

"""The workflow's promises: which jobs a run has, which rerun after which change, and that nothing is lost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import REPOSITORY
from workflow import SNAKEMAKE, Workflow, job_counts, tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The tiny experiment with one of its architectures, run to the end."""
    config = tiny() | {"architectures": {"resnet": {"width": 2, "blocks": 1}}}
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("workflow"), config)
    workflow.snakemake()
    return workflow


@pytest.fixture
def workflow(finished: Workflow) -> Iterator[Workflow]:
    """The finished experiment; whatever a test edits is put back, and then nothing may be stale."""
    before = {path: path.read_bytes() for path in tracked(finished.root)}
    yield finished
    for path in set(tracked(finished.root)) - set(before):
        path.unlink()
    for path, content in before.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def tracked(root: Path) -> list[Path]:
    folders = ("workflow", "scripts", "src", "config", "profiles")
    found = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    return [root / "Snakefile", root / "experiment.yaml", *(p for p in found if "__pycache__" not in p.parts)]


def edit(workflow: Workflow, **changes: Any) -> None:
    workflow.write(workflow.read() | changes)


def test_job_counts_of_the_demo() -> None:
    """3 architectures x 3 shortcuts, six seeds in one job, one measure family, five charts, one seed's pictures."""
    said = subprocess.run(
        [*SNAKEMAKE, "-n", "--cores", "2", "--forceall"],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    ).stdout
    assert job_counts(said) == {
        "all": 1, "data": 1, "train_stack": 9, "activations_stack": 9, "measures_stack": 9,
        "reconstructions": 9, "histograms": 9, "tables": 1, "phases": 1, "charts": 5, "animation": 1, "report": 1,
        "total": 56,
    }  # fmt: skip


def test_everything_is_made_and_nothing_is_left_to_do(workflow: Workflow) -> None:
    results = workflow.results
    for chart in ("information_plane", "dynamics"):
        for kind in ("html", "svg", "pdf", "png", "json"):
            assert (results / "charts" / f"{chart}.{kind}").stat().st_size > 0
    assert (results / "report.html").stat().st_size > 0
    measures = pl.read_parquet(results / "tables" / "measures.parquet")
    assert set(measures["status"]) == {"finished"} and set(measures["measure"]) == {"zx", "zy"}
    assert measures.select("architecture", "shortcut", "seed", "family").unique().height == 4
    assert workflow.pending() == {}
    assert not list(results.rglob("*.part")) and not list((results / ".state").glob("*"))


def test_a_deleted_chart(workflow: Workflow) -> None:
    chart = workflow.results / "charts" / "dynamics.svg"
    content = chart.read_bytes()
    chart.unlink()
    assert workflow.pending() == {"charts": 1, "report": 1}
    workflow.snakemake()
    assert chart.read_bytes() == content


def test_partial_target_trains_nothing(workflow: Workflow) -> None:
    edit(workflow, seeds=[0, 1])
    assert set(workflow.pending("partial")) == {"tables", "phases", "charts", "report"}
    workflow.snakemake("partial")
    measures = pl.read_parquet(workflow.results / "partial" / "tables" / "measures.parquet")
    missing = measures.filter(pl.col("status") == "missing")
    assert set(missing["seed"]) == {1} and set(measures.filter(pl.col("status") == "finished")["seed"]) == {0}
    assert workflow.pending("partial") == {}
    assert workflow.pending()["train"] == 2


def test_report_archive(workflow: Workflow) -> None:
    workflow.snakemake("--report", "report.zip")
    assert (workflow.root / "report.zip").stat().st_size > 0


def test_a_job_that_fails_ends_with_its_sentence(tmp_path: Path) -> None:
    images = {"kind": "image_parquet", "path": "cut/*.parquet", "classes": 10, "channels": 1, "side": 8}
    workflow = Workflow.copy_to(
        tmp_path / "copy", tiny() | {"data": images | {"train": 120, "held_out": 50, "validation": 40}}
    )
    (workflow.root / "cut").mkdir()
    (workflow.root / "cut" / "0.parquet").write_bytes(b"PAR1")
    done = workflow.snakemake(check=False)
    assert done.returncode == 1
    assert "logs/data.log: error: cut/0.parquet is not a complete Parquet file" in done.stdout
    lines = done.stdout.splitlines()
    place = lines.index("failed: Split the images of image_parquet")
    assert lines[place + 1].startswith("    error: cut/0.parquet is not a complete Parquet file")
    assert lines[place + 2] == "  its log: results/tiny/logs/data.log"
    assert "Traceback" not in done.stdout and "python " not in done.stdout, "no command either"
    assert not (workflow.results / "data" / "train.parquet").exists()


def test_a_wrong_key_is_one_sentence(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", tiny() | {"sedes": [1]})
    done = workflow.snakemake(check=False)
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if "profile" not in line]
    assert said == ["error: experiment.yaml: sedes: unknown key: did you mean 'seeds'?"]
    assert not workflow.results.exists()

"""The workflow's promises: which jobs a run has, which rerun after which change, and that nothing is lost."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import REPOSITORY
from workflow import SNAKEMAKE, Workflow, job_counts, tiny

TABLES = ("measures.parquet", "history.parquet")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The tiny experiment, run to the end."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("workflow"), tiny())
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


def append(workflow: Workflow, path: str, text: str = "\nEXTRA = 1\n") -> None:
    with (workflow.root / path).open("a") as file:
        file.write(text)


AFTER = {"tables": 1, "phases": 1, "charts": 2, "report": 1}
PICTURES = {"reconstructions": 4, "histograms": 4}
HALF_OF_THEM = {"reconstructions": 2, "histograms": 2}


def test_job_counts_of_the_demo() -> None:
    """3 architectures x 3 shortcuts x 2 seeds, two measure families, five charts; pictures of the first seed."""
    said = subprocess.run(
        [*SNAKEMAKE, "-n", "--cores", "2", "--forceall"],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    ).stdout
    assert job_counts(said) == {
        "all": 1, "data": 1, "train": 18, "activations": 18, "measures": 36,
        "reconstructions": 9, "histograms": 9, "tables": 1, "phases": 1, "charts": 5, "animation": 1, "report": 1,
        "total": 101,
    }  # fmt: skip


def test_everything_is_made_and_nothing_is_left_to_do(workflow: Workflow) -> None:
    results = workflow.results
    for chart in ("information_plane", "dynamics"):
        for kind in ("html", "svg", "pdf", "png", "json"):
            assert (results / "charts" / f"{chart}.{kind}").stat().st_size > 0
    assert (results / "report.html").stat().st_size > 0
    measures = pl.read_parquet(results / "tables" / "measures.parquet")
    assert set(measures["status"]) == {"finished"} and set(measures["measure"]) == {"zx", "zy"}
    assert measures.select("architecture", "shortcut", "seed", "family").unique().height == 8
    assert workflow.pending() == {}
    assert not list(results.rglob("*.part")) and not list((results / ".state").glob("*"))


# --- staleness: mutate one thing, assert exactly which rules rerun


def test_new_seed(workflow: Workflow) -> None:
    edit(workflow, seeds=[0, 1])
    assert workflow.pending() == {"train": 4, "activations": 4, "measures": 8, **AFTER}


def test_new_shortcut(workflow: Workflow) -> None:
    edit(
        workflow,
        shortcuts={"identity": None, "projection": None, "frozen": {"kind": "projection", "init": "orthogonal"}},
    )
    assert workflow.pending() == {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}


def test_one_architectures_width(workflow: Workflow) -> None:
    edit(workflow, architectures={"mlp": {"width": 9, "blocks": 1}, "resnet": {"width": 2, "blocks": 1}})
    assert workflow.pending() == {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}


def test_one_architectures_training(workflow: Workflow) -> None:
    architectures = workflow.read()["architectures"]
    architectures["mlp"]["training"] = {"learning_rate": 0.01}
    edit(workflow, architectures=architectures)
    assert workflow.pending() == {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}


def test_a_measures_parameter(workflow: Workflow) -> None:
    edit(workflow, measures={"linear": None, "kernel": {"folds": 4}})
    assert workflow.pending() == {"measures": 4, **AFTER}


def test_what_is_read_out(workflow: Workflow) -> None:
    edit(workflow, activations={"dtype": "float16"})
    assert workflow.pending() == {"activations": 4, "measures": 8, **PICTURES, **AFTER}


def test_the_split(workflow: Workflow) -> None:
    edit(workflow, data=workflow.read()["data"] | {"split_seed": 1})
    assert workflow.pending() == {"data": 1, "train": 4, "activations": 4, "measures": 8, **PICTURES, **AFTER}


def test_a_charts_option_and_the_order_of_keys(workflow: Workflow) -> None:
    edit(workflow, charts={"dynamics": None, "information_plane": {"family": "linear"}})
    assert workflow.pending() == {"charts": 1, "report": 1}


def test_a_claims_sentence(workflow: Workflow) -> None:
    claim = {"quantity": "start", "of": "identity", "versus": "projection", "expected": "less", "provenance": "ours"}
    edit(workflow, claims={"lower": claim | {"sentence": "It starts lower."}})
    assert workflow.pending() == {"verdicts": 1, "report": 1}


def test_what_changes_no_result(workflow: Workflow) -> None:
    edit(workflow, device="auto", slots=3, disk={"budget": 50})
    append(workflow, "experiment.yaml", "# a comment\n")
    assert workflow.pending() == {}


def test_a_measures_code(workflow: Workflow) -> None:
    append(workflow, "src/infoplane/measures/families/kernel.py")
    assert workflow.pending() == {"measures": 4, "reconstructions": 4, **AFTER}


def test_an_architectures_code(workflow: Workflow) -> None:
    append(workflow, "src/infoplane/models/architectures/resnet.py")
    assert workflow.pending() == {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}


def test_a_shortcuts_code(workflow: Workflow) -> None:
    append(workflow, "src/infoplane/models/shortcuts/projection.py")
    assert workflow.pending() == {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}


def test_the_training_loops_code(workflow: Workflow) -> None:
    append(workflow, "src/infoplane/training/run.py")
    assert workflow.pending() == {"train": 4, "activations": 4, "measures": 8, **PICTURES, **AFTER}


def test_a_charts_code(workflow: Workflow) -> None:
    append(workflow, "src/infoplane/charts/gallery/dynamics.py")
    assert workflow.pending() == {"charts": 1, "report": 1}


def test_code_that_nothing_here_uses(workflow: Workflow) -> None:
    for path in ("models/architectures/vit.py", "models/shortcuts/gated.py", "devices.py", "config/schema.py"):
        append(workflow, f"src/infoplane/{path}", "\n# a comment\n")
    assert workflow.pending() == {}


def test_touched_but_not_changed(workflow: Workflow) -> None:
    for path in tracked(workflow.root):
        path.touch()
    assert workflow.pending() == {}


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
    assert workflow.pending()["train"] == 4


def test_report_archive(workflow: Workflow) -> None:
    workflow.snakemake("--report", "report.zip")
    assert (workflow.root / "report.zip").stat().st_size > 0


# --- killed in any stage


def tables(workflow: Workflow) -> dict[str, bytes]:
    return {name: (workflow.results / "tables" / name).read_bytes() for name in TABLES}


def processes(root: Path, script: str) -> list[int]:
    """Process ids of running jobs of a script that belong to this copy."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.fsencode(root / "scripts" / f"{script}.py") in arguments:
            found.append(int(folder.name))
    return found


STAGES = ("data", "train", "activations", "measures", "tables", "phases", "charts", "report")


def one_run() -> dict[str, Any]:
    """The tiny experiment with a single run, one chart and no pictures: every stage is there to be killed."""
    few = {"charts": {"contrast": None}, "reconstructions": {"images": 0}, "histograms": {"bins": 0}}
    return tiny() | {"architectures": {"resnet": {"width": 2, "blocks": 1}}, "shortcuts": {"none": None}} | few


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of that run."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("undisturbed"), one_run())
    workflow.snakemake()
    return tables(workflow)


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_in_every_stage_then_the_same_tables(stage: str, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """Kill Snakemake and its jobs while one of the stage's jobs runs; the next call ends with the same bits."""
    workflow = Workflow.copy_to(tmp_path / "copy", one_run())
    if stage in STAGES[2:]:  # what comes before may be done already
        before = STAGES[STAGES.index(stage) - 1]
        workflow.snakemake("--until", before)
    running = subprocess.Popen(
        workflow.command(),
        cwd=workflow.root,
        env=workflow.environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not processes(workflow.root, stage) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.poll() is None, f"no job of {stage} was seen"
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    while processes(workflow.root, stage) and time.monotonic() < deadline:
        time.sleep(0.01)
    workflow.snakemake("--unlock")
    workflow.snakemake()
    assert tables(workflow) == undisturbed
    assert workflow.pending() == {} and not list(workflow.results.rglob("*.part"))


def test_a_killed_job_alone_leaves_the_others_done(finished: Workflow, tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", tiny())
    running = subprocess.Popen(
        workflow.command("--keep-going"),
        cwd=workflow.root,
        env=workflow.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not (victims := processes(workflow.root, "train")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victims[0], signal.SIGKILL)
    running.communicate()
    assert running.returncode != 0
    pictures = {"reconstructions": 1, "histograms": 1}
    assert workflow.pending() == {"train": 1, "activations": 1, "measures": 2, **pictures, **AFTER}
    workflow.snakemake()
    assert tables(workflow) == tables(finished)


def test_a_job_that_fails_ends_with_its_sentence(tmp_path: Path) -> None:
    images = {"kind": "image_parquet", "path": "nowhere/*.parquet", "classes": 10, "channels": 1, "side": 8}
    workflow = Workflow.copy_to(
        tmp_path / "copy", tiny() | {"data": images | {"train": 120, "probe": 50, "validation": 40}}
    )
    done = workflow.snakemake(check=False)
    assert done.returncode == 1
    assert "logs/data.log: error: data set 'image_parquet': no file matches nowhere/*.parquet" in done.stdout
    assert not (workflow.results / "data" / "train.parquet").exists()


def test_a_wrong_key_is_one_sentence(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", tiny() | {"sedes": [1]})
    done = workflow.snakemake(check=False)
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if "profile" not in line]
    assert said == ["error: experiment.yaml: sedes: unknown key: did you mean 'seeds'?"]
    assert not workflow.results.exists()

"""Pictures in the workflow: one seed of each network, rerun by what concerns them, and by nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from workflow import Workflow, job_counts, tiny

from infoplane.config.load import load
from infoplane.storage.parquet import read_rows

RUN = "mlp/identity/seed1"
TARGETS = [f"results/tiny/{path}" for path in (f"reconstructions/{RUN}.parquet", f"histograms/{RUN}.parquet")]
TABLE = "results/tiny/tables/measures.parquet"


def experiment(**changes: Any) -> dict[str, Any]:
    """One architecture and shortcut, of which one seed is trained."""
    small = {"architectures": {"mlp": {"width": 8, "blocks": 1}}, "shortcuts": {"identity": None}, "seeds": [1]}
    return tiny() | small | {"measures": {"kernel": None}, "charts": {"contrast": None}} | changes


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("pictures"), experiment())
    workflow.snakemake(*TARGETS, TABLE)
    return workflow


@pytest.fixture
def workflow(finished: Workflow) -> Iterator[Workflow]:
    """The finished pictures and table; what a test edits is put back."""
    yield finished
    finished.write(experiment())


def test_the_files_say_what_they_are_of(workflow: Workflow) -> None:
    for path in TARGETS:
        table, about = read_rows(workflow.root / path)
        assert table.num_rows > 0
        assert (about["architecture"], about["shortcut"], about["seed"]) == ("mlp", "identity", 1)
    assert workflow.pending(*TARGETS, TABLE) == {}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"reconstructions": {"images": 3}}, {"reconstructions": 1}),
        ({"reconstructions": {"checkpoints": 2}}, {"reconstructions": 1}),
        ({"histograms": {"bins": 12}}, {"histograms": 1}),
        ({"measures": {"kernel": {"folds": 4}}}, {"measures": 1, "tables": 1}),
        ({"measures": {"kernel": {"bandwidths": [1.0]}}}, {"measures": 1, "reconstructions": 1, "tables": 1}),
        (
            {"activations": {"dtype": "float16"}},
            {"activations": 1, "measures": 1, "reconstructions": 1, "histograms": 1, "tables": 1},
        ),
    ],
)
def test_what_a_change_reruns(changes: dict[str, Any], rules: dict[str, int], workflow: Workflow) -> None:
    workflow.write(experiment(**changes))
    assert workflow.pending(*TARGETS, TABLE) == rules


def test_the_code_of_a_picture_reruns_it_alone(workflow: Workflow) -> None:
    source = workflow.root / "src/infoplane/measures/histograms.py"
    before = source.read_text()
    source.write_text(before + "\nEXTRA = 1\n")
    try:
        assert workflow.pending(*TARGETS, TABLE) == {"histograms": 1}
    finally:
        source.write_text(before)


def planned(workflow: Workflow, **changes: Any) -> dict[str, int]:
    workflow.write(experiment(**changes))
    return job_counts(workflow.snakemake("-n", "--forceall").stdout)


def test_one_seed_of_every_architecture_and_shortcut(workflow: Workflow) -> None:
    jobs = planned(workflow, seeds=[1, 0], shortcuts={"identity": None, "none": None})
    assert (jobs["train"], jobs["reconstructions"], jobs["histograms"]) == (4, 2, 2)


def test_nothing_is_made_where_none_are_asked_for(workflow: Workflow) -> None:
    jobs = planned(workflow, reconstructions={"images": 0})
    assert "reconstructions" not in jobs and jobs["histograms"] == 1
    jobs = planned(workflow, histograms={"bins": 0})
    assert "histograms" not in jobs and jobs["reconstructions"] == 1


def test_the_partial_target_makes_none(workflow: Workflow) -> None:
    """It trains nothing, and activations that are out of date would have to be trained for."""
    workflow.write(experiment(training=experiment()["training"] | {"steps": 7}))
    assert not {"train", "activations", "reconstructions", "histograms"} & set(workflow.pending("partial"))


def test_the_plan_takes_the_decoder_that_is_measured() -> None:
    plan = load(experiment(measures={"wide": {"kind": "kernel", "bandwidths": [4.0], "extrapolate": False}}))
    assert plan.reconstructions is not None and plan.reconstructions.decoder["bandwidths"] == [4.0]
    assert not {"folds", "extrapolate"} & set(plan.reconstructions.decoder)
    plan = load(experiment(measures={"linear": None}, histograms={"bins": 0}))
    assert plan.reconstructions is not None and plan.reconstructions.decoder["screen"] == 150
    assert plan.histograms is None
    assert load(experiment(reconstructions={"images": 0})).reconstructions is None


def test_a_script_refuses_what_is_no_activation(finished: Workflow, tmp_path: Path) -> None:
    """In one sentence, and leaves nothing behind."""
    held_out = finished.results / "data" / "held_out.parquet"
    for rule, spec in (
        ("reconstructions", '{"images":2,"checkpoints":2,"decoder":{}}'),
        ("histograms", '{"bins":4,"checkpoints":2}'),
    ):
        output = tmp_path / f"{rule}.parquet"
        command = [sys.executable, str(REPOSITORY / "scripts" / f"{rule}.py"), "--spec", spec, "--device", "cpu"]
        command += ["--held-out", str(held_out), "--activations", str(held_out), "--output", str(output)]
        command += ["--architecture", "mlp", "--shortcut", "identity", "--seed", "1"]
        said = subprocess.run(command, text=True, capture_output=True)
        assert said.returncode != 0
        assert said.stderr.strip().splitlines()[-1].startswith(f"error: {held_out} holds no activations")
        assert not output.exists()

"""Seeds trained side by side, as the workflow sees it: one job, one addressable result per seed, what becomes stale."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from workflow import Workflow, tiny

from infoplane.storage.checkpoints import CheckpointFile

AFTER = {"tables": 1, "phases": 1, "charts": 1, "report": 1}
PICTURES = {"reconstructions": 2, "histograms": 2}
"""Of the first seed of each network."""


def experiment() -> dict[str, Any]:
    """Two architectures, of which one is trained as a stack of two seeds."""
    return tiny() | {
        "architectures": {
            "mlp": {"width": 8, "blocks": 1, "training": {"stack_seeds": True}},
            "resnet": {"width": 2, "blocks": 1},
        },
        "shortcuts": {"none": None},
        "seeds": [0, 1],
        "measures": {"linear": None},
        "charts": {"plane": {"kind": "information_plane"}},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The experiment, trained; what comes after training is only planned."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("stacked"), experiment())
    workflow.snakemake("--until", "train", "train_stack")
    return workflow


@pytest.fixture
def workflow(finished: Workflow) -> Iterator[Workflow]:
    """The same; what a test edits is put back."""
    files = [finished.config, *(finished.root / "src").rglob("*.py")]
    before = {path: path.read_bytes() for path in files}
    yield finished
    for path, content in before.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def edit(workflow: Workflow, **changes: Any) -> None:
    workflow.write(workflow.read() | changes)


STAGES = ("train", "activations", "measures")
LEFT = {"activations": 2, "activations_stack": 1, "measures": 2, "measures_stack": 1, **PICTURES, **AFTER}


def test_every_seed_has_its_own_result(workflow: Workflow) -> None:
    assert workflow.pending() == LEFT
    for seed in (0, 1):
        folder = workflow.results / "train" / "mlp" / "none" / f"seed{seed}"
        about = CheckpointFile(folder / "checkpoints.safetensors").metadata
        assert about["spec"]["seed"] == seed and about["stacked_seeds"] == [0, 1]
        assert pl.read_parquet(folder / "history.parquet")["step"].max() == 6
    assert (workflow.results / "logs" / "train_stack" / "mlp" / "none.log").exists()
    solo = workflow.results / "train" / "resnet" / "none" / "seed1" / "checkpoints.safetensors"
    assert "stacked_seeds" not in CheckpointFile(solo).metadata
    assert not list(workflow.results.rglob("*.part")) and not list((workflow.results / ".state").glob("*"))


def test_a_fresh_run_has_one_training_job_per_stack(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", experiment())
    assert workflow.pending() == {"data": 1, "train": 2, "train_stack": 1, **LEFT}


def test_a_new_seed_trains_the_stacks_anew_and_the_others_alone(workflow: Workflow) -> None:
    edit(workflow, seeds=[0, 1, 2])
    found = workflow.pending()
    solo, stacks = ({f"{stage}{kind}": count for stage in STAGES} for kind, count in (("", 3), ("_stack", 1)))
    assert found == solo | stacks | {"train": 1} | PICTURES | AFTER


def test_a_new_shortcut_leaves_the_stacks_that_are_there(workflow: Workflow) -> None:
    edit(workflow, shortcuts={"none": None, "gated": None})
    pictures = {"reconstructions": 4, "histograms": 4}
    solo, stacks = ({f"{stage}{kind}": count for stage in STAGES} for kind, count in (("", 4), ("_stack", 2)))
    assert workflow.pending() == solo | stacks | {"train": 2, "train_stack": 1} | pictures | AFTER


def test_code_of_stacks_concerns_no_solo_run(workflow: Workflow) -> None:
    with (workflow.root / "src" / "infoplane" / "training" / "stack.py").open("a") as file:
        file.write("\nEDITED = 1\n")
    found = workflow.pending()
    assert found["train_stack"] == 1 and "train" not in found


def test_the_training_loop_concerns_both(workflow: Workflow) -> None:
    with (workflow.root / "src" / "infoplane" / "training" / "run.py").open("a") as file:
        file.write("\nEDITED = 1\n")
    found = workflow.pending()
    assert (found["train_stack"], found["train"]) == (1, 2)


def test_networks_that_cannot_be_stacked_are_refused_before_anything_runs(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", experiment() | {"training": {"stack_seeds": True}})
    resnet = workflow.root / "src" / "infoplane" / "models" / "architectures" / "resnet.py"
    resnet.write_text(resnet.read_text() + 'UNSTACKABLE = "its members talk to each other"\n')
    done = workflow.snakemake("-n", check=False)
    assert done.returncode != 0
    assert (
        "error: experiment.yaml: architectures.resnet: training.stack_seeds: networks with the architecture 'resnet' "
        "cannot learn side by side (its members talk to each other): leave stack_seeds false."
    ) in done.stdout


def test_networks_with_batchnorm_are_one_job_too(tmp_path: Path) -> None:
    resnet = {"resnet": {"width": 2, "blocks": 1}}
    config = experiment() | {"training": tiny()["training"] | {"stack_seeds": True}, "architectures": resnet}
    workflow = Workflow.copy_to(tmp_path / "copy", config)
    workflow.snakemake("--until", "train_stack")
    for seed in (0, 1):
        folder = workflow.results / "train" / "resnet" / "none" / f"seed{seed}"
        about = CheckpointFile(folder / "checkpoints.safetensors").metadata
        assert about["stacked_seeds"] == [0, 1] and about["status"] == "finished"
    left = {"activations_stack": 1, "measures_stack": 1, "reconstructions": 1, "histograms": 1, **AFTER}
    assert workflow.pending() == left


def test_all_seeds_of_a_stack_are_measured_in_one_job(workflow: Workflow) -> None:
    """Each seed has a file of its own; an option reruns that measure alone; a lost file comes from the shelf."""
    edit(workflow, measures={"linear": None, "gradients": None})
    workflow.snakemake("--until", "measures", "measures_stack")
    folder = workflow.results / "measures" / "mlp" / "none"
    for seed in (0, 1):
        for family in ("linear", "gradients"):
            rows = pl.read_parquet(folder / f"seed{seed}" / f"{family}.parquet")
            assert set(rows["seed"]) == {seed} and rows["value"].null_count() < rows.height
    assert (workflow.results / "logs" / "measures_stack" / "mlp" / "none" / "linear.log").exists()
    stacked = {seed: (folder / f"seed{seed}" / "linear.parquet").read_bytes() for seed in (0, 1)}
    edit(workflow, measures={"linear": {"folds": 4}, "gradients": None})
    assert workflow.pending() == {"measures": 2, "measures_stack": 1, **PICTURES, **AFTER}
    edit(workflow, measures={"linear": None, "gradients": None})
    for path in folder.rglob("*.parquet"):
        path.unlink()
    assert workflow.pending()["measures_stack"] == 2
    workflow.snakemake("--until", "measures", "measures_stack")
    assert {seed: (folder / f"seed{seed}" / "linear.parquet").read_bytes() for seed in (0, 1)} == stacked

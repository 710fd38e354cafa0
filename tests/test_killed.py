"""Killed in any stage, the next call ends with the same bits, and nothing half-written is left."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from workflow import Workflow, tiny

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
    return workflow.tables()


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_in_every_stage_then_the_same_tables(stage: str, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """Kill Snakemake and its jobs while one of the stage's jobs runs; the next call ends with the same bits."""
    workflow = Workflow.copy_to(tmp_path / "copy", one_run())
    if stage in STAGES[2:]:  # what comes before may be done already
        before = STAGES[STAGES.index(stage) - 1]
        workflow.snakemake("--until", before)
    running = workflow.start()
    deadline = time.monotonic() + 300
    while not workflow.processes(stage) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.poll() is None, f"no job of {stage} was seen"
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    while workflow.processes(stage) and time.monotonic() < deadline:
        time.sleep(0.01)
    workflow.snakemake("--unlock")
    workflow.snakemake()
    assert workflow.tables() == undisturbed
    assert workflow.pending() == {} and not list(workflow.results.rglob("*.part"))

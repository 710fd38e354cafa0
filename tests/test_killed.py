"""Killed in any stage, the next call ends with the same bits, and nothing half-written is left."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from staleness import AFTER
from workflow import Workflow, tiny

STAGES = ("data", "train", "activations", "measures", "tables", "phases", "charts", "report")


def two_runs() -> dict[str, Any]:
    """Two small networks, one measure, one chart and no pictures: every stage is there to be killed."""
    few = {"charts": {"contrast": None}, "reconstructions": {"images": 0}, "histograms": {"bins": 0}}
    one = {"architectures": {"resnet": {"width": 2, "blocks": 1}}, "measures": {"linear": None}}
    return tiny() | one | few


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of these runs."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("undisturbed"), two_runs())
    workflow.snakemake()
    return workflow.tables()


def first_job(workflow: Workflow, stage: str, deadline: float) -> int:
    """The process id of a job of this stage, as soon as one runs."""
    while time.monotonic() < deadline:
        if found := workflow.processes(stage):
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no job of {stage} was seen")


def test_kill_9_in_every_stage_then_the_same_tables(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """Kill Snakemake and its jobs while the first job of a stage runs, in one stage after the other."""
    workflow = Workflow.copy_to(tmp_path / "copy", two_runs())
    for stage in STAGES:
        deadline = time.monotonic() + 300
        running = workflow.start()
        first_job(workflow, stage, deadline)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        while workflow.processes(stage) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stage in workflow.pending("--nolock"), f"a killed job of {stage} is not taken for a finished one"
        workflow.snakemake("--unlock")
    workflow.snakemake()
    assert workflow.tables() == undisturbed
    assert workflow.pending() == {} and not list(workflow.results.rglob("*.part"))


def test_a_killed_job_alone_leaves_the_others_done(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", two_runs())
    running = workflow.start("--keep-going")
    os.kill(first_job(workflow, "train", time.monotonic() + 300), signal.SIGKILL)
    assert running.wait() != 0
    assert workflow.pending() == {"train": 1, "activations": 1, "measures": 1, **AFTER, "charts": 1}
    workflow.snakemake()
    assert workflow.tables() == undisturbed

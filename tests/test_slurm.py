"""The workflow on a real Slurm: a GPU for every job, the same bits as without it, and nothing lost when things die."""

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import GPU_NODES, Cluster, missing, overlapping, wait
from workflow import Workflow, tiny

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

HELD = """                while Path(f"hold{step}").exists() and not self.interrupted:
                    Path(f"held{step}").touch()
                    time.sleep(0.02)
                self._update(step)
"""
"""Training waits at a step while a file of this name is there, so that nothing here depends on how fast it is."""

FASTER = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def experiment() -> dict[str, Any]:
    """Two runs of one measure and one chart, each job with a GPU."""
    less = {
        "device": "auto",
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "measures": {"linear": None},
        "charts": {"information_plane": None},
        # Less work that has nothing to do with Slurm.
        "reconstructions": {"images": 0},
        "histograms": {"bins": 0},
        "animation": {"format": "none"},
    }
    return tiny() | less


def one_run() -> dict[str, Any]:
    return experiment() | {"shortcuts": {"identity": None}}


def copy_to(root: Path, config: dict[str, Any]) -> Workflow:
    made = Workflow.copy_to(root, config)
    # GPUs that exist in name only are leased, but cannot compute.
    replace(root / "src/infoplane/devices.py", "return torch.cuda.is_available()", "return False")
    replace(root / "src/infoplane/training/run.py", "                self._update(step)\n", HELD)
    return made


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@dataclass
class OnSlurm:
    """A copy of the workflow that runs on a cluster."""

    workflow: Workflow
    cluster: Cluster

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = self.workflow.command("--workflow-profile", "profiles/slurm", *FASTER, *arguments)
        with self.said.open("w") as said:
            return subprocess.Popen(
                command,
                cwd=self.workflow.root,
                env=self.cluster.environment | {"OMP_NUM_THREADS": "1"},
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                # A shell that starts these tests in the background makes all that they start deaf to Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def finish(self, running: subprocess.Popen[str], code: int = 0) -> str:
        """What it said, once it has ended with this code."""
        wait(lambda: running.poll() is not None, "the end of Snakemake", self.said.read_text)
        assert running.returncode == code, self.said.read_text()
        return self.said.read_text()

    @property
    def said(self) -> Path:
        return self.workflow.root / "said.txt"

    def hold(self, *steps: int) -> None:
        for step in steps:
            (self.workflow.root / f"hold{step}").touch()

    def release(self) -> None:
        for path in self.workflow.root.glob("hold*"):
            path.unlink()

    def is_held(self, step: int, running: subprocess.Popen[str]) -> None:
        """Return once a training waits at this step."""
        held = self.workflow.root / f"held{step}"
        wait(lambda: held.exists() or running.poll() is not None, f"training at step {step}", self.said.read_text)
        assert held.exists(), self.said.read_text()

    def jobs(self, state: str) -> list[tuple[str, str]]:
        """Number and node of each job of the cluster that is in this state."""
        return [(job["JobId"], job["NodeList"]) for job in self.cluster.jobs().values() if job["JobState"] == state]

    def running_job(self) -> tuple[str, str]:
        """The one job that runs."""
        (job,) = self.jobs("RUNNING")
        return job

    def training_log(self) -> str:
        """What the last attempt at the one training said."""
        (log,) = self.workflow.results.glob("logs/train/**/*.log")
        return log.read_text()


@dataclass
class Local:
    """What the same experiments give without Slurm."""

    both: dict[str, bytes]
    """The tables of the two runs."""
    one: dict[str, bytes]
    """The tables of one run."""
    checkpoints: bytes
    """Of that run."""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Local:
    workflow = copy_to(tmp_path_factory.mktemp("local"), experiment())
    workflow.snakemake("--until", "tables")
    both = workflow.tables()
    workflow.write(one_run())
    workflow.snakemake("--until", "tables")
    return Local(both, workflow.tables(), checkpoints(workflow))


def checkpoints(workflow: Workflow) -> bytes:
    return (workflow.results / "train/mlp/identity/seed0/checkpoints.safetensors").read_bytes()


def test_same_bits_and_a_gpu_for_every_job(cluster: Cluster, local: Local, tmp_path: Path) -> None:
    here = OnSlurm(copy_to(tmp_path / "copy", experiment()), cluster)
    here.hold(3)  # so that two trainings do run side by side
    running = here.start()
    here.is_held(3, running)
    wait(lambda: len(here.jobs("RUNNING")) == 2 or running.poll() is not None, "a second training beside it")
    here.release()
    here.finish(running)
    assert here.workflow.tables() == local.both
    assert (here.workflow.results / "report.html").stat().st_size > 0

    jobs, spans = cluster.jobs(), []
    rules = ("train", "activations", "measures")
    for log in (path for rule in rules for path in here.workflow.results.glob(f"logs/{rule}/**/*.log")):
        leased = re.search(r"leased GPU (\d) of (.*) \(slurm-(\d+)\.", log.read_text())
        assert leased, log.read_text()
        gpu, visible, number = leased.groups()
        assert visible == gpu, "the job saw GPUs that were not its own"
        node = jobs[number]["NodeList"]
        assert node in GPU_NODES
        spans.append((f"{node} {gpu}", jobs[number]["StartTime"], jobs[number]["EndTime"]))
    assert len(spans) == 6 and not overlapping(spans), spans
    assert len({device for device, _, _ in spans}) > 1


def test_cancelled_and_then_a_dead_node(cluster: Cluster, local: Local, tmp_path: Path) -> None:
    """A cancelled training is submitted again, and one whose node dies goes on elsewhere from its last state."""
    here = OnSlurm(copy_to(tmp_path / "copy", one_run()), cluster)
    here.hold(3, 5)  # a job that was told to end does so behind step 3, and its successor does not come there again
    running = here.start("--until", "train")
    here.is_held(3, running)
    first, _ = here.running_job()
    cluster.slurm("scancel", first)
    here.is_held(5, running)
    second, node = here.running_job()
    assert here.training_log().count("resumed at step ") == 1, here.training_log()
    cluster.kill_node(node)
    here.release()
    here.finish(running)
    jobs = cluster.jobs()
    assert jobs[first]["JobState"] == "CANCELLED" and jobs[second]["JobState"] == "NODE_FAIL"
    memory, again = (int(jobs[number]["MinMemoryNode"].rstrip("M")) for number in (first, second))
    assert again == 2 * memory and jobs[first]["TimeLimit"] < jobs[second]["TimeLimit"]
    resumed = re.search(r"leased GPU . of . \(slurm-(\d+)\..*resumed at step (\d+)", here.training_log(), re.DOTALL)
    assert resumed, here.training_log()
    assert jobs[resumed[1]]["NodeList"] in set(GPU_NODES) - {node} and int(resumed[2]) >= 4
    assert checkpoints(here.workflow) == local.checkpoints


def test_ctrl_c_cancels_and_kill_9_loses_nothing(cluster: Cluster, local: Local, tmp_path: Path) -> None:
    here = OnSlurm(copy_to(tmp_path / "copy", one_run()), cluster)
    here.hold(3, 4)
    running = here.start("--until", "tables")
    here.is_held(3, running)
    number, _ = here.running_job()
    running.send_signal(signal.SIGINT)
    here.finish(running, code=1)
    wait(lambda: not cluster.waiting_or_running(), "the end of what was submitted")
    assert cluster.jobs()[number]["JobState"] == "CANCELLED"

    running = here.start("--until", "tables")
    here.is_held(4, running)
    number, _ = here.running_job()
    running.kill()
    running.wait()
    assert cluster.jobs()[number]["JobState"] == "RUNNING"
    here.release()  # nobody watches it any more, and it ends all the same
    wait(lambda: not cluster.waiting_or_running(), "the end of the job that was left behind")
    assert cluster.jobs()[number]["JobState"] == "COMPLETED"
    here.workflow.snakemake("--unlock")
    here.finish(here.start("--until", "tables"))
    assert here.workflow.tables() == local.one

"""A real Slurm on this machine, for a test: one CPU node, and two nodes with two GPUs that exist in name only.

Nothing but Debian's packages ``munge slurmctld slurmd slurm-client`` is needed: no root, no systemd, no database.
Every file is below one folder, every port is a free one, and every process carries the path of the folder's
``slurm.conf`` in its environment, by which `Cluster.stop` finds and ends them all, jobs included.
"""

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from infoplane.devices import FOLDER

COMMANDS = ("srun", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
DAEMONS = ("munged", "slurmctld", "slurmd")
GPU_NODES = ("gpu1", "gpu2")
NODES = ("cpu1", *GPU_NODES)
DEVICE_FILES = ("/dev/null", "/dev/zero")
"""Slurm wants a character device of its own for each GPU of a node, and does not care which."""

DEADLINE_SECONDS = 600.0
"""Every Slurm job starts two Snakemakes, and this machine may be busy."""

DAEMON = "DAEMON_OF_TEST_NODE"
"""In the environment of a node's slurmd and of what it starts, jobs excepted: these have that of who submitted them."""

# linuxproc, no cgroups: these need no root. config_overrides: a node may have more cores than this machine.
# MinJobAge: how long squeue still knows a job that has ended. SlurmdTimeout is longer than any test, so that it is
# the test which says that a node is down. KillWait: how long a job may save its state after SIGTERM.
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
MinJobAge=600
SlurmdTimeout=3600
KillWait=30
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What this machine lacks for a Slurm of its own; empty where it has all."""
    programs = [name for name in (*DAEMONS, *COMMANDS) if not _program(name)]
    if programs:
        return f"no Slurm here, {programs[0]}: apt-get install munge slurmctld slurmd slurm-client"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "Snakemake's Slurm plug-in is not here: pip install -c constraints.txt -e '.[slurm]'"
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def wait(holds: Callable[[], object], what: str, show: Callable[[], str] = str) -> None:
    """Return once the condition holds; only a failing test waits to the end, and then shows this."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what}\n{show()}"
        time.sleep(0.1)


class Cluster:
    """One CPU node (``cpu1``) and two of two GPUs each (``gpu1``, ``gpu2``), all of them this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.daemons: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """For what is to use this cluster; jobs inherit it."""
        base = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "CUDA_"))}
        path = os.pathsep.join([str(self.folder / "bin"), base.get("PATH", os.defpath)])
        # Every cluster numbers its jobs from 1, and a lease on a GPU is named by the job.
        return base | {"SLURM_CONF": str(self.conf), "PATH": path, FOLDER: str(self.folder / "leases")}

    def start(self) -> None:
        """Bring it up, and return once every node is idle."""
        self._write()
        munge = [f"--{name}={self.folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._daemon("munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key", *munge)
        wait((self.folder / "munge.socket").exists, "munged")
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.conf))
        for node in NODES:
            self._daemon("slurmd", "-D", "-f", str(self.conf), "-N", node, **{DAEMON: node})
        wait(lambda: self.states().count("idle") == len(NODES), "a Slurm with three idle nodes", self.logs)

    def _write(self) -> None:
        for name in ("state", "bin", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(len(NODES) + 1)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in sockets]
        host = socket.gethostname().split(".")[0]
        # Work that needs no GPU goes to the CPU node first.
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=64000 "
            + ("Weight=9 Gres=gpu:fake:2" if node in GPU_NODES else "Weight=1")
            for node, port in zip(NODES, ports[1:], strict=True)
        ]
        values = {"host": host, "ports": ports, "user": getpass.getuser(), "folder": self.folder}
        self.conf.write_text(CONF.format(nodes="\n".join(nodes), **values))
        gpus = [f"NodeName={node} Name=gpu Type=fake File={file}\n" for node in GPU_NODES for file in DEVICE_FILES]
        (self.folder / "gres.conf").write_text("".join(gpus))
        # Snakemake's job step drops SLURM_CONF before it calls srun.
        for name in COMMANDS:
            script = self.folder / "bin" / name
            script.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {_program(name)} "$@"\n')
            script.chmod(0o755)

    def _daemon(self, name: str, *arguments: str, **environment: str) -> None:
        program = _program(name)
        assert program is not None
        with (self.folder / "daemons.log").open("ab") as log:
            started = subprocess.Popen(
                [program, *arguments],
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.daemons.append(started)

    def slurm(self, *command: str) -> str:
        """What a Slurm command says."""
        return subprocess.run(command, env=self.environment, text=True, capture_output=True, check=False).stdout

    def states(self) -> list[str]:
        """Of every node."""
        return self.slurm("sinfo", "-hN", "-o", "%T").split()

    def jobs(self) -> dict[str, dict[str, str]]:
        """All that Slurm knows of every job of this cluster, ended ones included, by the job's number."""
        records = self.slurm("scontrol", "show", "job", "-d", "-o").splitlines()
        return {found["JobId"]: found for found in map(_fields, records) if "JobId" in found}

    def waiting_or_running(self) -> list[str]:
        """The jobs that have not ended."""
        return self.slurm("squeue", "-h", "-t", "PD,R,CF,S,CG", "-o", "%i").split()

    def kill_node(self, node: str) -> None:
        """End everything that runs on it at once, as a power cut would, and tell Slurm that it is down."""
        # Slurm's own first, or they would still report that their job has failed.
        for mark in (f"{DAEMON}={node}", f"SLURMD_NODENAME={node}"):
            for pid in self._pids(mark):
                _kill(pid)
        self.slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def stop(self) -> None:
        """End every process of this cluster, jobs included; nothing of it is needed any more."""
        wait(self._killed, "the end of Slurm's processes")
        for daemon in self.daemons:
            daemon.wait()

    def _killed(self) -> bool:
        pids = self._pids()
        for pid in pids:
            _kill(pid)
        return not pids

    def logs(self) -> str:
        """The ends of the daemons' logs."""
        found = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in found)

    def _pids(self, *more: str) -> list[int]:
        """The processes of this cluster that have all of these in their environment."""
        wanted = {os.fsencode(text) for text in (f"SLURM_CONF={self.conf}", *more)}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or it is somebody else's
                if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.append(int(folder.name))
        return [pid for pid in found if pid != os.getpid()]


def _fields(record: str) -> dict[str, str]:
    return dict(re.findall(r"(\S+?)=(\S*)", record))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def overlapping(spans: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Of (device, start, end), those that begin on a device before the one before them has ended."""
    found, last = [], ("", "", "")
    for span in sorted(spans):
        if span[0] == last[0] and span[1] < last[2]:
            found.append(span)
        last = span
    return found

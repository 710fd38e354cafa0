"""A machine of fake GPUs: real processes that hold leases on devices that exist in name only."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from infoplane import devices

SOURCE = Path(devices.__file__).parents[1]
DEADLINE_SECONDS = 120.0
"""How long a test waits for what must happen; only a failing test ever takes that long."""

HOLD = """
import os, sys, time
from pathlib import Path
from infoplane.devices import lease

folder, slots, me, child = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
with lease("cuda", slots, folder / "leases", works=lambda: True) as device:
    assert device == "cuda"
    if child == "fork" and os.fork() == 0:
        (me.with_suffix(".child")).write_text(str(os.getpid()))
        time.sleep(600)
        os._exit(0)
    if child == "exec":
        import subprocess
        (me.with_suffix(".child")).write_text(str(subprocess.Popen(["sleep", "600"], close_fds=False).pid))
    part = me.with_suffix(".part")
    part.write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    part.rename(me)
    while not (folder / "finish").exists() and not me.with_suffix(".finish").exists():
        time.sleep(0.02)
"""


RECORD = """
import os, sys, time
from pathlib import Path
from infoplane.devices import lease

folder, me = Path(sys.argv[1]), Path(sys.argv[2])
me.with_suffix(".ready").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
for repeat in range(3):
    with lease("cuda", 1, folder / "leases", works=lambda: True):
        gpu, start = os.environ["CUDA_VISIBLE_DEVICES"], time.monotonic_ns()
        time.sleep(0.03)
        end = time.monotonic_ns()
    with me.open("a") as file:
        print(gpu, start, end, file=file)
"""


PAIR = """
import os, sys, time
from pathlib import Path
from infoplane.devices import lease

output = Path(sys.argv[1])
with lease("cuda", works=lambda: True):
    output.with_suffix(".began").write_text(str(time.monotonic_ns()))
    while len(list(Path.cwd().glob("*.began"))) < 2:
        time.sleep(0.02)
    gpu, start = os.environ["CUDA_VISIBLE_DEVICES"], output.with_suffix(".began").read_text()
    output.write_text(f"{gpu} {start} {time.monotonic_ns()}")
"""

SNAKEFILE = """
rule all:
    input: expand("job{number}.txt", number=range(4))
rule job:
    output: "job{number}.txt"
    resources: gpu=1
    shell: "{PYTHON} pair.py {output}"
"""


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def environment(visible: str, **more: str) -> dict[str, str]:
    base = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "CUDA_"))}
    return {**base, "PYTHONPATH": str(SOURCE), "CUDA_VISIBLE_DEVICES": visible, **more}


class Holder:
    """A process that holds a lease until it is told to finish or killed."""

    def __init__(self, folder: Path, name: str, visible: str, slots: int, child: str, env: dict[str, str]) -> None:
        self.file = folder / name
        self.errors = folder / f"{name}.err"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HOLD, str(folder), str(slots), str(self.file), child],
                env=environment(visible, **env),
                stderr=errors,
            )

    @property
    def gpu(self) -> str:
        """The GPU that it was given."""
        until(lambda: self.file.exists() or self.process.poll() is not None, "a lease")
        assert self.file.exists(), self.errors.read_text()
        return self.file.read_text()

    @property
    def holds(self) -> bool:
        return self.file.exists()

    def is_refused(self) -> None:
        """Returns once it has said that it waits, and did not get a GPU."""
        until(lambda: "waiting for a GPU" in self.errors.read_text(), "a line that says it waits")
        assert not self.holds

    def finish(self) -> None:
        self.file.with_suffix(".finish").touch()
        assert self.process.wait(DEADLINE_SECONDS) == 0, self.errors.read_text()


class Machine:
    """A machine of fake GPUs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.holders: list[Holder] = []

    def start(self, visible: str, slots: int = 1, child: str = "", **env: str) -> Holder:
        holder = Holder(self.folder, f"job{len(self.holders)}", visible, slots, child, env)
        self.holders.append(holder)
        return holder

    def close(self) -> None:
        (self.folder / "finish").touch()
        for holder in self.holders:
            holder.process.kill()
            holder.process.wait()
        for file in self.folder.glob("*.child"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)

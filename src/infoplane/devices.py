"""A GPU of its own for every job: Snakemake counts GPUs (``--resources gpu=2``), this assigns them.

Every job takes an exclusive `flock` on one file per (GPU, slot) in a folder of this node and makes that GPU the
only visible one. The kernel drops the lock when the process dies, however it dies, so nothing is ever stale.

The lock belongs to the job's own process and to none of its children: the descriptor is closed on exec, and in
forked children too. CUDA cannot be used in a forked child, so such a child (a loader's worker that outlives a
SIGKILL, say) needs no GPU; were it to keep the lock, one orphan would take a GPU away from every later job.

Nothing here imports torch before the GPU is chosen: CUDA reads the visible devices once per process.
"""

import contextlib
import fcntl
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from infoplane.errors import UserError

Device = Literal["auto", "cpu", "cuda"]

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
FOLDER = "INFOPLANE_LEASES"
POLL_SECONDS = 0.2

_held: set[int] = set()


def _close_in_child() -> None:
    # Closing leaves the parent's lock alone; unlocking would drop it, for both share one open file.
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_in_child)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them: indices, or UUIDs of GPUs and MIG instances.

    ``CUDA_VISIBLE_DEVICES`` decides where it is set, and like CUDA it is read up to the first invalid entry;
    otherwise ``nvidia-smi -L`` does, otherwise the device files.
    """
    chosen = os.environ.get(VISIBLE)
    if chosen is None:
        return _gpus_of_this_machine()
    found: list[str] = []
    for entry in (part.strip() for part in chosen.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", entry):
            break
        found.append(entry)
    return list(dict.fromkeys(found))


def _gpus_of_this_machine() -> list[str]:
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except FileNotFoundError:
        # CUDA numbers what it finds from 0 on, whatever the device files are called.
        files = [path for path in Path("/dev").glob("nvidia*") if path.name[len("nvidia") :].isdigit()]
        return [str(index) for index in range(len(files))]
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_listing(listing)


def parse_listing(listing: str) -> list[str]:
    """The ids in the output of ``nvidia-smi -L``; a GPU that is split into MIG instances is replaced by them."""
    gpus: list[tuple[str, list[str]]] = []
    for line in listing.splitlines():
        if gpu := re.match(r"GPU (\d+):", line):
            gpus.append((gpu[1], []))
        elif (instance := re.search(r"UUID: (MIG-[^)]+)\)", line)) and gpus:
            gpus[-1][1].append(instance[1])
    return [name for index, instances in gpus for name in (instances or [index])]


def require_gpus(count: int, slots: int) -> None:
    """Raise `UserError` where ``count`` jobs at a time are more than the visible GPUs have slots for."""
    gpus = visible_gpus()
    if not gpus and count:
        raise UserError(
            f"--resources gpu={count}: there is no GPU here that may be used (nvidia-smi -L, {VISIBLE}): leave it out, "
            "and everything runs on the CPU."
        )
    if count > len(gpus) * slots:
        raise UserError(
            f"--resources gpu={count}: this machine has room for {len(gpus) * slots} such jobs at a time (GPUs: "
            f"{', '.join(gpus)}; slots of each: {slots}): say gpu={len(gpus) * slots}, or raise slots in the "
            "configuration."
        )


def _works() -> bool:
    """Tell whether PyTorch can use the GPU that was made visible: a CPU build or an old driver cannot."""
    import torch

    return torch.cuda.is_available()


@contextlib.contextmanager
def lease(
    device: Device, slots: int = 1, folder: Path | None = None, works: Callable[[], bool] = _works
) -> Iterator[str]:
    """Hold a GPU while the block runs and yield PyTorch's name for it, ``"cuda"``, or ``"cpu"``.

    ``auto`` takes a GPU where there is one; ``slots`` jobs may share each GPU, and they are spread evenly. While
    all are taken it waits. Call it once per process, before anything uses CUDA. Raises `UserError` where ``cuda``
    is demanded and there is no GPU that PyTorch can use, and where the lock files cannot be written.
    """
    if slots < 1:
        raise UserError(f"slots is {slots}: expected how many jobs may share one GPU, at least 1.")
    gpus = [] if device == "cpu" else visible_gpus()
    reason = f"{VISIBLE} names none" if VISIBLE in os.environ else "none was found"
    if gpus:
        with _locked(gpus, slots, folder or lease_folder()) as gpu, _only(gpu):
            if works():
                yield "cuda"
                return
        reason = f"PyTorch cannot use GPU {gpu} (a build without CUDA, or a driver that is too old)"
        if device == "auto":
            _tell(f"{reason}: continuing on the CPU")
    if device == "cuda":
        raise UserError(
            f"there is no GPU, but device is 'cuda': {reason}; run where there is one, or set 'auto' or 'cpu'."
        )
    yield "cpu"


def lease_folder() -> Path:
    """Where this user's lock files on this node are: ``$INFOPLANE_LEASES``, else a folder in the temporary one."""
    chosen = os.environ.get(FOLDER)
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"infoplane-leases-{os.getuid()}"


def _lock_stem(gpu: str) -> str:
    """What a GPU's lock files are called: its visible id.

    Under Slurm, which assigns the GPUs, the job step is part of the name: two steps may both know their own GPU
    as 0, and neither has to wait for the other.
    """
    job, step = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_STEP_ID", "batch")
    return re.sub(r"[^\w.-]", "_", f"slurm-{job}.{step}-gpu-{gpu}" if job else f"gpu-{gpu}")


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _only(gpu: str) -> Iterator[None]:
    """Make one GPU the only visible one.

    Indices count in PCI order, as in nvidia-smi, so that one index is one GPU in every process.
    """
    before = {name: os.environ.get(name) for name in (VISIBLE, ORDER)}
    os.environ[VISIBLE] = gpu
    os.environ.setdefault(ORDER, "PCI_BUS_ID")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _locked(gpus: list[str], slots: int, folder: Path) -> Iterator[str]:
    """Wait until one of the GPUs has a free slot, hold it while the block runs, and yield the GPU."""
    owner, told = os.getpid(), False
    while (taken := _take(gpus, slots, folder)) is None:
        if not told:
            _tell(f"waiting for a GPU: {', '.join(gpus)} taken by other jobs ({folder})")
            told = True
        time.sleep(POLL_SECONDS)
    gpu, path, descriptor = taken
    _tell(f"leased GPU {gpu} of {', '.join(gpus)} ({path.stem})")
    try:
        yield gpu
    finally:
        if os.getpid() == owner:
            with _guarded(folder):
                path.unlink(missing_ok=True)
                _held.discard(descriptor)
                os.close(descriptor)


def _take(gpus: list[str], slots: int, folder: Path) -> tuple[str, Path, int] | None:
    """Lock a slot of the least used GPU: the GPU, the slot's file and its descriptor; None where all are taken.

    A holder writes its own ``slots`` into its file, so that runs which disagree about it never put more jobs on
    a GPU than each of them allows.
    """
    with _guarded(folder):
        best: tuple[int, str, Path] | None = None
        for gpu in gpus:
            stem = _lock_stem(gpu)
            held = {path: limit for path in folder.glob(f"{stem}.slot*.lock") if (limit := _holder_slots(path))}
            users = len(held)
            if users < min([slots, *held.values()]) and (best is None or users < best[0]):
                free = (folder / f"{stem}.slot{index}.lock" for index in range(users + 1))
                best = users, gpu, next(path for path in free if path not in held)
        if best is None:
            return None
        _, gpu, path = best
        descriptor = _open(path, os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(slots).encode())
        _held.add(descriptor)
        return gpu, path, descriptor


def _holder_slots(path: Path) -> int | None:
    """The ``slots`` of the living job that holds this file, or None when nobody does."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(descriptor, 20)
        return int(said) if said.isdigit() else 1  # empty: its writer met a full disk and is about to end
    else:
        return None
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int = 0) -> int:
    """Open a lock file; a link in its place is an error, for it may lead to any file of this user."""
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)


def _require_own(folder: Path) -> None:
    """Raise `UserError` for a folder in which other users may put files; in the temporary one anybody can make it."""
    found, mode = (folder.lstat(), folder.stat()), folder.stat().st_mode
    if any(about.st_uid != os.getuid() for about in found) or mode & stat.S_IWOTH:
        raise UserError(
            f"cannot keep GPU leases in {folder}, which belongs to another user or may be written by all: set {FOLDER} "
            "to a folder of your own on this machine."
        )


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """One process at a time looks at the slots and takes or leaves one; held for well under a millisecond."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        descriptor = _open(folder / "guard", os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(
            f"cannot keep GPU leases in {folder} ({error.strerror}): set {FOLDER} to a folder on this machine "
            "that you can write to."
        ) from None

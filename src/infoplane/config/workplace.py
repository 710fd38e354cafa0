"""The folder that a run works in: whether it may be written to, and whether another run works on the same results."""

import os
import time
from pathlib import Path

import psutil

from infoplane.errors import UserError

RECORDS = ".snakemake"
"""Where Snakemake keeps its records, in the folder that it is started in."""


def require_writable(results: str) -> None:
    """Raise `UserError` where results, or Snakemake's own records, could not be written."""
    for path, what in ((Path(results), "the results"), (Path(RECORDS), "Snakemake's records")):
        there = next(folder for folder in [path, *path.absolute().parents] if folder.exists())
        if not there.is_dir():
            raise UserError(
                f"{what} cannot be written to {path}: {there} is a file; remove it, or set another `results`."
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise UserError(
                f"{what} cannot be written to {path}: you may not write to {there}; set another `results` in the "
                "configuration, or start in a folder of your own."
            )


def no_results(experiment: str, configfiles: list[str]) -> str:
    """Say which command makes the results that `summary` prints. ``configfiles``: those that were named."""
    named = "".join(f" --configfile {path}" for path in configfiles)
    return (
        f"summary: there are no results of '{experiment}' yet: snakemake --cores all{named} makes them "
        f"(snakemake why --cores 1{named} says how long it would take)"
    )


def other_run(results: str) -> str | None:
    """A sentence about the run that has locked results below this folder, or None where nothing is locked.

    It tells a run that goes on from one that was killed and left its lock.
    """
    locked = {
        line
        for path in Path(RECORDS, "locks").glob("*.lock")
        for line in path.read_text(errors="replace").splitlines()
        if line.startswith(f"{results}/")
    }
    if not locked:
        return None
    running = _running()
    if running is None and (jobs := _jobs(results)):
        numbers = " ".join(str(job.pid) for job in jobs)
        return (
            f"a run that was killed has left its lock on {results}, and some of its jobs still run on this machine "
            f"(process {numbers.replace(' ', ', ')}): wait until they have ended, or end them with kill {numbers}; "
            "then say snakemake --unlock, and the same command again."
        )
    if running is None:
        return (
            f"a run that was killed has left its lock on {results}; no result is lost: if none of its jobs still runs "
            "on another machine, say snakemake --unlock, and then the same command again."
        )
    since = time.strftime("%H:%M", time.localtime(running.create_time()))
    return (
        f"another run works on {results} (process {running.pid}, since {since}): wait until it has ended, or end it "
        f"with kill -INT {running.pid}; finished jobs stay finished."
    )


def _running() -> psutil.Process | None:
    """Find the oldest Snakemake that works in this folder, other than this process and its parents."""
    return next((process for process, command in _here() if _is_snakemake(command)), None)


def _jobs(results: str) -> list[psutil.Process]:
    """Jobs of these results that run in this folder, though no Snakemake does."""
    return [
        process
        for process, command in _here()
        if "python" in Path(command[0]).name and any(word.startswith(f"{results}/") for word in command)
    ]


def _here() -> list[tuple[psutil.Process, list[str]]]:
    """Processes that work in this folder and their commands, oldest first.

    This process, its children and its parents are left out.
    """
    here, own = Path.cwd(), psutil.Process()
    family = {
        own.pid,
        *(parent.pid for parent in own.parents()),
        *(child.pid for child in own.children(recursive=True)),
    }
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in family and Path(process.cwd()) == here and (command := process.cmdline()):
                found.append((process.create_time(), process, command))
        except (psutil.Error, OSError):
            continue  # it has ended, or it belongs to another user
    return [(process, command) for _, process, command in sorted(found, key=lambda one: one[0])]


def _is_snakemake(command: list[str]) -> bool:
    """Whether this is Snakemake itself, by its program or by ``python -m snakemake``; not a shell that names it."""
    names = [Path(word).name for word in command[:3]]
    return ("python" in "".join(names[:1]) and "snakemake" in names[1:]) or names[:1] == ["snakemake"]

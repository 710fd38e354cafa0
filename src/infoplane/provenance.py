"""Say which versions made a result; kept in its metadata, never in its spec."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

PACKAGES = ("infoplane", "torch", "numpy", "scipy", "pyarrow", "scikit-learn")
CHECKOUT = Path(__file__).parents[2]
CODE = ("src", "scripts", "workflow", "Snakefile")
"""What decides results in a checkout; the configuration is recorded by itself."""


class Code(TypedDict):
    """Which code: its commit, None where it is no git checkout, and whether its files differ from that commit."""

    commit: str | None
    changed: bool


class Made(Code):
    """When (UTC, to the second), with which code and on which machine."""

    date: str
    machine: str


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def made() -> Made:
    """What is recorded of a result that is made here and now."""
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Made(date=date, machine=machine(), **code())


@cache
def code(checkout: Path = CHECKOUT) -> Code:
    """Ask git for the commit of a checkout, and whether its code was changed since; new files count as a change.

    A repository around it, such as one with an environment that infoplane is installed in, is not meant.
    """
    found = _git(checkout, "rev-parse", "--show-toplevel", "HEAD").splitlines()
    if len(found) != 2 or Path(found[0]).resolve() != checkout.resolve():
        return Code(commit=None, changed=False)
    return Code(commit=found[1], changed=bool(_git(checkout, "status", "--porcelain", "--", *CODE)))


def _git(checkout: Path, *command: str) -> str:
    """What git prints, without taking its lock; empty where it fails or is not installed."""
    try:
        done = subprocess.run(["git", "--no-optional-locks", "-C", checkout, *command], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def machine() -> str:
    """Processor, cores and memory in one line; no name that tells whose machine it is."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB"

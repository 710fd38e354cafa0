"""A job that a run would start now, with what Snakemake knows about it; plain values, read by `scripts/why.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pending:
    """One job, and everything that differs from the last time its results were made."""

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Results that are needed and not there."""
    made_before: bool = True
    """Whether Snakemake remembers having made all its results."""
    incomplete: bool = False
    """Whether it was interrupted."""
    forced: bool = False
    upstream: tuple[str, ...] = ()
    """Rules of the pending jobs whose results it reads."""
    new_inputs: tuple[str, ...] = ()
    """Files that are newer than its results, and different, and that no pending job makes."""
    params_before: tuple[str, ...] = ()
    """Parameters, each as its ``repr``, that it had then and does not have now."""
    params_now: tuple[str, ...] = ()
    inputs_before: tuple[str, ...] = ()
    """Files that it read then and does not read now."""
    inputs_now: tuple[str, ...] = ()
    command_changed: bool = False
    log: str = ""
    gpu: bool = False
    """Whether it holds a GPU where there is one."""
    threads: int = 1

"""The pending plan in the terminal: which jobs, why, and what they would cost."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from infoplane.config.plan import Plan
from infoplane.quantities import duration, number, size
from infoplane.why.cost import Cost
from infoplane.why.pending import Pending
from infoplane.why.reasons import Group


def show(groups: Sequence[Group], plan: Plan, cost: Cost, each: bool = False, console: Console | None = None) -> None:
    """Print a line for every rule and reason (``each``: for every job), and what it would cost."""
    console = console or Console()
    if not groups:
        console.print(f"'{plan.config.experiment}' is up to date: nothing would run.")
        return
    table = Table(box=None, pad_edge=False, title_justify="left", title=f"What would run of '{plan.config.experiment}'")
    for name, style in (("rule", "bold"), ("jobs", ""), ("of", ""), ("why", "")):
        table.add_column(name, style=style, justify="right" if name == "jobs" else "left", overflow="fold")
    for group in groups:
        for jobs in [[job] for job in group.jobs] if each else [group.jobs]:
            table.add_row(group.rule, str(len(jobs)), described(jobs, plan), "\n".join(group.reasons))
    console.print(table)
    console.print()
    for line in priced(cost, os.cpu_count() or 1, plan.config.slots):
        console.print(line, soft_wrap=True, highlight=False)


def priced(cost: Cost, cores: int, slots: int) -> Iterator[str]:
    """Sentences about the cost: time, GPUs, disk, and what they are told from."""
    at_once = f", at least {duration(cost.seconds / cores)} on {cores} cores" if cores > 1 else ""
    took = f"about {duration(cost.seconds)} of one core{at_once}"
    yield f"{number(cost.jobs, 'job')}, {took}; about {size(cost.written)} to write."
    if cost.gpu_seconds:
        shared = f", {slots} jobs on each" if slots > 1 else ""
        yield f"Where there is a GPU, about {cost.gpu_seconds / 3600:.2f} GPU-hours of that time{shared}."
    told = (
        f"From the times of {number(cost.compared, 'finished job')}"
        if cost.compared
        else "No finished jobs to compare with"
    )
    rough = f"; {number(cost.rough, 'job')} by size alone, which is rough" if cost.rough else ""
    unsized = f"; the results of {number(cost.unsized, 'job')} have no known size" if cost.unsized else ""
    yield f"{told}{rough}{unsized}."


def opening(jobs: Sequence[Pending], plan: Plan, cost: Cost, seconds: float) -> Iterator[str]:
    """Say what a run that starts now will do, and that it may take so many seconds."""
    grid = plan.architectures, plan.shortcuts, plan.config.seeds
    counts = " × ".join(map(number, map(len, grid), ("architecture", "shortcut", "seed")))
    yield f"{plan.config.experiment}: {number(len(plan.runs), 'run')} ({counts}) on {plan.config.data.kind}"
    todo = ", ".join(f"{rule} {count}" for rule, count in Counter(job.rule for job in jobs).items())
    # A job of which nothing like it was finished here is reckoned by its size alone.
    rough = " (a rough forecast: no such jobs were finished here yet)" if 2 * cost.rough > cost.jobs else ""
    yield f"{number(cost.jobs, 'job')}, about {duration(seconds)}{rough}: {todo}"


def described(jobs: Sequence[Pending], plan: Plan) -> str:
    """What the jobs are of, such as ``resnet; identity, none; seeds 0, 1``, in the configuration's order."""
    known = {
        "architecture": list(plan.architectures),
        "shortcut": list(plan.shortcuts),
        "seed": list(map(str, plan.config.seeds)),
        "family": list(plan.measures),
        "chart": list(plan.charts),
    }
    parts = []
    for name, labels in known.items():
        wanted = {job.wildcards[name] for job in jobs if name in job.wildcards}
        if wanted:
            parts.append(f"{'seeds ' if name == 'seed' else ''}{_listed(filter(wanted.__contains__, labels))}")
    return "; ".join(parts)


def _listed(labels: Iterable[str], most: int = 6) -> str:
    shown = list(labels)
    return ", ".join(shown) if len(shown) <= most else f"{', '.join(shown[: most - 1])}, ... ({len(shown)})"

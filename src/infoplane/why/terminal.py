"""The pending plan in the terminal: which jobs, why, and what they would cost."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from infoplane.config.load import Plan
from infoplane.why.pending import Pending
from infoplane.why.reasons import Group


def show(groups: Sequence[Group], plan: Plan, each: bool = False, console: Console | None = None) -> None:
    """Print a line for every rule and reason (``each``: for every job)."""
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

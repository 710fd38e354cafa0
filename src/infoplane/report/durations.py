"""How long the jobs of an experiment took, from the timings that Snakemake keeps of each."""

from pathlib import Path
from typing import Any

from infoplane.timings import Timing, timing

RULES = (
    *("data", "train", "train_stack", "activations", "measures", "reconstructions", "histograms"),
    *("tables", "phases", "verdicts", "charts"),
)
"""Those whose results the page shows. Others run beside it or after it: one page counts them, another does not."""


def durations(folder: Path | None) -> dict[str, Any] | None:
    """Seconds of wall-clock time in all and by rule, the longest job first; None where nothing is recorded.

    folder: of ``<rule>.tsv`` and ``<rule>/.../*.tsv``. Of a file with repeats the last counts. Raises `UserError` for
    a file that is no such timing.
    """
    rules: dict[str, list[Timing]] = {}
    for path in sorted(folder.rglob("*.tsv")) if folder else []:
        place = [part for part in path.relative_to(folder or path).with_suffix("").parts if part != "partial"]
        if place[0] in RULES and (job := timing(path)):
            rules.setdefault(place[0], []).append(job)
    if not rules:
        return None
    rows = [
        {
            "rule": rule,
            "jobs": len(jobs),
            "total": sum(seconds for seconds, _ in jobs),
            "longest": max(seconds for seconds, _ in jobs),
            "memory": max(memory for _, memory in jobs),
        }
        for rule, jobs in rules.items()
    ]
    rows.sort(key=lambda row: (-float(row["total"]), str(row["rule"])))
    return {
        "rules": rows,
        "jobs": sum(len(jobs) for jobs in rules.values()),
        "total": sum(seconds for jobs in rules.values() for seconds, _ in jobs),
    }

"""How long the jobs of an experiment took, from the timings that Snakemake keeps of each."""

import csv
from pathlib import Path
from typing import Any

from infoplane.errors import UserError


def durations(folder: Path | None) -> dict[str, Any] | None:
    """Seconds of wall-clock time in all and by rule, the longest job first; None where nothing is recorded.

    folder: of ``<rule>.tsv`` and ``<rule>/.../*.tsv``. Of a file with repeats the last counts. Raises `UserError` for
    a file that is no such timing.
    """
    rules: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(folder.rglob("*.tsv")) if folder else []:
        place = [part for part in path.relative_to(folder or path).with_suffix("").parts if part != "partial"]
        if job := _job(path):
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


def _job(path: Path) -> tuple[float, float] | None:
    """Seconds and the most memory in MB; None for a job that is still running."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows:
        return None
    try:
        return float(rows[-1]["s"]), float(rows[-1]["max_rss"].replace("-", "") or 0)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path} is no timing of Snakemake's: delete it.") from None


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as a reader says it."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"

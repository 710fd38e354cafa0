"""Where the page's results come from: when they were trained, on which machine, and with which code."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infoplane.charts.frames import Tables
from infoplane.provenance import code
from infoplane.quantities import number
from infoplane.storage.parquet import metadata, open_parquet

UNKNOWN = "not recorded"
SHORT = 10
"""Digits of a commit that are shown."""


def origin(tables: Tables, folder: Path | None) -> dict[str, Any]:
    """What the histories of the runs recorded as they were trained, and the code that writes this page.

    folder: of ``<architecture>/<shortcut>/seed<seed>/history.parquet``; None, or files that are not there: not
    recorded. dates: of the first and the last run, UTC; machines, trained_with: with the number of runs, where
    there are several. The date of this page is not told, so that the same results give the same page. Raises
    `UserError` for a damaged history.
    """
    found: list[Any] = []
    for run in tables.metadata.get("runs") or []:
        path = folder and folder / run["architecture"] / run["shortcut"] / f"seed{run['seed']}" / "history.parquet"
        if path and path.exists():
            found.append(metadata(open_parquet(path), path).get("made"))
    dates = sorted(made["date"] for made in found if made)
    found = found if dates else []
    return {
        "dates": list(dict.fromkeys(written(date) for date in dates[:1] + dates[-1:])),
        "machines": counted(made["machine"] if made else UNKNOWN for made in found),
        "trained_with": counted(words(made) if made else UNKNOWN for made in found),
        "written_with": words(code()),
    }


def written(date: str) -> str:
    """A date without its seconds, such as ``2026-11-28 22:25``."""
    return date[:16].replace("T", " ")


def words(found: Mapping[str, Any]) -> str:
    """A commit in words."""
    if found["commit"] is None:
        return "no git checkout"
    return f"commit {found['commit'][:SHORT]}{', with changes that are not committed' if found['changed'] else ''}"


def counted(values: Iterable[str]) -> list[str]:
    """Every value once; of several, with the number of runs."""
    found = Counter(values)
    return [f"{value} ({number(count, 'run')})" if len(found) > 1 else value for value, count in sorted(found.items())]

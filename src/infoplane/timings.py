"""The timing that Snakemake keeps of every job (``benchmark:``), one small table of text per job."""

import csv
from pathlib import Path
from typing import NamedTuple

from infoplane.errors import UserError


class Timing(NamedTuple):
    """What one job took: seconds of wall-clock time, and the most memory it had, in MB (0 where that is not known)."""

    seconds: float
    memory: float


def timing(path: Path) -> Timing | None:
    """Read one file, of repeats the last; None for a job that still runs. Raises `UserError` for anything else."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows:
        return None
    try:
        memory = rows[-1]["max_rss"].replace("NA", "-").replace("-", "")
        return Timing(float(rows[-1]["s"]), float(memory or 0))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path} is no timing of Snakemake's: delete it.") from None

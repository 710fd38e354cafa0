"""Say in words what each network does, and what the reference shortcut does less or more than the others.

A difference is decided where its adjusted p is at most 1 - level; a network is decided where its label is sure to the
level and it learned. For what is undecided, the number of seeds is the one with which the interval would keep clear of
the margin (of 0, for a difference), if the value stayed and the interval shrank with the square root of the seeds.
"""

import math
from dataclasses import dataclass
from typing import Any

import polars as pl
from scipy import special

from infoplane.metrics import Metric
from infoplane.phases.labels import AMBIGUOUS
from infoplane.phases.results import Phases
from infoplane.quantities import number as counted

MOST_SEEDS = 100
"""A value that would need more lies at the margin; ours."""
LABELS = {
    "two-phase": "easier to read back first, then harder",
    "compression-only": "harder to read back at once",
    "fitting-only": "easier to read back, and not harder again",
    "flat": "neither easier nor harder to read back",
}
"""Label -> what becomes of the layer. Whether anything is lost, a decoder cannot tell."""
MOVES = {"fit_depth": ("fits", "fit depth"), "compression_height": ("compresses", "compression")}
"""Quantity -> the column that says how sure it is, and its name."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What one architecture answers. decided, asked: how many of its networks are decided, of how many."""

    architecture: str
    sentences: tuple[str, ...]
    decided: int
    asked: int

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def answers(found: Phases) -> list[Answer]:
    """One per architecture, in the order of the table: its last block over all seeds."""
    rows = [row for row in last_blocks(found) if row["label"] is not None]
    names = dict.fromkeys(row["architecture"] for row in rows)
    return [_answer([row for row in rows if row["architecture"] == name], found) for name in names]


def tally(given: list[Answer]) -> str:
    """How many networks are decided, in one sentence."""
    return f"Decided for {sum(one.decided for one in given)} of {counted(sum(one.asked for one in given), 'network')}."


def markdown(found: Phases) -> str:
    """All answers: how many networks are decided, and a point per architecture."""
    given = answers(found)
    if not given:
        return "No answer: nothing was measured at two checkpoints yet.\n"
    return "\n".join([tally(given), "", *(f"- **{one.architecture}**: {one.text}" for one in given), ""])


def last_blocks(found: Phases) -> list[Row]:
    """The rows over all seeds of every network's last block, in the order of the table."""
    sites = found.metadata.get("last_blocks") or {}
    rows = found.phases.filter(pl.col("seed").is_null()).to_dicts()
    return [row for row in rows if row["site"] == sites.get(row["architecture"])]


def _answer(rows: list[Row], found: Phases) -> Answer:
    architecture, site = rows[0]["architecture"], rows[0]["site"]
    level = float((found.metadata.get("phases") or {}).get("level", 0.95))
    differences = found.differences.filter(pl.col("architecture") == architecture, pl.col("site") == site).to_dicts()
    taught = {row["shortcut"]: _taught(row, found) for row in rows}
    decided = [row for row in rows if row["label"] != AMBIGUOUS and taught[row["shortcut"]]]
    said = [_compared(differences, level), _labelled(decided)]
    said += [_undecided(row, level, taught[row["shortcut"]], found.metric) for row in rows if row not in decided]
    return Answer(architecture, tuple(filter(None, said)), len(decided), len(rows))


def _taught(row: Row, found: Phases) -> bool:
    """Whether the network learned: by its metric, as claims do; yes, where that is not known."""
    known = row["metric"] is not None and found.trivial is not None
    return not known or found.metric.is_learned(row["metric"], found.trivial or 0.0)


def _compared(differences: list[Row], level: float) -> str:
    """What the reference does less or more than the others, with intervals, and whether that is decided."""
    if not differences:
        return ""
    fit, rise = ("falls", "rises") if differences[0]["measure"] == "zx" else ("rises", "falls")
    words = {
        "start": ("starts", "lower", "higher"),
        "fit_depth": (f"then {fit}", "less", "more"),
        "compression_height": (f"then {rise} (the layer gets harder to read back)", "less", "more"),
    }
    parts = []
    for quantity, (verb, less, more) in words.items():
        rows = [row for row in differences if row["quantity"] == quantity]
        if rows:
            parts.append(f"{verb} " + " and ".join(_difference(row, less, more, level) for row in rows))
    name = "Z-X" if differences[0]["measure"] == "zx" else "I(X;Z)"
    return f"With {differences[0]['reference']}, {name} of the last block {'; '.join(parts)}." if parts else ""


def _difference(row: Row, less: str, more: str, level: float) -> str:
    """Such as ``lower than with none by 0.263 (0.240 to 0.287, decided)``."""
    sign = -1 if row["difference"] < 0 else 1
    than = f"{less if sign < 0 else more} than with {row['shortcut']} by {written(abs(row['difference']))}"
    if row["difference_low"] is None or row["p_adjusted"] is None:
        return f"{than} (undecided: its error is not known)"
    low, high = sorted((sign * row["difference_low"], sign * row["difference_high"]))
    between = f"{written(low)} to {written(high)}"
    if row["p_adjusted"] <= 1 - level:
        return f"{than} ({between}, decided)"
    tail = (1 - level) / 2
    adjusted = special.ndtri(tail * row["p"] / row["p_adjusted"]) / special.ndtri(tail)
    return (
        f"{than} ({between}, undecided: {seeds_needed(row['seeds'], adjusted * (high - low) / 2, row['difference'])})"
    )


def _labelled(rows: list[Row]) -> str:
    """The networks that are decided, with their labels."""
    sure = [f"{row['label']}, {min(99, int(100 * row['confidence']))}% sure" for row in rows]
    said = [f"with {row['shortcut']}, {LABELS[row['label']]} ({how})" for row, how in zip(rows, sure, strict=True)]
    return f"The last block becomes: {'; '.join(said)}." if said else ""


def _undecided(row: Row, level: float, taught: bool, metric: Metric) -> str:
    if not taught:
        value = metric.written(row["metric"])
        return f"Undecided with {row['shortcut']}: it did not learn (validation {metric.title} {value})."
    open_ones = [name for name, (sure, _) in MOVES.items() if max(row[sure], 1 - row[sure]) < level]
    return f"Undecided with {row['shortcut']}: {'; '.join(_open(row, name) for name in open_ones)}."


def _open(row: Row, quantity: str) -> str:
    value, low, high = (row[f"{quantity}{end}"] for end in ("", "_low", "_high"))
    name, margin = MOVES[quantity][1], row["margin"]
    if low is None:
        return f"the error of its {name} is not known"
    needed = seeds_needed(row["seeds"], (high - low) / 2, value - margin)
    between = f"{written(low)} to {written(high)}"
    return f"its {name} of {written(value)} ({between}) is not clear of the margin of {written(margin)} ({needed})"


def seeds_needed(seeds: int, half_width: float, distance: float) -> str:
    """How many seeds would decide what so many did not.

    half_width: of the interval; distance: of the value from what the interval must keep clear of.
    """
    needed = seeds * (half_width / distance) ** 2 if distance else math.inf
    if needed > MOST_SEEDS:
        return f"{MOST_SEEDS} seeds would not decide it"
    return f"about {max(seeds + 1, math.ceil(needed))} seeds would decide it"


def written(value: float) -> str:
    """Three decimals, four below 0.01."""
    return f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.4f}"

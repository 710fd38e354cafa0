"""The table of verdicts: what is in it, how it is written, and how it reads in Markdown."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from infoplane.errors import UserError
from infoplane.provenance import versions
from infoplane.storage.atomic import atomic_path
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.tables import Columns

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"

VERDICTS: Columns = {
    "claim": pl.String,
    "sentence": pl.String,
    "source": pl.String,
    "provenance": pl.String,
    "architecture": pl.String,  # or "all"
    "site": pl.String,
    "family": pl.String,
    "quantity": pl.String,
    "of": pl.String,
    "versus": pl.String,  # a shortcut or a number
    "expected": pl.String,
    "found": pl.String,  # of a label: which
    "effect": pl.Float64,  # the quantity of `of` less that of `versus`; null: a label, or several comparisons
    "effect_low": pl.Float64,  # at the level of the phases, for this comparison alone
    "effect_high": pl.Float64,
    "p_adjusted": pl.Float64,  # against the boundary of what is claimed, for all comparisons of all claims
    "margin": pl.Float64,  # a share of the measure's reference
    "verdict": pl.String,
    "n": pl.Int64,  # samples
    "seeds": pl.Int64,
    "note": pl.String,
    "overall": pl.Boolean,  # whether this row is the whole claim's verdict
}
"""One row per comparison, and before them one over all comparisons of a claim that has several."""


def whole(comparisons: Iterable[str]) -> str:
    """The verdict on all of them together: reproduced where all are, and not reproduced where one is not."""
    found = set(comparisons)
    return next((verdict for verdict in (NOT_REPRODUCED, UNDECIDED) if verdict in found), REPRODUCED)


def tally(verdicts: Iterable[str]) -> str:
    """How often each verdict was reached, such as ``2 reproduced, 1 undecided``."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[name]} {name}" for name in (REPRODUCED, NOT_REPRODUCED, UNDECIDED) if counts[name])


def read(path: Path) -> pl.DataFrame:
    """The table; raises `UserError` for a file that is missing, damaged or another table."""
    found = pl.DataFrame(read_rows(path)[0])
    if absent := [name for name in VERDICTS if name not in found.columns]:
        raise UserError(f"{path} has no column '{absent[0]}': delete it and run the workflow again.")
    return found


def write(found: pl.DataFrame, metadata: Mapping[str, Any], table: Path, markdown: Path) -> None:
    """Write the table, and the same for a person to paste.

    metadata: the phase tables', for the level of the intervals.
    """
    level = metadata["phases"]["level"]
    values = {"level": level, "family": metadata["family"], "versions": versions()}
    write_rows(table, found.to_arrow(compat_level=pl.CompatLevel.oldest()), values)
    with atomic_path(markdown) as temporary:
        temporary.write_text(markdown_table(found, level), encoding="utf-8")


def plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line: no HTML, no links."""
    return re.sub(r"([\\`\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def markdown_table(found: pl.DataFrame, level: float) -> str:
    """The claims with their verdicts, then every comparison, then what each claim says."""
    if not found.height:
        return "The experiment claims nothing.\n"
    rows = found.to_dicts()
    claims = [row for row in rows if row["overall"]]
    several = [row for row in rows if not row["overall"]]
    lines = _table(claims, level)
    lines += ["", "Every comparison of claims that have several:", "", *_table(several, level)] if several else []
    said = [f"- `{row['claim']}` ({row['provenance']}): {plain(row['sentence'])}{_source(row)}" for row in claims]
    return "\n".join([*lines, "", *said]) + "\n"


def _table(rows: Sequence[Mapping[str, Any]], level: float) -> list[str]:
    heads = ["claim", "where", "what", f"effect ({level:.0%} interval)", "p, adjusted", "verdict", "n", "seeds", "note"]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    for row in rows:
        words = row["claim"], f"{row['architecture']}, {row['site']}", _what(row), _effect(row)
        shown = [*map(_cell, words), _number(row["p_adjusted"]), row["verdict"]]
        shown += [_number(row["n"]), _number(row["seeds"]), _cell(row["note"] or "")]
        lines.append("| " + " | ".join(shown) + " |")
    return lines


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|")


def _what(row: Mapping[str, Any]) -> str:
    if row["quantity"] == "label":
        return f"{row['of']}: label is {row['expected']}"
    of = f" of {row['of']}" if row["of"] else ""
    than = "equal to" if row["expected"] == "equal" else f"{row['expected']} than"
    by = f" (margin {row['margin']:g})" if row["margin"] else ""
    return f"{row['quantity'].replace('_', ' ')}{of} {than} {row['versus']}{by}"


def _effect(row: Mapping[str, Any]) -> str:
    if row["found"] is not None:
        return str(row["found"])
    if row["effect"] is None:
        return ""
    return f"{row['effect']:.3f} [{row['effect_low']:.3f}, {row['effect_high']:.3f}]"


def _source(row: Mapping[str, Any]) -> str:
    return f" [{plain(row['source'])}]" if row["source"] else ""


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else "< .001" if value < 0.001 else f"{value:.3f}"

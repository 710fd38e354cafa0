"""The phase analysis for the page: the rows of the family and measure that the page shows, the last block first."""

from typing import Any

import polars as pl

from infoplane.charts import theme
from infoplane.charts.frames import Curves, Tables
from infoplane.phases.results import PHASES, Phases

AMPLITUDES = ("fit_depth", "compression_height")
QUANTITIES = (*AMPLITUDES, "start", "end", "turn_step", "label_gain", "metric")

EVERY, METHOD = "all", "spearman"
"""The correlations that stand before the fold: of ranks, over all runs."""


def level(tables: Tables) -> str:
    """What the intervals hold, such as ``95% interval``."""
    share = ((tables.phases.metadata.get("phases") if tables.phases else None) or {}).get("level")
    return f"{share:.0%} interval" if isinstance(share, float) else "interval"


def judged(tables: Tables, found: Curves) -> pl.DataFrame:
    """The rows of the phase table over all seeds, of this family and its measure across."""
    if tables.phases is None:
        return pl.DataFrame(schema=PHASES)
    return _shown(tables.phases, "phases", found).filter(pl.col("seed").is_null())


def family(phases: Phases, found: Curves) -> str:
    """The family that was analysed: the page's own where the analysis has it."""
    present = phases.phases["family"].unique().sort().to_list()
    return found.family if found.family in present or not present else str(present[0])


def _shown(phases: Phases, table: str, found: Curves) -> pl.DataFrame:
    """One table's rows of the family and the measure that are shown."""
    rows: pl.DataFrame = getattr(phases, table)
    return rows.filter(pl.col("family") == family(phases, found), pl.col("measure") == found.measures[0])


def _ordered(rows: pl.DataFrame, tables: Tables) -> list[dict[str, Any]]:
    """Rows by architecture and shortcut as the charts have them, from the deepest site."""
    ranks = {label: index for role in (tables.architectures, tables.shortcuts) for index, label in enumerate(role)}
    return sorted(
        rows.to_dicts(),
        key=lambda row: (ranks.get(row["architecture"], 0), -(row["depth"] or 0), ranks.get(row["shortcut"], 0)),
    )


def phases(tables: Tables, found: Curves) -> dict[str, Any] | None:
    """Gather what the section on phases shows; None where nothing was analysed."""
    if tables.phases is None:
        return None
    rows = _ordered(judged(tables, found), tables)
    last = {architecture: found.last_block(architecture) for architecture in tables.architectures}
    mine = [row for row in rows if row["site"] == last[row["architecture"]]]
    of_targets = _ordered(tables.phases.targets.filter(pl.col("seed").is_null()), tables)
    targets: dict[str, list[dict[str, Any]]] = {}
    for row in (row for row in of_targets if row["site"] == last[row["architecture"]]):
        targets.setdefault(theme.name(row["measure"]), []).append(row)
    everywhere: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        everywhere.setdefault(row["architecture"], []).append(row)
    for architecture, found_rows in everywhere.items():
        found_rows.sort(key=lambda row: row["site"] != last[architecture])
    differences = [
        row
        for row in _ordered(_shown(tables.phases, "differences", found), tables)
        if row["site"] in (None, last.get(row["architecture"]))
    ]
    differences.sort(key=lambda row: QUANTITIES.index(row["quantity"]) if row["quantity"] in QUANTITIES else 99)
    differences.sort(key=lambda row: tables.architectures.index(row["architecture"]))
    gaps = _shown(tables.phases, "gaps", found).filter(pl.col("correlation").is_not_null()).to_dicts()
    return {
        "level": level(tables),
        "family": family(tables.phases, found),
        "last": mine,
        "sites": everywhere,
        "targets": targets,
        "differences": [row for row in differences if row["quantity"] in AMPLITUDES],
        "more_differences": [row for row in differences if row["quantity"] not in AMPLITUDES],
        "reference": differences[0]["reference"] if differences else "",
        "nulls": [
            row
            for row in _shown(tables.phases, "nulls", found).to_dicts()
            if row["site"] == last.get(row["architecture"])
        ],
        "false_positives": false_positives(tables, found),
        "gaps": [row for row in gaps if row["within"] == EVERY and row["method"] == METHOD],
        "more_gaps": [row for row in gaps if row["within"] != EVERY or row["method"] != METHOD],
    }


def false_positives(tables: Tables, found: Curves) -> str:
    """Say in one sentence how often noise alone was called a phase; empty where it was not tried."""
    if tables.phases is None:
        return ""
    nulls = _shown(tables.phases, "nulls", found)
    tried, wrong = (sum(nulls[name].drop_nulls().to_list()) for name in ("replicates", "false_positives"))
    if not tried:
        return ""
    worst = max(nulls.iter_rows(named=True), key=lambda row: row["rate"] or 0.0)
    where = f"{worst['architecture']} {worst['shortcut']} {worst['site']}"
    at_worst = f"; at worst {worst['rate']:.1%}, at {where}" if worst["rate"] else ""
    told = f"Of {tried:,} curves that never move, {wrong:,} ({wrong / tried:.1%}) were said to fit or to compress"
    return f"{told}{at_worst}."


def blocks(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """``architecture · shortcut`` -> its blocks from the input on, with verdict and evidence."""
    if tables.phases is None:
        return {}
    rows = tables.phases.blocks
    groups: dict[str, list[dict[str, Any]]] = {}
    for architecture in tables.architectures:
        for shortcut in tables.shortcuts:
            pair = (pl.col("architecture") == architecture) & (pl.col("shortcut") == shortcut)
            for row in rows.filter(pair).sort("depth").iter_rows(named=True):
                groups.setdefault(f"{architecture} · {shortcut}", []).append(row)
    return groups

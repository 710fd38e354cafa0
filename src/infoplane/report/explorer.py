"""What the explorer of the report shows: every curve of the experiment, averaged over seeds, as one compact value.

Numbers of a curve stand in one list per quantity, in the order of the pair's steps; ``low`` and ``high`` are the
smallest and the largest seed, and are left out where there is one seed. Deep networks and long runs are thinned.
"""

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from infoplane import registry
from infoplane.charts import scales, theme
from infoplane.charts.frames import Curves, Tables, curves, scores, spread
from infoplane.charts.panels import ACROSS, HEIGHTS, UP
from infoplane.phases.targets import of_target

SITES, CHECKPOINTS = 14, 48
"""At most this many sites of an architecture and checkpoints of the experiment."""

FEW = 4
"""Shortcuts that are shown before the reader picks."""

ENDS = ("", "_low", "_high")
PHASE = ("label", "confidence", "turn_step", "turn_step_low", "turn_step_high")


def pair(tables: Tables) -> tuple[str, str]:
    """The measures across and upwards: Z-X and Z-Y, or the information on X and on Y that was measured instead."""
    across = tables.headline
    return across, "zy" if across == "zx" else across.replace("ixz", "izy")


def curves_shown(tables: Tables) -> Curves:
    """The curves behind the explorer."""
    return curves(tables, measures=pair(tables))


def dataset(tables: Tables) -> dict[str, Any] | None:
    """Everything that the explorer's script needs, ready for JSON; None where nothing is measured."""
    found = curves_shown(tables)
    if found.rows.is_empty():
        return None
    x, y = found.measures
    kept = [int(step) for step in spread([str(step) for step in found.steps], CHECKPOINTS)]
    histories = scores(tables)
    axis = scales.Steps(found.steps)
    colours = theme.shortcut_colours(tables).to_dict()["range"]
    entropy = found.label_entropy()
    return {
        "measures": {
            axis_: {"name": theme.name(measure), "title": theme.brief_title(measure, found.units.get(measure, ""))}
            for axis_, measure in ((ACROSS, x), (UP, y))
            if found.units.get(measure)
        },
        "metric": {
            "title": tables.metric.title,
            "share": tables.metric.unit == "share",
            "unit": "" if tables.metric.unit in ("share", "1") else f" {tables.metric.unit}",
        },
        "answer": "class" if tables.target == "label" else "answer",
        "zero": axis.zero,
        "steps": kept,
        "entropy": None if entropy is None else round(entropy, 4),
        "shown": tables.shortcuts[:FEW],
        "shortcuts": [
            {"label": label, "colour": colour, "kind": tables.kind("shortcut", label), "about": _about(tables, label)}
            for label, colour in zip(tables.shortcuts, colours, strict=True)
        ],
        "architectures": [
            _architecture(tables, found, histories, architecture, kept)
            for architecture in tables.architectures
            if found.of(architecture).height
        ],
    }


def _about(tables: Tables, label: str) -> str:
    """What a shortcut does, as its plug-in says, and the options that the configuration gives it."""
    kind = tables.kind("shortcut", label)
    words = registry.summary("shortcut", kind) if kind in registry.names("shortcut") else kind
    words = re.sub(r"\s*\([^)]*(arXiv|doi)[^)]*\)", "", words).rstrip(".:")
    given = ((tables.metadata.get("config") or {}).get("shortcuts") or {}).get(label) or {}
    options = ", ".join(f"{key} {value}" for key, value in given.items() if key != "kind" and value is not None)
    return f"{words} ({options})" if options else words


def _architecture(
    tables: Tables, found: Curves, histories: pl.DataFrame, architecture: str, steps: Sequence[int]
) -> dict[str, Any]:
    every = found.sites(architecture)
    chief = found.last_block(architecture)
    sites = spread(every, SITES, [chief])
    rows = found.of(architecture).filter(pl.col("site").is_in(sites), pl.col("step").is_in(list(steps)))
    x, y = found.measures
    curved = {
        shortcut: {
            "seeds": max(mine["seeds"].to_list()),
            "sites": {site: _curve(mine.filter(pl.col("site") == site), steps, x, y) for site in sites},
            "phases": _phases(tables, found.family, x, architecture, shortcut, sites),
        }
        for shortcut in tables.shortcuts
        if (mine := rows.filter(pl.col("shortcut") == shortcut)).height
    }
    return {
        "label": architecture,
        "sites": sites,
        "left_out": len(every) - len(sites),
        "chief": chief,
        ACROSS: _span(rows, x, HEIGHTS["plane"], zero=False),
        UP: _span(rows, y, HEIGHTS["plane"], zero=False, reference=found.label_entropy() if y == "zy" else None),
        "curves": curved,
        "missing": {s: tables.gap(architecture, s) for s in tables.shortcuts if s not in curved},
        "scores": _scores(histories.filter(pl.col("architecture") == architecture), tables.shortcuts),
    }


def _span(rows: pl.DataFrame, measure: str, pixels: int, zero: bool, reference: float | None = None) -> dict[str, Any]:
    """The range that all of an architecture's values fill, with round ticks."""
    edge = pl.Series([reference], dtype=pl.Float64)
    span = scales.Span(kind(measure), rows[measure], rows[f"{measure}_low"], rows[f"{measure}_high"], edge, zero=zero)
    low, high = span.scale.to_dict()["domain"]
    return {
        "low": float(f"{low:.4g}"),
        "high": float(f"{high:.4g}"),
        "ticks": span.ticks(pixels, 26),
        "most": max([0.0, *rows[measure].drop_nulls().to_list()]),
    }


def kind(measure: str) -> scales.Kind:
    """The scale that a measure is drawn on."""
    return "sqrt" if of_target(measure)[0] in ("zx", "zy") else "linear"


def _curve(rows: pl.DataFrame, steps: Sequence[int], x: str, y: str) -> dict[str, list[Any]]:
    """One site's lists: places in ``steps``, and mean, low and high of both measures."""
    rows = rows.sort("step")
    place = {step: index for index, step in enumerate(steps)}
    found: dict[str, list[Any]] = {"at": [place[step] for step in rows["step"].to_list()]}
    for axis, measure in ((ACROSS, x), (UP, y)):
        if not rows[measure].drop_nulls().len():
            continue
        for end in ENDS if max(rows["seeds"].to_list(), default=0) > 1 else ENDS[:1]:
            found[axis + end] = rows[measure + end].to_list()
    return found


def _phases(
    tables: Tables, family: str, measure: str, architecture: str, shortcut: str, sites: Sequence[str]
) -> dict[str, list[Any]]:
    """Site -> label, confidence, turn step with its interval; empty without a phase analysis."""
    if tables.phases is None:
        return {}
    rows = tables.phases.phases.filter(
        pl.col("seed").is_null(),
        pl.col("family") == family,
        pl.col("measure") == measure,
        pl.col("architecture") == architecture,
        pl.col("shortcut") == shortcut,
        pl.col("site").is_in(list(sites)),
        pl.col("label").is_not_null(),
    )
    return {
        site: [value if not isinstance(value, float) else float(f"{value:.4g}") for value in values]
        for site, *values in rows.sort("depth").select("site", *PHASE).iter_rows()
    }


def _scores(rows: pl.DataFrame, shortcuts: Sequence[str]) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Shortcut -> split -> lists of step, mean, low and high."""
    found: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for shortcut in shortcuts:
        for split in ("validation", "train"):
            mine = rows.filter(pl.col("shortcut") == shortcut, pl.col("split") == split).sort("step")
            if mine.height:
                found.setdefault(shortcut, {})[split] = {
                    "step": mine["step"].to_list(),
                    **{f"score{end}": mine[f"score{end}"].to_list() for end in ENDS},
                }
    return found

"""Identity against other shortcuts: Z-X of the last residual block over training.

A fall is fitting, a rise is compression; the ringed point is the lowest mean. Lines are means over seeds, bands reach
from the smallest seed to the largest.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import Tables, curves


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: kernel where it was measured"] = "auto"
    site: Annotated[str, "which site to compare; auto: the last residual block"] = "auto"
    scale: Annotated[Literal["sqrt", "linear"], "axes of Z-X and Z-Y; sqrt spreads the small values"] = "sqrt"


HEIGHT = 240


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One cell per architecture, one colour per shortcut."""
    found = curves(tables, options.family)
    rows = found.rows.drop_nulls(["zx"])
    if rows.is_empty():
        return theme.empty(tables, found.family)
    count = len(tables.architectures)
    columns = 2 if count == 4 else min(3, count)
    width, height = theme.fitted({1: 480, 2: 360}.get(columns, 240)), HEIGHT
    steps = scales.Steps(found.steps)
    cells: list[theme.Cell] = []
    for index, architecture in enumerate(tables.architectures):
        site = options.site if options.site != "auto" else found.last_block(architecture)
        mine = rows.filter(pl.col("architecture") == architecture, pl.col("site") == site)
        if mine.is_empty():
            words = "nothing measured" if site is None else f"no values at {site}"
            cells.append(theme.placeholder(words, width, height, architecture))
            continue
        label = theme.brief_title("zy", found.units.get("zy", "nats"))
        cell = _cell(tables, steps.placed(mine), steps, not index % columns, options.scale, label)
        cells.append(cell.properties(width=width, height=height, title=f"{architecture} · {site}"))
    basis = theme.basis(tables, found.family, scale=options.scale)
    return theme.grid(cells, columns, f"Rings mark each curve's lowest mean. {basis}", colour="shared")


def _cell(
    tables: Tables, rows: pl.DataFrame, steps: scales.Steps, first: bool, kind: scales.Kind, label: str
) -> theme.Cell:
    span = scales.Span(kind, rows["zx_low"], rows["zx_high"])
    scale = span.scale
    axis = alt.Axis(title=theme.ZX if first else None, values=span.ticks(HEIGHT, 20), format=scales.FORMAT)
    x, y = steps.x(), alt.Y("zx:Q", scale=scale, axis=axis)
    colour = alt.Color(
        "shortcut:N",
        title=None,
        scale=theme.shortcut_colours(tables),
        legend=alt.Legend(orient="top", direction="horizontal", symbolType="stroke"),
    )
    tooltip = [
        alt.Tooltip("shortcut:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip("zx:Q", title="Z-X, mean"),
        alt.Tooltip("zx_low:Q", title="smallest seed"),
        alt.Tooltip("zx_high:Q", title="largest seed"),
        alt.Tooltip("zy:Q", title=f"{label}, mean"),
    ]
    columns = ["shortcut", "step", "at", "zx", "zx_low", "zx_high", "zy"]
    chart = alt.Chart(rows.select(columns))
    lowest = rows.sort("zx", "step").group_by("shortcut", maintain_order=True).first().sort("shortcut")
    layers = [
        chart.mark_line(strokeWidth=2.2).encode(x, y, colour),
        chart.mark_circle(size=26, opacity=1).encode(x, y, colour, tooltip=tooltip),
        alt.Chart(lowest.select(columns))
        .mark_point(size=110, filled=False, strokeWidth=1.8, opacity=1)
        .encode(x, y, colour, tooltip=tooltip),
    ]
    if rows["seeds"].max() != 1:
        band = alt.Y("zx_low:Q", scale=scale, axis=axis)
        layers.insert(0, chart.mark_area(opacity=0.17).encode(x, band, alt.Y2("zx_high:Q"), colour))
    return alt.layer(*layers)

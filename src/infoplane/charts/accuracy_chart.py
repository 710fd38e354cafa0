"""Estimates less the truth, for every distribution, family and sample size, with the tolerance behind them."""

import textwrap
from typing import Any

import altair as alt
import polars as pl

from infoplane.charts import theme
from infoplane.charts.accuracy import ABSENT, SAMPLED, WRONG, Accuracy

NAME, TITLE = "accuracy", "How far every estimator is from the truth"
QUANTITIES = {
    "zx": "Z-X, share of the variance of X",
    "zy": "Z-Y, nats",
    "ixz": "I(X;Z), nats",
    "izy": "I(Z;Y), nats",
    "ixz_given_y": "I(X;Z|Y), nats",
}
PALETTE = [*theme.SHORTCUT_COLOURS.values(), "#332288", "#117733", "#882255", "#999933"]
RED, CROSS = "#c1121f", "M-1,-1L1,1M-1,1L1,-1"
PANEL, STEP = 330, 9
LINEAR_TO = 0.05
"""Errors up to this size are drawn to scale, larger ones by their logarithm."""

TICKS = [-10, -1, -0.3, -0.1, -0.03, 0, 0.03, 0.1, 0.3, 1, 10]


def spec(accuracy: Accuracy) -> dict[str, Any]:
    """The Vega-Lite spec: one row of panels per measure, one column per sample size."""
    rows = accuracy.rows.filter(pl.col("verdict") != ABSENT)
    notes = [
        "Dot: median over repeats; line: smallest to largest; grey: the tolerance; triangles are bounds. A red cross "
        "lies outside the tolerance, a ring where the samples themselves do. Behind each name stands the true value.",
    ]
    with alt.data_transformers.enable("default", consolidate_datasets=True):
        alt.data_transformers.disable_max_rows()
        found: dict[str, Any] = drawn(accuracy, rows).to_dict()
    found["title"] = {
        "text": TITLE,
        "subtitle": textwrap.wrap(notes[0], 125),
        "fontSize": 15,
        "anchor": "start",
        "frame": "bounds",
        "offset": 14,
    }
    found["description"] = f"{TITLE}. {' '.join(notes)}"
    found["config"] = theme.CONFIG
    found["usermeta"] = {"name": NAME, "title": TITLE, "notes": notes}
    return found


def drawn(accuracy: Accuracy, rows: pl.DataFrame) -> alt.ConcatChart | alt.Chart:
    """All panels, or a sentence where there is nothing."""
    if rows.is_empty():
        return theme.placeholder("nothing measured yet", 480, 120)
    sizes = sorted(rows["n"].unique().to_list())
    cells: list[theme.Cell] = []
    for quantity in rows["quantity"].unique(maintain_order=True):
        mine = rows.filter(pl.col("quantity") == quantity)
        for place, (low, high) in enumerate(groups(sizes)):
            here = mine.filter(pl.col("n").is_between(low, high))
            title = f"{QUANTITIES.get(quantity, quantity)} · n = {low}" + (f" to {high}" if high > low else "")
            cells.append(panel(here, mine, accuracy.families, title, first=not place))
    grid = theme.grid(cells, len(groups(sizes)), "", colour="shared", rows=18)
    return grid.resolve_scale(yOffset="independent")


def groups(sizes: list[int]) -> list[tuple[int, int]]:
    """Sample sizes that differ by less than a tenth share a column: tables are drawn in multiples of their total."""
    found: list[tuple[int, int]] = []
    for size in sizes:
        if found and size < 1.1 * found[-1][0]:
            found[-1] = (found[-1][0], size)
        else:
            found.append((size, size))
    return found


def panel(rows: pl.DataFrame, all_sizes: pl.DataFrame, families: list[str], title: str, first: bool) -> theme.Cell:
    """One measure at one sample size: a line per distribution, and in it one per family."""
    labelled = (pl.col("distribution") + " · " + pl.col("truth").map_elements(short, pl.String)).alias("label")
    order = all_sizes.select(labelled)["label"].unique(maintain_order=True).to_list()
    shown = rows.with_columns(
        labelled,
        (pl.col("estimate") - pl.col("truth")).alias("off"),
        (pl.col("low") - pl.col("truth")).alias("off_low"),
        (pl.col("high") - pl.col("truth")).alias("off_high"),
        (-pl.col("limit")).alias("below"),
        pl.when(pl.col("bound") == "").then(pl.lit("estimate")).otherwise(pl.col("bound")).alias("shape"),
    ).select(
        "label", "family", "measure", "shape", "n", "truth", "estimate", "error", "limit", "verdict", "seconds",
        "off", "off_low", "off_high", "below",
    )  # fmt: skip
    shown = shown.with_columns(pl.selectors.float().round_sig_figs(4))
    present = [family for family in families if family in set(all_sizes["family"])]
    if shown.is_empty():
        return theme.placeholder("not measured at this n", PANEL, 60, title)
    height = alt.Step(max(14, STEP * len(present) + 5), **{"for": "position"})
    y = alt.Y(
        "label:N",
        sort=None,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(title=None, labels=first, ticks=False, grid=True, labelLimit=360, labelFontSize=10),
    )
    within = alt.YOffset("family:N", sort=None, scale=alt.Scale(domain=present, paddingOuter=0.15))
    scale = alt.Scale(type="symlog", constant=LINEAR_TO, nice=False)
    axis = alt.Axis(title="estimate − truth", values=TICKS, format=".2~g", labelOverlap=True)
    x = alt.X("off:Q", scale=scale, axis=axis)
    palette = [PALETTE[index % len(PALETTE)] for index, _ in enumerate(families)]
    colour = alt.Color("family:N", scale=alt.Scale(domain=families, range=palette), legend=alt.Legend(title="family"))
    shape = alt.Shape(
        "shape:N",
        scale=alt.Scale(domain=["estimate", "upper", "lower"], range=["circle", "triangle-left", "triangle-right"]),
        legend=None,
    )
    tooltip = [
        *(alt.Tooltip(f"{name}:N") for name in ("label", "family", "measure", "verdict")),
        *(alt.Tooltip(f"{name}:Q") for name in ("n", "truth", "estimate", "error", "limit", "seconds")),
    ]
    base = alt.Chart(shown).encode(y, within)
    filled = alt.condition(f"datum.verdict == '{SAMPLED}'", alt.value("white"), colour)
    return (
        alt.layer(
            base.mark_bar(color="#dfe3e8", opacity=0.8).encode(alt.X("below:Q", scale=scale), alt.X2("limit:Q")),
            base.mark_rule(strokeWidth=1.2).encode(alt.X("off_low:Q", scale=scale), alt.X2("off_high:Q"), colour),
            base.mark_point(size=34, filled=False, strokeWidth=1.4, opacity=1).encode(
                x, colour, shape, fill=filled, tooltip=tooltip
            ),
            base.transform_filter(f"datum.verdict == '{WRONG}'")
            .mark_point(shape=CROSS, color=RED, size=14, strokeWidth=1.8, opacity=1)
            .encode(x, tooltip=tooltip),
            alt.Chart(theme.rows(off=0.0)).mark_rule(color=theme.INK, strokeWidth=0.8).encode(x),
        )
        .properties(title=title, width=PANEL, height=height)
        .resolve_scale(shape="shared")
    )


def short(value: float) -> str:
    """A true value in three digits."""
    return f"{value:.3g}" if value else "0"

"""Anatomy: how each residual addition z = s + f compresses, and what its branch does to the shortcut

Above, at the last checkpoint: Z-X of shortcut s, branch f and sum z of every addition with the verdict on how it
compresses, and the shares of the variance of s + f. Below, over training: by how much the addition makes X harder to
read, the coefficient of f on s (−1: f takes out what s carries), and the size of f. Lines are means over seeds, bands
reach from the smallest seed to the largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import Tables, spread

READS = ("phases",)

MARK = "regression_f_on_s"
MEASURES = {
    "s.zx": "s",
    "f.zx": "f",
    "z.zx": "z",
    f"f.{MARK}": "regression",
    "f.branch_ratio": "ratio",
    "z.variance_share_s": "share_s",
    "z.variance_share_f": "share_f",
    "z.variance_share_cross": "share_cross",
}
"""Part and measure -> column."""
COLOURS = {"s": "#0072B2", "f": "#D55E00", "z": theme.INK, "2 Cov(s, f)": "#999999"}
KEYS = ["architecture", "shortcut", "site", "depth", "step"]
NO_SHORTCUT = "no network here has a shortcut: there is nothing to analyse"
NOT_MEASURED = "additions were not analysed: add the measure family anatomy, and read sites ['*']"


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: the one that analysed additions"] = "auto"
    most: Annotated[int, "largest number of additions that are drawn, evenly spaced"] = 9
    scale: Annotated[Literal["sqrt", "linear"], "axis of Z-X; sqrt spreads the small values"] = "sqrt"

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")


@dataclass(frozen=True)
class Panel:
    """A quantity over training: its column, its axis, a line to compare it with."""

    field: str
    title: str
    height: int
    rule: float | None = None
    log: bool = False


OVER_TRAINING = (
    Panel("lost", "Z-X of z − s", 84, 0.0),
    Panel("regression", "slope f on s", 70, 0.0),
    Panel("ratio", "‖f‖ / ‖s‖", 70, log=True),
)


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One block per architecture: a column per shortcut, two rows for the last checkpoint, three over training."""
    family = tables.family(options.family, (MARK,))
    rows = _wide(tables, family)
    without = _without_shortcut(tables, family)
    if rows.is_empty():
        measured = tables.measures.filter(pl.col("family") == family, pl.col("value").is_finite()).height
        why = NO_SHORTCUT if without == tables.shortcuts else NOT_MEASURED
        return theme.placeholder(why, 620, 120) if measured else theme.empty(tables, family)
    shortcuts = [label for label in tables.shortcuts if label not in without]
    steps = scales.Steps(sorted(rows["step"].unique().to_list()))
    cells = [
        cell
        for architecture in tables.architectures
        for cell in _block(tables, family, architecture, shortcuts, steps.placed(rows), steps, options)
    ]
    told = (
        "Circles: Z-X at the last checkpoint, and how the addition compresses, with confidence. Bars: shares of "
        f"Var(s + f). Below: over training. {theme.basis(tables, family, 'z', options.scale, 'with linear decoders')}"
    )
    if without:
        named = ", ".join(f"'{label}'" for label in without)
        told += f" No shortcut, so not analysed: {named}."
    if tables.phases is None:
        told += " Verdicts need the phase analysis."
    return theme.grid(cells, len(shortcuts), told, colour="independent", rows=8)


def _wide(tables: Tables, family: str) -> pl.DataFrame:
    """One row per addition with a shortcut and step: means over seeds, smallest and largest seed of every column."""
    rows = tables.measures.filter(pl.col("family") == family, pl.col("value").is_finite()).with_columns(
        pl.concat_str("part", "measure", separator=".").alias("name")
    )
    rows = rows.filter(pl.col("name").is_in(list(MEASURES)))
    pair = ["architecture", "shortcut"]
    finished = rows.filter(pl.col("status") == "finished")
    alone = rows.filter(pl.col("status") != "finished").join(finished.select(pair).unique(), on=pair, how="anti")
    rows = pl.concat([finished, alone])
    wide = rows.select(*KEYS, "seed").unique()
    for name, column in MEASURES.items():
        values = rows.filter(pl.col("name") == name).select(*KEYS, "seed", pl.col("value").alias(column))
        wide = wide.join(
            values.unique([*KEYS, "seed"], keep="first", maintain_order=True), on=[*KEYS, "seed"], how="left"
        )
    wide = wide.drop_nulls("regression").with_columns((pl.col("z") - pl.col("s")).alias("lost"))
    columns = [*MEASURES.values(), "lost"]
    ends = [
        getattr(pl.col(column), how)().round_sig_figs(4).alias(f"{column}{end}")
        for column in columns
        for how, end in (("mean", ""), ("min", "_low"), ("max", "_high"))
    ]
    seeds = pl.col("seed").n_unique().alias("seeds")
    return wide.group_by(KEYS).agg(*ends, seeds).sort("architecture", "shortcut", "depth", "site", "step")


def _without_shortcut(tables: Tables, family: str) -> list[str]:
    """Shortcuts whose additions were measured, and have no s in any architecture."""
    rows = tables.measures.filter(pl.col("family") == family, pl.col("value").is_finite())
    branches, carried = (set(rows.filter(pl.col("part") == part)["shortcut"].to_list()) for part in ("f", "s"))
    return [label for label in tables.shortcuts if label in branches - carried]


def _block(
    tables: Tables,
    family: str,
    architecture: str,
    shortcuts: Sequence[str],
    rows: pl.DataFrame,
    steps: scales.Steps,
    options: Options,
) -> list[theme.Cell]:
    """The cells of one architecture, row by row."""
    mine = rows.filter(pl.col("architecture") == architecture)
    order = mine.sort("depth", "site")["site"].unique(maintain_order=True).to_list()
    sites = spread(order, options.most)
    mine = mine.filter(pl.col("site").is_in(sites))
    width = theme.fitted(420) if len(shortcuts) == 1 else theme.cell_width(len(shortcuts)) - 27
    ends = mine.filter(pl.col("step") == pl.col("step").max().over("shortcut"))
    ends = ends.join(
        _verdicts(tables, family), on=["architecture", "shortcut", "site"], how="left", maintain_order="left"
    )
    span = scales.Span(options.scale, *(ends[part] for part in "sfz"))
    shares = scales.Span("linear", *_extremes(ends), zero=True, margin=0.04)
    present = [label for label in shortcuts if label in mine["shortcut"]]
    cells: list[theme.Cell] = []
    for kind, panel in [("carried", None), ("shares", None), *(("training", panel) for panel in OVER_TRAINING)]:
        for column, shortcut in enumerate(shortcuts):
            title = f"{architecture} · {shortcut}" if kind == "carried" else None
            named = {"title": title} if title else {}
            at = Place(architecture, sites, width, not column, [shortcut] == present[-1:])
            height = panel.height if panel else max(30, (15 if kind == "carried" else 13) * len(sites))
            of = (ends if panel is None else mine).filter(pl.col("shortcut") == shortcut)
            if of.is_empty():
                cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, height, title))
            elif panel is None:
                cell = _carried(of, span, at) if kind == "carried" else _shares(of, shares, at)
                cells.append(cell.properties(width=width, height=height, **named))
            else:
                cells.append(_training(of, mine, panel, steps, at))
    return cells


def _verdicts(tables: Tables, family: str) -> pl.DataFrame:
    """architecture, shortcut, site, verdict, evidence, strong (a mechanism); no rows without the phase analysis."""
    keys = ["architecture", "shortcut", "site"]
    if tables.phases is None:
        return pl.DataFrame(schema=dict.fromkeys([*keys, "verdict", "evidence"], pl.String) | {"strong": pl.Boolean})
    sure = (pl.col("confidence") * 100).round(0).cast(pl.Int64, strict=False).cast(pl.String)
    said = pl.concat_str(pl.col("verdict"), pl.lit(" "), sure, pl.lit("%")).fill_null("undecided")
    found = tables.phases.blocks.filter(pl.col("family") == family)
    strong = pl.col("verdict").is_not_null() & (pl.col("verdict") != "none")
    evidence = pl.concat_str("evidence", "note", separator=" ")
    return found.select(*keys, said.alias("verdict"), evidence.alias("evidence"), strong.alias("strong"))


def _extremes(ends: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """How far stacked shares reach left and right of 0."""
    names = ("share_s", "share_f", "share_cross")
    below = ends.select(pl.sum_horizontal(pl.col(name).clip(upper_bound=0).fill_null(0) for name in names))
    above = ends.select(pl.sum_horizontal(pl.col(name).clip(lower_bound=0).fill_null(0) for name in names))
    return below.to_series(), above.to_series()


@dataclass(frozen=True)
class Place:
    """A cell's architecture, additions and width, and whether it is the first or last of its row."""

    architecture: str
    sites: Sequence[str]
    width: int
    first: bool
    last: bool

    def y(self) -> alt.Y:
        axis = alt.Axis(
            title=None, labels=self.first, ticks=False, labelFontSize=10, labelLimit=100, labelOverlap=False
        )
        return alt.Y("site:N", sort=None, scale=alt.Scale(domain=list(self.sites)[::-1]), axis=axis)

    def legend(self) -> alt.Legend | None:
        return alt.Legend(symbolType="circle", rowPadding=0, labelFontSize=10, symbolSize=50) if self.last else None


VERDICT_WIDTH = 104


def _decades(low: float, high: float) -> list[float]:
    """Round values on a logarithmic axis: as many within a decade as it spans few."""
    within = (1,) if high / low > 60 else (1, 2, 5) if high / low > 8 else (1, 1.5, 2, 3, 4, 6)
    values = [step * 10.0**decade for decade in range(-9, 10) for step in within]
    return [round(value, 9) for value in values if low <= value <= high]


def _carried(ends: pl.DataFrame, span: scales.Span, at: Place) -> theme.Cell:
    """Z-X of s, f and z of every addition; the verdict stands right of them."""
    room = max(60, at.width - VERDICT_WIDTH)
    scale = span.scale
    scale.range = [0, room]
    axis = alt.Axis(title=None, values=span.ticks(room, 36), format=scales.FORMAT, orient="bottom")
    y = at.y()
    long = ends.unpivot(["s", "f", "z"], index=["site"], variable_name="part", value_name="zx").drop_nulls("zx")
    colour = alt.Color(
        "part:N",
        title="Z-X of",
        scale=alt.Scale(domain=["s", "f", "z"], range=[COLOURS[part] for part in "sfz"]),
        legend=at.legend(),
    )
    x = alt.X("zx:Q", scale=scale, axis=axis)
    told = ["site", "s", "f", "z", "verdict", "evidence", "strong"]
    tooltip = [
        alt.Tooltip("site:N"),
        *(alt.Tooltip(f"{part}:Q", title=f"Z-X of {part}") for part in "sfz"),
        alt.Tooltip("verdict:N"),
        alt.Tooltip("evidence:N"),
    ]
    base = alt.Chart(ends.select(told))
    step = base.mark_rule(strokeWidth=2.5, color=theme.FAINT, opacity=0.8).encode(
        alt.X("s:Q", scale=scale, axis=axis), alt.X2("z:Q"), y
    )
    points = alt.Chart(long).mark_circle(size=42, opacity=1).encode(x, y, colour)
    words = base.mark_text(align="right", baseline="middle", fontSize=10, limit=VERDICT_WIDTH)
    ink = alt.condition("datum.strong", alt.value(theme.INK), alt.value(theme.FAINT))
    names = words.encode(y, color=ink, x=alt.value(at.width - 2), text="verdict:N", tooltip=tooltip)
    return alt.layer(step, points, names)


def _shares(ends: pl.DataFrame, span: scales.Span, at: Place) -> theme.Cell:
    """Shares of Var(s + f) as bars that go left where they are negative."""
    named = {"share_s": "s", "share_f": "f", "share_cross": "2 Cov(s, f)"}
    long = ends.unpivot(list(named), index=["site"], variable_name="part", value_name="share").drop_nulls("share")
    long = long.with_columns(pl.col("part").replace(named))
    order = list(named.values())
    axis = alt.Axis(title=None, values=span.ticks(at.width, 26), format=scales.FORMAT)
    colour = alt.Color(
        "part:N",
        title="share of Var(s + f)",
        scale=alt.Scale(domain=order, range=[COLOURS[part] for part in order]),
        legend=at.legend(),
    )
    bars = alt.Chart(long).mark_bar(height={"band": 0.72}, opacity=0.85)
    tooltip = [alt.Tooltip("site:N"), alt.Tooltip("part:N"), alt.Tooltip("share:Q")]
    return bars.encode(alt.X("share:Q", stack="zero", scale=span.scale, axis=axis), at.y(), colour, tooltip=tooltip)


def _training(rows: pl.DataFrame, beside: pl.DataFrame, panel: Panel, steps: scales.Steps, at: Place) -> theme.Cell:
    """One quantity over training, a line per addition; all shortcuts of an architecture share its range."""
    field, low, high = panel.field, f"{panel.field}_low", f"{panel.field}_high"
    extent = theme.AXIS_EXTENT if at.first else 0
    common: dict[str, Any] = {"title": panel.title if at.first else None, "labels": at.first, "minExtent": extent}
    if panel.log:
        rows, positive = rows.filter(pl.col(low) > 0), beside.filter(pl.col(low) > 0)
        ends = [float(positive[low].min() or 0.1) / 1.2, float(positive[high].max() or 1.0) * 1.2]  # type: ignore[arg-type]
        scale = alt.Scale(type="log", domain=ends, nice=False)
        axis = alt.Axis(values=_decades(*ends), format="~g", **common)
    else:
        reference = pl.Series([panel.rule], dtype=pl.Float64)
        span = scales.Span("linear", beside[low], beside[high], reference, zero=False, margin=0.08)
        scale, axis = span.scale, alt.Axis(values=span.ticks(panel.height, 9), format=scales.FORMAT, **common)
    x = steps.x(shown=panel is OVER_TRAINING[-1])
    y = alt.Y(f"{field}:Q", scale=scale, axis=axis)
    legend = alt.Legend(symbolType="stroke", rowPadding=0, labelFontSize=10)
    colour = alt.Color(
        "site:N",
        title=f"addition of {at.architecture}",
        scale=alt.Scale(domain=list(at.sites), scheme=theme.DEPTH_SCHEME),
        legend=legend if at.last and panel is OVER_TRAINING[0] else None,
    )
    tooltip = [
        alt.Tooltip("site:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip(f"{field}:Q", title="mean"),
        alt.Tooltip(f"{low}:Q", title="smallest seed"),
        alt.Tooltip(f"{high}:Q", title="largest seed"),
    ]
    chart = alt.Chart(rows.select("site", "step", "at", field, low, high, "seeds"))
    layers = [
        chart.mark_line(strokeWidth=1.6).encode(x, y, colour),
        chart.mark_circle(size=11, opacity=1).encode(x, y, colour, tooltip=tooltip),
    ]
    if rows.height and rows["seeds"].max() != 1:
        band = alt.Y(f"{low}:Q", scale=scale, axis=axis)
        layers.insert(0, chart.mark_area(opacity=0.14).encode(x, band, alt.Y2(f"{high}:Q"), colour))
    if panel.rule is not None:
        line = alt.Chart(pl.DataFrame({field: [panel.rule]})).mark_rule(strokeDash=[4, 3], color=theme.FAINT)
        layers.insert(0, line.encode(y))
    return alt.layer(*layers, width=at.width, height=panel.height)

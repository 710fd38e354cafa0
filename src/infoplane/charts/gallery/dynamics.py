"""Dynamics: Z-X and Z-Y of each layer against the training step, beside the task's metric.

Lines are means over seeds, bands reach from the smallest seed to the largest. Step 0 stands left of the logarithmic
axis. Other measures may be shown in their place, such as I(X;Z) and I(Z;Y).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import PAIR, Curves, Tables, curves, scores, spread


@dataclass(frozen=True)
class Options:
    measures: Annotated[tuple[str, ...], "what is drawn above the task's metric, a row for each"] = ("zx", "zy")
    family: Annotated[str, "measure family; auto: kernel where it was measured"] = "auto"
    part: Annotated[Literal["z", "s", "f"], "sum, shortcut or branch of every addition"] = "z"
    most: Annotated[int, "largest number of sites that are drawn, evenly spaced, and the last block"] = 9
    scale: Annotated[Literal["sqrt", "linear"], "axis of the measures; sqrt spreads the small values"] = "sqrt"

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")
        if not self.measures or len(set(self.measures)) < len(self.measures):
            raise ValueError(f"measures must name one or more, each once, got {list(self.measures)}")


COLOURS = {"validation": "#0072B2", "train": "#E69F00"}


@dataclass(frozen=True)
class Panel:
    """One quantity of a block: the field with its ``_low`` and ``_high``, its axis, its height in pixels."""

    field: str
    title: str
    height: int
    span: scales.Span
    of_split: bool = False
    """The task's metric, of which each line is a split and not a site."""
    percent: bool = False
    first: bool = False
    """The uppermost of its block, which bears the titles and the legend of sites."""

    def y(self, field: str, first: bool) -> alt.Y:
        """The axis, labelled in the first column only."""
        extent = theme.AXIS_EXTENT if first else 0
        axis = alt.Axis(
            title=self.title if first else None,
            labels=first,
            minExtent=extent,
            maxExtent=extent,
            values=[0, 0.5, 1] if self.percent else self.span.ticks(self.height, 14),
            format="%" if self.percent else scales.FORMAT,
        )
        return alt.Y(f"{field}:Q", scale=self.span.scale, axis=axis)


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One block per architecture: a column per shortcut, and rows for every measure and the task's metric."""
    found = curves(tables, options.family, options.part, options.measures)
    learned = scores(tables)
    if found.rows.is_empty() and learned.is_empty():
        return theme.empty(tables, found.family)
    steps = scales.Steps(sorted({*found.steps, *learned["step"].to_list()}))
    cells = [
        cell
        for architecture in tables.architectures
        for cell in _block(tables, architecture, found, learned, steps, options)
    ]
    noun = "decoders" if set(found.measures) <= set(PAIR) else "estimates"
    basis = theme.basis(tables, found.family, found.part, options.scale, noun)
    named = ", ".join(map(theme.name, found.measures))
    title = "" if found.measures == PAIR else f"Dynamics: {named} of each layer against the training step"
    description = f"{basis} {theme.cautions(tables, found)}".strip()
    return theme.grid(cells, len(tables.shortcuts), description, colour="independent", rows=8, title=title)


def _block(
    tables: Tables, architecture: str, found: Curves, learned: pl.DataFrame, steps: scales.Steps, options: Options
) -> list[theme.Cell]:
    """The cells of one architecture, row by row."""
    sites = spread(found.sites(architecture), options.most, [found.last_block(architecture)])
    rows = steps.placed(found.of(architecture).filter(pl.col("site").is_in(sites)))
    judged = steps.placed(learned.filter(pl.col("architecture") == architecture))
    entropy = found.label_entropy()
    reference = pl.Series([entropy], dtype=pl.Float64)
    panels: list[Panel] = []
    for measure in found.measures:
        seen = [rows[f"{measure}_low"], rows[f"{measure}_high"]]
        span = scales.Span(options.scale, *seen)
        if measure == "zy":
            span = scales.Span(options.scale, *seen, reference, margin=0.12)
        panels.append(Panel(measure, _title(found, measure), 118, span, first=not panels))
    metric = tables.metric
    ends = pl.Series([metric.low, metric.high], dtype=pl.Float64)
    bounded = ends.null_count() == 0
    seen = [] if bounded else [judged["score_low"], judged["score_high"]]
    whole = scales.Span("linear", ends, *seen, margin=0.0 if bounded else 0.08)
    score = Panel("score", metric.axis, 72, whole, of_split=True, percent=metric.unit == "share")

    def by_site(legend: alt.Legend | None) -> alt.Color:
        scale = alt.Scale(domain=sites, scheme=theme.DEPTH_SCHEME)
        return alt.Color("site:N", title=f"site of {architecture}", scale=scale, legend=legend)

    def by_split(legend: alt.Legend | None) -> alt.Color:
        scale = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
        return alt.Color("split:N", title=f"{metric.title} on", scale=scale, legend=legend)

    cells = [cell for panel in panels for cell in _row(tables, architecture, rows, panel, by_site, steps, entropy)]
    return [*cells, *_row(tables, architecture, judged, score, by_split, steps)]


def _title(found: Curves, measure: str) -> str:
    default = {"zx": "nmse", "zy": "nats"}.get(measure, "")
    return theme.axis_title(measure, found.units.get(measure, default))


def _row(
    tables: Tables,
    architecture: str,
    rows: pl.DataFrame,
    panel: Panel,
    colour: Callable[[alt.Legend | None], alt.Color],
    steps: scales.Steps,
    entropy: float | None = None,
) -> list[theme.Cell]:
    """One quantity, a cell per shortcut. Titles stand above the first, steps below the metric, legends at the right."""
    width = theme.cell_width(len(tables.shortcuts))
    field, low, high = panel.field, f"{panel.field}_low", f"{panel.field}_high"
    group = "split" if panel.of_split else "site"
    legend = alt.Legend(symbolType="stroke", rowPadding=0, labelFontSize=10)
    cells: list[theme.Cell] = []
    for column, shortcut in enumerate(tables.shortcuts):
        title = f"{architecture} · {shortcut}" if panel.first else None
        named = {"title": title} if title else {}
        mine = rows.filter(pl.col("shortcut") == shortcut).drop_nulls([field])
        if mine.is_empty():
            cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, panel.height, title))
            continue
        explained = (panel.first or panel.of_split) and column == len(tables.shortcuts) - 1
        x, y = steps.x(shown=panel.of_split), panel.y(field, first=not column)
        c = colour(legend if explained else None)
        chart = alt.Chart(mine.select(group, "step", "at", field, low, high, "seeds"))
        tooltip = [
            alt.Tooltip(f"{group}:N"),
            alt.Tooltip("step:Q"),
            alt.Tooltip(f"{field}:Q", title="mean"),
            alt.Tooltip(f"{low}:Q", title="smallest seed"),
            alt.Tooltip(f"{high}:Q", title="largest seed"),
            alt.Tooltip("seeds:Q"),
        ]
        layers = [
            chart.mark_line(strokeWidth=1.7).encode(x, y, c),
            chart.mark_circle(size=14, opacity=1).encode(x, y, c, tooltip=tooltip),
        ]
        if mine["seeds"].max() != 1:
            band = chart.mark_area(opacity=0.16)
            layers.insert(0, band.encode(x, panel.y(low, first=not column), alt.Y2(f"{high}:Q"), c))
        if field == "zy" and entropy is not None:
            layers = [*theme.entropy_line(entropy, y, width), *layers]
        cells.append(alt.layer(*layers, width=width, height=panel.height, **named))
    return cells

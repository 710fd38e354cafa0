"""Generalisation: how pronounced the phases are, and the gap between validation and training loss

Amplitude of the phases at the last residual block (fit depth, compression height) against the generalisation gap,
validation loss less training loss at the last step; one point per run. The networks differ in much else, so a
correlation does not show a cause.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import Tables
from infoplane.charts.phase_rows import at_site, intervals, kept_at, phase_rows, without_phases

READS = ("phases",)

QUANTITIES = {"fit_depth": "fit depth", "compression_height": "compression height"}
GAP = "loss_gap"
SHAPES = ["circle", "triangle-up", "square", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right"]
METHODS = {"pearson": "r", "spearman": "ρ", "kendall": "τ"}
HEIGHT = 240


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: the one that the phase analysis read"] = "auto"
    method: Annotated[Literal["pearson", "spearman", "kendall"], "the correlation that is shown"] = "spearman"

    def __post_init__(self) -> None:
        if self.method not in ("pearson", "spearman", "kendall"):
            raise ValueError(f"method must be pearson, spearman or kendall, got {self.method}")


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """Two cells: fit depth and compression height against the gap."""
    rows = phase_rows(tables, options.family)
    if rows is None:
        return without_phases(tables, options.family)
    family = rows["family"][0]
    runs = kept_at(rows, at_site(tables, rows)).filter(pl.col("seed").is_not_null())
    measure = rows["measure"][0]
    width = theme.fitted(340)
    cells: list[theme.Cell] = []
    for index, (field, name) in enumerate(QUANTITIES.items()):
        told = _correlation(tables, family, field, options.method, _whole(tables))
        unit = "" if measure == "zx" else f" of {theme.name(measure)}"
        cell = _cell(tables, runs, field, f"{name}{unit}", width, first=not index)
        title = alt.TitleParams(name, subtitle=[told])
        cells.append(cell.properties(width=width, height=HEIGHT, title=title))
    return theme.grid(cells, len(QUANTITIES), _description(tables, family, options.method), colour="shared")


def _description(tables: Tables, family: str, method: str) -> str:
    within = []
    for architecture in tables.architectures if len(tables.architectures) > 1 else []:
        both = [_correlation(tables, family, field, method, architecture, brief=True) for field in QUANTITIES]
        if any(both):
            within.append(f"{architecture} {' and '.join(text or '?' for text in both)}")
    told = f" Within an architecture: {'; '.join(within)}." if within else ""
    name = f"{method.capitalize()}'s {METHODS[method]}"
    basis = theme.basis(tables, family).replace("mean over", "runs of")
    return f"One point per run, at the last block; {name} with {intervals(tables)}.{told} {basis}"


def _whole(tables: Tables) -> str:
    """What the gap table calls all runs together: the only architecture where there is one."""
    return "all" if len(tables.architectures) > 1 else next(iter(tables.architectures), "all")


def _correlation(tables: Tables, family: str, field: str, method: str, within: str, brief: bool = False) -> str:
    """A correlation with its interval, in words."""
    assert tables.phases is not None
    found = tables.phases.gaps.filter(
        pl.col("family") == family,
        pl.col("within") == within,
        pl.col("quantity") == field,
        pl.col("gap") == "loss",
        pl.col("method") == method,
    )
    if found.is_empty() or found["correlation"][0] is None:
        why = found["note"][0] if found.height and found["note"][0] else "too few runs"
        return "" if brief else f"no correlation: {why}"
    value, low, high = (_number(found[f"correlation{end}"][0]) for end in ("", "_low", "_high"))
    if brief:
        return f"{value} ({low} to {high})"
    return f"{METHODS[method]} = {value} ({low} to {high}), {found['runs'][0]} runs"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _cell(tables: Tables, runs: pl.DataFrame, field: str, name: str, width: int, first: bool) -> theme.Cell:
    """One amplitude against the gap."""
    known = runs.drop_nulls([field, GAP]).filter(pl.col(field).is_finite(), pl.col(GAP).is_finite())
    known = known.select("architecture", "shortcut", "seed", "label", pl.col(field, GAP, "metric").round_sig_figs(4))
    nothing = pl.Series([0.0])
    unit = f" ({tables.loss_unit})" if tables.loss_unit != "1" else ""
    spans = [scales.Span("linear", known[each], nothing, zero=False, margin=0.08) for each in (field, GAP)]
    x = alt.X(
        f"{field}:Q",
        scale=spans[0].scale,
        axis=alt.Axis(title=name, values=spans[0].ticks(width, 30), format=scales.FORMAT),
    )
    y = alt.Y(
        f"{GAP}:Q",
        scale=spans[1].scale,
        axis=alt.Axis(
            title=f"validation − training loss{unit}" if first else None,
            labels=first,
            values=spans[1].ticks(HEIGHT, 18),
            format=scales.FORMAT,
        ),
    )
    zero = alt.Chart(theme.rows(loss_gap=0.0)).mark_rule(color=theme.FAINT, strokeDash=[4, 3], clip=True).encode(y)
    if known.is_empty():
        words = alt.Chart(theme.rows(text="nothing to correlate")).mark_text(color=theme.FAINT, fontStyle="italic")
        return alt.layer(zero, words.encode(x=alt.value(width / 2), y=alt.value(HEIGHT / 2), text="text:N"))
    colour = alt.Color(
        "shortcut:N",
        title=None,
        scale=theme.shortcut_colours(tables),
        legend=alt.Legend(orient="top", direction="horizontal", symbolType="circle"),
    )
    labels = tables.architectures
    shape = alt.Shape(
        "architecture:N",
        title=None,
        scale=alt.Scale(domain=labels, range=[SHAPES[index % len(SHAPES)] for index in range(len(labels))]),
        legend=alt.Legend(orient="top", direction="horizontal", symbolFillColor=theme.MUTED),
    )
    tooltip = [
        alt.Tooltip("architecture:N"),
        alt.Tooltip("shortcut:N"),
        alt.Tooltip("seed:Q"),
        alt.Tooltip(f"{field}:Q", title=name),
        alt.Tooltip(f"{GAP}:Q", title=f"gap{unit}"),
        alt.Tooltip("metric:Q", title=f"validation {tables.metric.axis}"),
        alt.Tooltip("label:N"),
    ]
    points = alt.Chart(known).mark_point(size=80, filled=True, opacity=0.8, stroke="white", strokeWidth=0.8)
    return alt.layer(zero, points.encode(x, y, colour, shape, tooltip=tooltip))

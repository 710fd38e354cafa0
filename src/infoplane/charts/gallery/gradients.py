"""Gradients: what batches agree on (mean) and where they differ (standard deviation), layer by layer

Shwartz-Ziv and Tishby 2017 (arXiv:1703.00810), figure 4: both norms relative to the layer's weights, log-log, and their
ratio, the signal-to-noise. While it is above 1 the weights drift, below 1 they diffuse; the rule marks where the whole
network passes from one to the other (median over seeds). Lines are means over seeds.
"""

from dataclasses import dataclass
from typing import Annotated

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import Curves, Tables, curves, spread

MEAN, STD, SNR, SIZE, END = "gradient_mean", "gradient_std", "gradient_snr", "weight_norm", "drift_to_diffusion_step"
NETWORK = "network"
"""The site of all layers together."""
DASHES = {"mean": [1, 0], "standard deviation": [4, 2]}
HEIGHT = 190
MANY = 60
"""From more checkpoints than this on, their points would hide the lines."""


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: the one that measured gradients"] = "auto"
    most: Annotated[int, "largest number of layers that are drawn, evenly spaced"] = 9
    relative: Annotated[bool, "divide mean and deviation by the norm of the layer's weights"] = True

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """Two rows per architecture, norms and their ratio, and one column per shortcut."""
    found = curves(tables, options.family, "weight", (MEAN, STD, SNR, SIZE))
    if found.rows.is_empty():
        return theme.empty(tables, found.family)
    share = pl.col(SIZE) if options.relative else pl.lit(1.0)
    rows = found.rows.with_columns(pl.col(MEAN) / share, pl.col(STD) / share)
    steps = scales.Steps(found.steps)
    ends = _ends(tables, found)
    cells = [
        cell
        for architecture in tables.architectures
        for cell in _block(tables, architecture, found, steps.placed(rows), ends, steps, options)
    ]
    basis = theme.basis(tables, found.family, noun="", of="samples in batches")
    told = (
        "Solid: mean; dashed: standard deviation. Signal-to-noise above 1: drift; below: diffusion; the rule marks "
        f"where the whole network passes from one to the other. {basis}"
    )
    return theme.grid(cells, len(tables.shortcuts), told, colour="independent", rows=10)


def _ends(tables: Tables, found: Curves) -> pl.DataFrame:
    """Where drift turns to diffusion: architecture, shortcut, step; nothing where it never does."""
    measured = tables.measures.filter(
        pl.col("family") == found.family,
        pl.col("part") == found.part,
        pl.col("measure") == END,
        pl.col("value").is_finite(),
    )
    return measured.group_by("architecture", "shortcut").agg(pl.col("value").median().alias("step"))


def _block(
    tables: Tables,
    architecture: str,
    found: Curves,
    rows: pl.DataFrame,
    ends: pl.DataFrame,
    steps: scales.Steps,
    options: Options,
) -> list[theme.Cell]:
    """The cells of one architecture, row by row."""
    layers = spread([site for site in found.sites(architecture) if site != NETWORK], options.most)
    mine = rows.filter(pl.col("architecture") == architecture, pl.col("site").is_in(layers))
    norms = mine.unpivot([MEAN, STD], index=["shortcut", "site", "step", "at", "seeds"], variable_name="of")
    norms = norms.with_columns(pl.col("of").replace({MEAN: "mean", STD: "standard deviation"}))
    ratio = mine.select("shortcut", "site", "step", "at", "seeds", pl.lit("ratio").alias("of"), value=pl.col(SNR))
    ends = ends.filter(pl.col("architecture") == architecture)
    title = "gradient / weights" if options.relative else "gradient norm"
    return [
        *_row(tables, architecture, norms, layers, ends, steps, title, first=True),
        *_row(tables, architecture, ratio, layers, ends, steps, "signal-to-noise", first=False),
    ]


def _row(
    tables: Tables,
    architecture: str,
    rows: pl.DataFrame,
    layers: list[str],
    ends: pl.DataFrame,
    steps: scales.Steps,
    axis: str,
    first: bool,
) -> list[theme.Cell]:
    """One quantity, a cell per shortcut; the first row bears titles and legends, the second the axis of steps."""
    width = theme.cell_width(len(tables.shortcuts))
    rows = rows.filter(pl.col("value").is_finite(), pl.col("value") > 0)
    values: list[float] = [*rows["value"].to_list(), *([] if first and rows.height else [1.0])]
    domain = [min(values) / 1.2, max(values) * 1.2]
    cells: list[theme.Cell] = []
    for column, shortcut in enumerate(tables.shortcuts):
        title = f"{architecture} · {shortcut}" if first else None
        named = {"title": title} if title else {}
        mine = rows.filter(pl.col("shortcut") == shortcut).drop("shortcut")
        if mine.is_empty():
            cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, HEIGHT, title))
            continue
        last = column == len(tables.shortcuts) - 1
        legend = alt.Legend(symbolType="stroke", rowPadding=0, labelFontSize=10)
        extent = theme.AXIS_EXTENT if not column else 0
        y = alt.Y(
            "value:Q",
            scale=alt.Scale(type="log", domain=domain, nice=False),
            axis=alt.Axis(
                title=None if column else axis, labels=not column, format="~g", tickCount=5, minExtent=extent
            ),
        )
        colour = alt.Color(
            "site:N",
            title=f"layer of {architecture}",
            scale=alt.Scale(domain=layers, scheme=theme.DEPTH_SCHEME),
            legend=legend if last and first else None,
        )
        dash = alt.StrokeDash(
            "of:N",
            title=None,
            scale=alt.Scale(domain=list(DASHES), range=list(DASHES.values())),
            legend=None,
        )
        tooltip = [alt.Tooltip("site:N"), alt.Tooltip("of:N"), alt.Tooltip("step:Q"), alt.Tooltip("value:Q")]
        chart = alt.Chart(mine.with_columns(pl.col("value").round_sig_figs(4)))
        x = steps.x(shown=not first)
        lines = chart.mark_line(strokeWidth=1.6).encode(x, y, colour, *([dash] if first else []))
        marks = [
            lines,
            chart.mark_circle(size=12 if mine["step"].n_unique() <= MANY else 2, opacity=1).encode(
                x, y, colour, tooltip=tooltip
            ),
        ]
        if not first:
            marks.append(alt.Chart(theme.rows(value=1.0)).mark_rule(color=theme.FAINT).encode(y))
        end = ends.filter(pl.col("shortcut") == shortcut)
        if end.height:
            rule = alt.Chart(steps.placed(end.select("step"))).mark_rule(
                strokeDash=[5, 3], color=theme.MUTED, clip=True
            )
            marks.append(rule.encode(x))
        cells.append(alt.layer(*marks, width=width, height=HEIGHT, **named))
    return cells

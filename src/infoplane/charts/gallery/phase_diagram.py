"""Phase diagram: how deep each network fits (across) and how high it then compresses (upwards)

Fit depth and compression height of one site with their intervals: large over all seeds, small for each seed. The
margin, below which a change counts as zero, divides the plane into the labels of the phase analysis. Axes are linear up
to the margin and logarithmic beyond, so that it can be seen.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import altair as alt
import polars as pl

from infoplane.charts import theme
from infoplane.charts.frames import Tables
from infoplane.charts.phase_rows import at_site, intervals, kept_at, phase_rows, without_phases

READS = ("phases",)

FIT, COMPRESSION = "fit_depth", "compression_height"
NAMES = {FIT: "fit depth", COMPRESSION: "compression height"}
CORNERS = ("flat", "fitting only", "compression\nonly", "two-phase")
"""Lower left, lower right, upper left, upper right."""
HEIGHT = 230


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: the one that the phase analysis read"] = "auto"
    site: Annotated[str, "which site to show; auto: the last residual block"] = "auto"
    shared_axes: Annotated[bool, "one range for all architectures, so that positions can be compared"] = False


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One cell per architecture, one colour per shortcut."""
    rows = phase_rows(tables, options.family)
    if rows is None:
        return without_phases(tables, options.family)
    count = len(tables.architectures)
    columns = 2 if count == 4 else min(3, count)
    width = theme.fitted({1: 480, 2: 360}.get(columns, 240))
    chosen = at_site(tables, rows, options.site)
    kept = kept_at(rows, chosen)
    cells: list[theme.Cell] = []
    for index, architecture in enumerate(tables.architectures):
        mine = kept.filter(pl.col("architecture") == architecture)
        title = " · ".join(filter(None, [architecture, chosen[architecture]]))
        if mine.is_empty():
            words = f"no phases at {options.site}" if options.site != "auto" else "nothing measured"
            cells.append(theme.placeholder(words, width, HEIGHT, title))
            continue
        frame = Plane.of(kept if options.shared_axes else mine, width)
        cell = _cell(tables, mine, frame, first=not index % columns)
        cells.append(cell.properties(width=width, height=HEIGHT, title=title))
    family = rows["family"][0]
    told = (
        f"Large: over seeds, with {intervals(tables)}; small: single seeds. Dashed: margin; axes linear up to it, "
        f"logarithmic beyond. {theme.basis(tables, family)}"
    )
    return theme.grid(cells, columns, told, colour="shared")


@dataclass(frozen=True)
class Plane:
    """Ranges of both axes, which are linear up to the margin and logarithmic beyond."""

    margin: float
    across: tuple[float, float]
    up: tuple[float, float]
    width: int

    @classmethod
    def of(cls, rows: pl.DataFrame, width: int) -> "Plane":
        known = rows["margin"].drop_nulls()
        margin = float(known[0]) if len(known) and known[0] > 0 else 0.01
        return cls(margin, cls._range(rows, FIT, margin), cls._range(rows, COMPRESSION, margin), width)

    @staticmethod
    def _range(rows: pl.DataFrame, name: str, margin: float) -> tuple[float, float]:
        ends = rows.filter(pl.col("seed").is_null())
        series = [ends[f"{name}_low"], ends[f"{name}_high"], rows[name]]
        finite = [x for one in series for x in one.drop_nulls().to_list() if math.isfinite(x)]
        low, high = min([-margin, *finite]), max([4 * margin, *finite])
        return low * 1.25, high * 1.9  # room for the labels of regions

    def place(self, value: float) -> float:
        """Position of a value before it is stretched to the axis."""
        return math.copysign(math.log1p(abs(value) / self.margin), value)

    def share(self, value: float, ends: tuple[float, float]) -> float:
        low, high = map(self.place, ends)
        return (self.place(value) - low) / (high - low)

    def axis(self, field: str, ends: tuple[float, float], title: str | None, pixels: int) -> dict[str, Any]:
        """Scale and axis of a field, with round multiples of the margin that are far enough apart."""
        kept: list[float] = []
        sizes = [factor * self.margin for factor in (1, 10, 100, 3, 30, 300, 1000)]
        for value in [0.0, *sizes, *(-size for size in sizes)]:
            apart = all(abs(self.share(value, ends) - self.share(other, ends)) * pixels >= 20 for other in kept)
            if apart and ends[0] <= value <= ends[1]:
                kept.append(round(value, 9))
        return {
            "scale": alt.Scale(type="symlog", constant=self.margin, domain=list(ends), nice=False),
            "axis": alt.Axis(title=title, values=sorted(kept), format=".2~g", grid=False),
        }


def _cell(tables: Tables, rows: pl.DataFrame, frame: Plane, first: bool) -> theme.Cell:
    """Points of one architecture on the divided plane."""
    unit = "" if rows["measure"][0] == "zx" else f" of {theme.name(rows['measure'][0])}"
    across = frame.axis(FIT, frame.across, f"fit depth{unit}", frame.width)
    up = frame.axis(COMPRESSION, frame.up, f"compression height{unit}" if first else None, HEIGHT)
    x, y = alt.X(f"{FIT}:Q", **across), alt.Y(f"{COMPRESSION}:Q", **up)
    colour = alt.Color(
        "shortcut:N",
        title=None,
        scale=theme.shortcut_colours(tables),
        legend=alt.Legend(orient="top", direction="horizontal", symbolType="circle"),
    )
    columns = ["shortcut", "seed", "label", "confidence", "seeds"]
    columns += [f"{name}{end}" for name in (FIT, COMPRESSION) for end in ("", "_low", "_high")]
    known = rows.drop_nulls([FIT, COMPRESSION]).select(columns)
    known = known.with_columns(pl.col(pl.Float64).round_sig_figs(4), pl.col("label").fill_null("nothing to judge"))
    seeds, over = known.filter(pl.col("seed").is_not_null()), known.filter(pl.col("seed").is_null()).drop("seed")
    layers = _regions(frame, x, y)
    if known.is_empty():
        words = alt.Chart(theme.rows(text="nothing can move here")).mark_text(color=theme.FAINT, fontStyle="italic")
        layers.append(words.encode(x=alt.value(frame.width / 2), y=alt.value(HEIGHT / 2), text="text:N"))
        return alt.layer(*layers)
    tooltip = [
        alt.Tooltip("shortcut:N"),
        alt.Tooltip("label:N"),
        alt.Tooltip("confidence:Q", format=".0%"),
        alt.Tooltip(f"{FIT}:Q", title=NAMES[FIT]),
        alt.Tooltip(f"{FIT}_low:Q", title="from"),
        alt.Tooltip(f"{FIT}_high:Q", title="to"),
        alt.Tooltip(f"{COMPRESSION}:Q", title=NAMES[COMPRESSION]),
        alt.Tooltip(f"{COMPRESSION}_low:Q", title="from"),
        alt.Tooltip(f"{COMPRESSION}_high:Q", title="to"),
    ]
    base = alt.Chart(over)
    rule = base.mark_rule(strokeWidth=1.6, opacity=0.75, clip=True)
    x_low, y_low = alt.X(f"{FIT}_low:Q", **across), alt.Y(f"{COMPRESSION}_low:Q", **up)
    layers += [
        rule.encode(x_low, y, colour, alt.X2(f"{FIT}_high:Q")),
        rule.encode(x, y_low, colour, alt.Y2(f"{COMPRESSION}_high:Q")),
        base.mark_circle(size=130, opacity=1, stroke="white", strokeWidth=1).encode(
            x, y, colour, tooltip=[*tooltip, alt.Tooltip("seeds:Q")]
        ),
    ]
    if over["seeds"].max() != 1:
        small = alt.Chart(seeds).mark_circle(size=24, opacity=0.55)
        layers.insert(-1, small.encode(x, y, colour, tooltip=[alt.Tooltip("seed:Q"), *tooltip]))
    return alt.layer(*layers)


def _regions(frame: Plane, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Margin lines, and each region's label in its outer corner."""
    line = alt.Chart(pl.DataFrame({FIT: [frame.margin], COMPRESSION: [frame.margin]}))
    rules = line.mark_rule(strokeDash=[4, 3], color=theme.FAINT)
    layers = [rules.encode(x), rules.encode(y)]
    for index, text in enumerate(CORNERS):
        right, top = index % 2, index // 2
        words = alt.Chart(theme.rows(text=text)).mark_text(
            align="right" if right else "left",
            baseline="top" if top else "bottom",
            lineBreak="\n",
            fontSize=11,
            fontStyle="italic",
            color=theme.FAINT,
        )
        place = {"x": alt.value(frame.width - 5 if right else 5), "y": alt.value(5 if top else HEIGHT - 5)}
        layers.append(words.encode(text="text:N", **place))
    return layers

"""How every chart looks: fonts, palettes, axes, and a clear page when there is nothing to draw.

Palettes are safe for colour-blind readers: viridis for training steps, plasma for depth, and the colours of Okabe
and Ito ("Color universal design", 2008) for shortcuts, where a kind keeps its colour from chart to chart.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import altair as alt
import polars as pl

from infoplane.charts.frames import Curves, Tables
from infoplane.phases.targets import of_target

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK, MUTED, FAINT, GRID = "#24292f", "#57606a", "#8c959f", "#e4e7eb"

Cell = alt.Chart | alt.LayerChart | alt.FacetChart

ZX = "Z-X (normalised MSE, 0 = X decodable)"

NAMES = {
    "zx": "Z-X",
    "zy": "Z-Y",
    "ixz": "I(X;Z)",
    "izy": "I(Z;Y)",
    "ixz_upper": "I(X;Z), upper bound",
    "ixz_lower": "I(X;Z), lower bound",
    "izy_upper": "I(Z;Y), upper bound",
    "izy_lower": "I(Z;Y), lower bound",
    "ixz_given_y": "I(X;Z|Y)",
}
UNITS = {"nmse": "norm. MSE", "bits": "bits", "nats": "nats", "share": "share"}

CAUTIONS = {
    "clamped": "values beyond the bins' fixed range were put into the outermost bins, which alone lowers I(X;Z) as "
    "activations grow",
    "saturated": "nearly every sample is alone in its cell, so that I(X;Z) only reflects the number of samples",
}
"""First word of a family's note -> what it means for the picture."""

SHORTCUT_COLOURS = {
    "identity": "#0072B2",
    "none": "#D55E00",
    "projection": "#009E73",
    "scaled": "#56B4E9",
    "rezero": "#E69F00",
    "gated": "#CC79A7",
    "dense": "#8C6D1F",
    "stochastic_depth": "#7F7F7F",
    "reversible": "#332288",
    "momentum": "#117733",
    "decayed": "#AA4499",
    "attention": "#882255",
    "depth_average": "#44AA99",
    "hyper": "#999933",
    "orthogonal": "#6699CC",
}
DEPTH_SCHEME = alt.SchemeParams(name="plasma", extent=[0.05, 0.85])

HALOED: tuple[dict[str, Any], ...] = ({"stroke": "white", "strokeWidth": 3, "opacity": 0.8}, {"color": MUTED})
"""The two layers of a text that stays readable on top of lines."""

PAGE_WIDTH = 840
"""Of a page's charts, in pixels; `on_paper` draws narrower ones."""

_width: ContextVar[float] = ContextVar("width", default=PAGE_WIDTH)
AXIS_EXTENT = 34

CONFIG: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "padding": 12,
    "view": {"stroke": GRID, "continuousWidth": 300, "continuousHeight": 200},
    "axis": {
        "domainColor": FAINT,
        "gridColor": GRID,
        "gridOpacity": 0.7,
        "labelColor": MUTED,
        "labelFontSize": 11,
        "tickColor": FAINT,
        "tickSize": 4,
        "titleColor": INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 6,
    },
    "legend": {
        "labelColor": MUTED,
        "labelFontSize": 11,
        "labelLimit": 220,
        "titleColor": INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2.5,
        "gradientThickness": 10,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "frame": "group",
        "fontSize": 12,
        "fontWeight": 600,
        "offset": 6,
        "subtitleColor": MUTED,
        "subtitleFontSize": 11.5,
        "subtitleLineHeight": 16,
        "subtitlePadding": 5,
    },
    "text": {"fontSize": 11},
    "concat": {"spacing": 14},
}


def shortcut_colours(tables: Tables) -> alt.Scale:
    """One colour per shortcut label: its kind's own where free, else the next one."""
    free = list(SHORTCUT_COLOURS.values())
    chosen: dict[str, str] = {}
    for label in tables.shortcuts:
        colour = SHORTCUT_COLOURS.get(tables.kind("shortcut", label))
        if colour in free:
            chosen[label] = colour
            free.remove(colour)
    spare = free or list(SHORTCUT_COLOURS.values())
    others = [label for label in tables.shortcuts if label not in chosen]
    chosen |= {label: spare[index % len(spare)] for index, label in enumerate(others)}
    return alt.Scale(domain=tables.shortcuts, range=[chosen[label] for label in tables.shortcuts])


def zx_title(width: int) -> str:
    """The Z-X axis title in full where a cell of this width (in pixels) holds it."""
    return ZX if width >= 230 else "Z-X (norm. MSE)" if width < 150 else "Z-X (normalised MSE)"


def name(measure: str) -> str:
    """A measure as the field writes it."""
    plain, target = of_target(measure)
    named = NAMES.get(plain) or plain.replace("_", " ")
    return f"{named} of {target}" if target else named


def axis_title(measure: str, unit: str) -> str:
    """A measure with its unit, where it has one."""
    return f"{name(measure)} ({UNITS[unit]})" if unit in UNITS else name(measure)


def brief_title(measure: str, unit: str) -> str:
    """The same, without the unit of what is normalised."""
    return name(measure) if unit == "nmse" else axis_title(measure, unit)


def rows(**values: float | str) -> pl.DataFrame:
    """One row of data, for a label or a line of its own."""
    return pl.DataFrame([values])


@contextmanager
def on_paper(width: float) -> Iterator[None]:
    """Within this, charts are laid out for this many pixels in place of a page's."""
    token = _width.set(width)
    try:
        yield
    finally:
        _width.reset(token)


def cell_width(columns: int) -> int:
    """Width of one of several cells beside each other on a page, or on paper."""
    return max(130, min(300, round((_width.get() - 90) / max(1, columns)) - 22))


def fitted(pixels: int) -> int:
    """A width on a page, or its share of the paper's."""
    return round(pixels * _width.get() / PAGE_WIDTH)


def grid(
    cells: Sequence[Cell],
    columns: int,
    description: str,
    colour: Literal["shared", "independent"],
    rows: int = 14,
    title: str = "",
) -> alt.ConcatChart:
    """Cells side by side; ``rows``: pixels between rows; colour: one scale and legend for all, or each cell its own.

    title: in place of the plug-in's own. All in one step, because Altair copies everything below at every further call.
    """
    resolve = alt.Resolve(scale=alt.ScaleResolveMap(color=colour))
    spacing = alt.RowColnumber(row=rows, column=14)
    named = {"title": title} if title else {}
    return alt.concat(*cells, columns=columns, spacing=spacing, resolve=resolve, description=description, **named)


def placeholder(text: str, width: int, height: int, title: str | None = None) -> alt.Chart:
    """A cell that says why it is empty."""
    chart = alt.Chart(rows(text=text), width=width, height=height)
    mark = chart.mark_text(color=FAINT, fontSize=12, fontStyle="italic").encode(text="text:N")
    return mark.properties(title=title) if title else mark


def empty(tables: Tables, family: str) -> alt.Chart:
    """The chart of an experiment without values."""
    measured = tables.measures["value"].drop_nulls().len()
    text = f"no value of the measure family '{family}' yet" if measured else "nothing measured yet"
    return placeholder(text, 480, 120)


def note(tables: Tables) -> str:
    """Name missing and diverged runs for the reader; empty where there are none."""
    lines = []
    for status, words in (("missing", "Missing"), ("diverged", "Diverged")):
        if runs := tables.runs(status):
            more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
            lines.append(f"{words}: {', '.join(runs[:3])}{more}.")
    return " ".join(lines)


def basis(
    tables: Tables, family: str, part: str = "z", scale: str = "linear", noun: str = "decoders", of: str = ""
) -> str:
    """One sentence: family, n (of what, unless of held-out images), seeds, and what is unusual about the axes."""
    seeds = tables.metadata.get("seeds") or []
    n = sorted(set(tables.measures.filter(pl.col("family") == family)["n"].drop_nulls().to_list()))
    words = [f"{family} {noun}".strip()]
    if n:
        words.append(f"n = {', '.join(map(str, n))} {of or tables.samples}")
    words.append(f"mean over {len(seeds)} seeds" if len(seeds) > 1 else "1 seed")
    if part != "z":
        words.append({"s": "shortcut s", "f": "branch f"}[part])
    if scale == "sqrt":
        words.append("square-root scales")
    return (text := ", ".join(words))[0].upper() + text[1:] + "."


def cautions(tables: Tables, found: Curves) -> str:
    """Say what a family's notes warn of, with the number of values that have the note; empty where there is none."""
    shown = tables.measures.filter(
        pl.col("family") == found.family,
        pl.col("part") == found.part,
        pl.col("measure").is_in(list(found.measures)),
        pl.col("value").is_finite(),
    )
    lines = []
    for word, meaning in CAUTIONS.items():
        if word == "saturated" and tables.all_is_measured:
            continue  # where every possible input is in a cell of its own, I(X;Z) is H(X) and right
        marked = shown.filter(pl.col("note").fill_null("").str.contains(rf"(^|; ){word}:"))
        if marked.height:
            places = [f"{a} {s}" for a, s in marked.select("architecture", "site").unique().sort(pl.all()).iter_rows()]
            more = f" and {len(places) - 3} more" if len(places) > 3 else ""
            where = f"{marked.height} of {shown.height} values, at {', '.join(places[:3])}{more}"
            lines.append(f"Beware ({where}): {meaning}.")
    return " ".join(lines)


def entropy_line(entropy: float, y: alt.Y, width: int) -> list[alt.Chart]:
    """A dashed line at H(Y), what a decoder that ignores Z would score; ``y`` is the axis of the field ``zy``."""
    reference = alt.Chart(rows(zy=entropy, text="H(Y)"))
    words = reference.mark_text(align="right", baseline="bottom", dx=-3, dy=-2, fontSize=10, color=FAINT)
    return [
        reference.mark_rule(strokeDash=[4, 3], color=FAINT).encode(y),
        words.encode(y, x=alt.value(width), text="text:N"),
    ]

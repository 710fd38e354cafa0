"""Heat maps: Z-X and Z-Y of every layer (input at the bottom) at every checkpoint.

Checkpoints stand side by side as categories, so the first steps are as wide as the last. All cells of a measure
share one colour scale.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import altair as alt

from infoplane.charts import scales, theme
from infoplane.charts.frames import Curves, Tables, curves, spread


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: kernel where it was measured"] = "auto"
    part: Annotated[Literal["z", "s", "f"], "sum, shortcut or branch of every addition"] = "z"
    scale: Annotated[Literal["sqrt", "linear"], "colours of Z-X and Z-Y; sqrt spreads the small values"] = "sqrt"


SCHEMES: dict[str, Literal["viridis", "magma"]] = {"zx": "viridis", "zy": "magma"}


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One block per measure, one row per architecture, one column per shortcut."""
    found = curves(tables, options.family, options.part)
    if found.rows.is_empty():
        return theme.empty(tables, found.family)
    present = [measure for measure in SCHEMES if found.rows[measure].drop_nulls().len()]
    cells = [
        cell
        for measure in present
        for row, architecture in enumerate(tables.architectures)
        for cell in _row(tables, found, measure, architecture, legend=not row, kind=options.scale)
    ]
    description = theme.basis(tables, found.family, found.part, options.scale)
    return theme.grid(cells, len(tables.shortcuts), description, colour="independent", rows=12)


def _title(measure: str, unit: str) -> list[str]:
    """The legend's title, line by line."""
    name = theme.name(measure)
    return (
        [name, "(normalised MSE,", f"0 = {name[-1]} decodable)"]
        if unit == "nmse"
        else [theme.brief_title(measure, unit)]
    )


def _row(
    tables: Tables, found: Curves, measure: str, architecture: str, legend: bool, kind: scales.Kind
) -> list[theme.Cell]:
    """One measure of one architecture, a cell per shortcut; the legend stands right of the last."""
    sites = found.sites(architecture)
    steps = sorted(found.of(architecture)["step"].unique().to_list())
    tall = max(6, min(24, 210 // max(1, len(sites))))
    whole = theme.cell_width(len(tables.shortcuts))
    width, height = whole // max(1, len(steps)) * len(steps) or whole, tall * max(1, len(sites))
    labelled = spread(sites if tall > 11 else sites[:-1], height // 12)
    span = scales.Span(kind, found.rows[measure], margin=0.0)
    long = max(90, height - 50)
    x = alt.X(
        "step:O",
        scale=alt.Scale(domain=steps),
        axis=alt.Axis(
            title=scales.STEP if architecture == tables.architectures[-1] else None,
            values=spread(steps, max(2, width // 34)),
            labelAngle=0,
            labelOverlap=False,
            ticks=False,
        ),
    )
    name = theme.brief_title(measure, found.units[measure])
    tooltip = [
        alt.Tooltip("site:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip(f"{measure}:Q", title=name),
        alt.Tooltip("seeds:Q"),
    ]
    cells: list[theme.Cell] = []
    for column, shortcut in enumerate(tables.shortcuts):
        title = f"{architecture} · {shortcut}"
        mine = found.of(architecture, shortcut).drop_nulls([measure])
        if mine.is_empty():
            cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, height, title))
            continue
        y = alt.Y(
            "site:N",
            sort=None,
            scale=alt.Scale(domain=sites[::-1]),
            axis=alt.Axis(
                title=None, values=labelled, labels=not column, ticks=False, labelLimit=100, labelOverlap=False
            ),
        )
        shown = alt.Legend(
            title=_title(measure, found.units[measure]),
            gradientLength=long,
            values=span.ticks(long, 14),
            format=scales.FORMAT,
        )
        colour = alt.Color(
            f"{measure}:Q",
            scale=alt.Scale(scheme=SCHEMES[measure], type=kind, domain=span.scale.domain, nice=False),
            legend=shown if legend and column == len(tables.shortcuts) - 1 else None,
        )
        cells.append(
            alt.Chart(mine.select("site", "step", measure, "seeds"), title=title, width=width, height=height)
            .mark_rect()
            .encode(x, y, colour, tooltip=tooltip)
        )
    return cells

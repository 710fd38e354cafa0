"""Information plane: how far the best decoder misses the input (Z-X) and the target (Z-Y), layer by layer

One path per site, from the ring at step 0 to the end that bears its name; colour is the training step. Training moves
down as the target is learned, left as the input becomes easier to read (fitting), right as it becomes harder to read
(compression). With ``x: ixz`` and ``y: izy`` it is the plane of Shwartz-Ziv and Tishby 2017 (arXiv:1703.00810): up as
the target is learned, left as information on the input falls (compression). Networks that all have one and the same
shortcut stand side by side.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import PAIR, Curves, Tables, curves, spread
from infoplane.phases.curves import last_block


@dataclass(frozen=True)
class Options:
    x: Annotated[str, "measure on the horizontal axis: zx, ixz, ixz_upper and so on"] = "zx"
    y: Annotated[
        str, "measure on the vertical axis: zy, izy, izy_lower and so on, or zy_of_colour of a further target"
    ] = "zy"
    family: Annotated[str, "measure family; auto: kernel where it was measured"] = "auto"
    part: Annotated[Literal["z", "s", "f"], "sum, shortcut or branch of every addition"] = "z"
    most: Annotated[int, "largest number of sites that are drawn, evenly spaced, and the last block"] = 9
    scale: Annotated[Literal["sqrt", "linear"], "both axes; sqrt spreads the small values"] = "sqrt"
    shared_axes: Annotated[
        bool, "one range for all shortcuts of an architecture, so that positions can be compared"
    ] = True

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")
        if self.x == self.y:
            raise ValueError(f"x and y must be two measures, got {self.x} twice")


CROWDED = 5
"""A name that would cover more points of paths than this is left to the tooltip."""


UNTIL = "until"
"""The parameter of `growing`: the place on the axis of steps that the paths have reached."""


def growing(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """The same with paths that end at the parameter `UNTIL`; ``usermeta`` has its first and last value."""
    return draw(tables, options, grows=True)


def draw(tables: Tables, options: Options, grows: bool = False) -> alt.ConcatChart | alt.Chart:
    """One cell per architecture and shortcut; cells of one architecture share their axes."""
    found = curves(tables, options.family, options.part, (options.x, options.y))
    found = replace(found, rows=found.rows.drop_nulls([options.x, options.y]))
    if found.rows.is_empty():
        return theme.empty(tables, found.family)
    beside = len(tables.shortcuts) == 1 and len(tables.architectures) > 1
    columns = len(tables.architectures) if beside else len(tables.shortcuts)
    width = theme.cell_width(columns)
    height = round(max(150, min(230, width * 0.95)))
    steps = scales.Steps(found.steps)
    absolute = beside and found.units[options.x] in ("bits", "nats")  # these compare across networks too
    cells: list[theme.Cell] = []
    for row, architecture in enumerate(tables.architectures):
        last = beside or row == len(tables.architectures) - 1
        kept = spread(found.sites(architecture), options.most, [found.last_block(architecture)])
        rows = found.of(architecture).filter(pl.col("site").is_in(kept))
        for column, shortcut in enumerate(tables.shortcuts):
            title = f"{architecture} · {shortcut}"
            mine = rows.filter(pl.col("shortcut") == shortcut)
            if mine.is_empty():
                cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, height, title))
                continue
            compared = found.rows if absolute else rows
            frame = Frame.of(found, compared if options.shared_axes else mine, compared, options.scale, width, height)
            titles = frame.title(found, 0) if last else None, None if column else frame.title(found, 1)
            cell = _cell(steps.placed(mine), steps, frame, titles, found, grows)
            cells.append(cell.properties(width=width, height=height, title=title))
    grid = theme.grid(cells, columns, _description(tables, found, options), colour="shared", title=_title(found))
    if grows:
        places = steps.placed(found.rows)["at"]
        grid.usermeta = {UNTIL: [places.min(), places.max()]}
    return grid


def _title(found: Curves) -> str:
    """Empty where the plug-in's own says it."""
    x, y = map(theme.name, found.measures)
    return "" if found.measures == PAIR else f"Information plane: {x} and {y} of each layer"


def _description(tables: Tables, found: Curves, options: Options) -> str:
    noun = "decoders" if found.measures == PAIR else "estimates"
    basis = theme.basis(tables, found.family, found.part, options.scale, noun)
    return f"Ring: first checkpoint; name: last. {basis} {theme.cautions(tables, found)}".strip()


@dataclass(frozen=True)
class Frame:
    """The ranges of the two measures in a cell, and its size in pixels."""

    across: scales.Span
    up: scales.Span
    width: int
    height: int

    @classmethod
    def of(
        cls, found: Curves, across: pl.DataFrame, up: pl.DataFrame, scale: scales.Kind, width: int, height: int
    ) -> Self:
        """A frame that holds these rows."""
        x, y = found.measures
        reference = pl.Series([found.label_entropy()], dtype=pl.Float64)
        return cls(
            scales.Span(scale, across[x], zero=False, margin=0.07),
            scales.Span(scale, up[y], reference, zero=False, margin=0.1),
            width,
            height,
        )

    def title(self, found: Curves, axis: int) -> str:
        """Of the axis across (0) or upwards (1), as long as its side allows."""
        measure = found.measures[axis]
        if measure == "zx":
            return theme.zx_title(self.width if axis == 0 else self.height)
        return theme.axis_title(measure, found.units[measure])

    def pixels(self, x: float, y: float) -> tuple[float, float]:
        """Right of the left edge, and below the upper one."""
        return self.across.share(x) * self.width, (1 - self.up.share(y)) * self.height


def _cell(
    rows: pl.DataFrame,
    steps: scales.Steps,
    frame: Frame,
    titles: tuple[str | None, str | None],
    found: Curves,
    grows: bool,
) -> theme.Cell:
    """The paths of one architecture with one shortcut; only a cell with a title upwards has labels there."""
    first = titles[1] is not None
    across, up = found.measures
    x = alt.X(
        f"{across}:Q",
        scale=frame.across.scale,
        axis=alt.Axis(title=titles[0], values=frame.across.ticks(frame.width, 30), format=scales.FORMAT),
    )
    y = alt.Y(
        f"{up}:Q",
        scale=frame.up.scale,
        axis=alt.Axis(
            title=titles[1],
            labels=first,
            values=frame.up.ticks(frame.height, 18),
            format=scales.FORMAT,
            minExtent=theme.AXIS_EXTENT if first else 0,
        ),
    )
    rows = rows.sort("depth", "site", "step")
    path = rows.with_columns(
        pl.col(measure).shift(-1).over("site", order_by="step").alias(f"next_{measure}")
        for measure in ((across, up, "at") if grows else (across, up))
    )
    tooltip = [
        alt.Tooltip("site:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip(f"{across}:Q", title=theme.brief_title(across, found.units[across])),
        alt.Tooltip(f"{up}:Q", title=theme.brief_title(up, found.units[up])),
        alt.Tooltip("seeds:Q"),
    ]
    columns = ["site", "step", "at", across, up, "seeds"]
    base = alt.Chart(path.select(*columns, pl.selectors.starts_with("next_")))
    to = "next"
    if grows:
        base, to = _reached(base, found.measures, frame.across.kind), "to"
    lines = (
        base.transform_filter(f"isValid(datum.next_{across})")
        .mark_rule(strokeWidth=1.6, strokeCap="round", opacity=0.85)
        .encode(x, y, alt.X2(f"{to}_{across}:Q"), alt.Y2(f"{to}_{up}:Q"), steps.colour())
    )
    points = base.mark_circle(size=20 if frame.width > 170 else 10, opacity=1).encode(
        x, y, steps.colour(), tooltip=tooltip
    )
    ends = rows.group_by("site", maintain_order=True)
    starts = alt.Chart(ends.first().select(columns))
    rings = starts.mark_point(size=46 if frame.width > 170 else 30, filled=False, strokeWidth=1.6, opacity=1).encode(
        x, y, steps.colour(), tooltip=tooltip
    )
    chief = last_block(found.sites(rows["architecture"][0]))
    names = alt.Chart(_names(ends.last(), rows, frame, chief, found.measures))
    heads = []
    if grows:
        ended = f"{UNTIL} >= {max(rows['at'].to_list())}"
        names = names.transform_filter(ended)
        heads = _heads(base, frame, (across, up), (x, y), rows.filter(pl.col("site") == chief), ended)
    labels = [
        names.mark_text(align="left", baseline="middle", fontSize=10.5, **look).encode(
            alt.X("px:Q", scale=None, axis=None), alt.Y("py:Q", scale=None, axis=None), text="site:N"
        )
        for look in theme.HALOED
    ]
    layers = [lines, points, rings, *heads, *labels]
    if up == "zy" and (entropy := found.label_entropy()) is not None:
        layers = [*theme.entropy_line(entropy, y, frame.width), *layers]
    return alt.layer(*layers)


def _reached(base: alt.Chart, measures: tuple[str, ...], kind: scales.Kind) -> alt.Chart:
    """The points up to `UNTIL`; ``to_zx`` and so on: how far on the way to the next one, straight in the picture."""
    share = f"(log({UNTIL}) - log(datum.at)) / (log(datum.next_at) - log(datum.at))"
    base = base.transform_filter(f"datum.at <= {UNTIL}")
    base = base.transform_calculate(share=f"isValid(datum.next_at) ? clamp({share}, 0, 1) : 0")
    for measure in measures:
        here, there = f"datum.{measure}", f"(isValid(datum.next_at) ? datum.next_{measure} : datum.{measure})"
        if kind == "linear":
            base = base.transform_calculate(**{f"to_{measure}": f"{here} + ({there} - {here}) * datum.share"})
            continue
        root, next_root = (f"(({x}) < 0 ? -sqrt(-({x})) : sqrt({x}))" for x in (here, there))
        base = base.transform_calculate(root=f"{root} + ({next_root} - {root}) * datum.share")
        base = base.transform_calculate(**{f"to_{measure}": "datum.root * abs(datum.root)"})
    return base


def _heads(
    base: alt.Chart,
    frame: Frame,
    measures: tuple[str, str],
    axes: tuple[alt.X, alt.Y],
    chief: pl.DataFrame,
    ended: str,
) -> list[alt.Chart]:
    """Where each path has come to; the chief one bears its name, on the side that has room all the way."""
    at = [axis.copy(deep=False) for axis in axes]
    for axis, measure in zip(at, measures, strict=True):
        axis.shorthand = f"to_{measure}:Q"
    now = base.transform_filter(f"!isValid(datum.next_at) || datum.next_at > {UNTIL}")
    dots = now.mark_circle(size=30, color=theme.INK, opacity=0.9).encode(*at)
    if chief.is_empty():
        return [dots]
    name = chief["site"][0]
    reach = max(frame.pixels(x, y)[0] for x, y in chief.select(measures).iter_rows()) + 9 + 5.7 * len(name)
    side: dict[str, Any] = {"align": "left", "dx": 7} if reach < frame.width else {"align": "right", "dx": -7}
    mine = now.transform_filter(f"datum.site == '{name}' && !({ended})")
    words = [mine.mark_text(baseline="middle", fontSize=10.5, **side, **look) for look in theme.HALOED]
    return [dots, *(word.encode(*at, text="site:N") for word in words)]


def _names(
    ends: pl.DataFrame, rows: pl.DataFrame, frame: Frame, chief: str | None, measures: tuple[str, ...]
) -> pl.DataFrame:
    """Where names of ends stand, in pixels: ``chief`` first, then from the output; none where they would collide."""
    across, up = measures
    crowd = [frame.pixels(x, y) for x, y in rows.select(across, up).iter_rows()]
    taken: list[tuple[float, float, float]] = []
    chosen = []
    for row in sorted(ends.to_dicts(), key=lambda end: (end["site"] != chief, -end["depth"], end["site"])):
        x, y = frame.pixels(row[across], row[up])
        length = 5.7 * len(row["site"]) + 3
        places = []
        for left in (x + 6, x - 6 - length):
            for top in (y, y - 9, y + 9):
                inside = left >= -4 and left + length <= frame.width + 8 and top < frame.height - 4
                free = all(abs(top - v) > 11 or left > r or left + length < lf for lf, r, v in taken)
                covered = sum(left <= u <= left + length and abs(v - top) < 7 for u, v in crowd)
                if inside and free and covered <= CROWDED:
                    places.append((covered + (top != y), left, top))
        if places:
            _, left, top = min(places, key=lambda place: place[0])
            taken.append((left, left + length, top))
            chosen.append({"site": row["site"], "px": round(left, 1), "py": round(top, 1)})
    return pl.DataFrame(chosen, schema={"site": pl.String, "px": pl.Float64, "py": pl.Float64})

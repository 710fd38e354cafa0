"""Information plane: what each layer has lost of the input (Z-X) and still lacks of the label (Z-Y)

One path per site, from the ring at step 0 to the end that bears its name; colour is the training step. Training moves
down as the label is learned, left as the input is fitted, right as it is compressed away.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import altair as alt
import polars as pl

from infoplane.charts import scales, theme
from infoplane.charts.frames import Curves, Tables, curves, last_block, spread


@dataclass(frozen=True)
class Options:
    family: Annotated[str, "measure family; auto: kernel where it was measured"] = "auto"
    part: Annotated[Literal["z", "s", "f"], "sum, shortcut or branch of every addition"] = "z"
    most: Annotated[int, "at most this many sites, evenly spaced, and the last block"] = 9
    scale: Annotated[Literal["sqrt", "linear"], "of Z-X and Z-Y; sqrt spreads the small values"] = "sqrt"
    shared_axes: Annotated[bool, "one range for all shortcuts of an architecture, so that positions compare"] = True

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")


CROWDED = 5
"""A name that would cover more points of paths than this is left to the tooltip."""


def draw(tables: Tables, options: Options) -> alt.ConcatChart | alt.Chart:
    """One cell per architecture and shortcut; cells of one architecture share their axes."""
    found = curves(tables, options.family, options.part)
    found = Curves(found.rows.drop_nulls(["zx", "zy"]), found.family, found.part)
    if found.rows.is_empty():
        return theme.empty(tables, found.family)
    width = theme.cell_width(len(tables.shortcuts))
    height = round(max(150, min(230, width * 0.95)))
    steps = scales.Steps(found.steps)
    reference = pl.Series([found.label_entropy()], dtype=pl.Float64)
    cells: list[theme.Cell] = []
    for row, architecture in enumerate(tables.architectures):
        last = row == len(tables.architectures) - 1
        kept = spread(found.sites(architecture), options.most, [found.last_block(architecture)])
        rows = found.of(architecture).filter(pl.col("site").is_in(kept))
        for column, shortcut in enumerate(tables.shortcuts):
            title = f"{architecture} · {shortcut}"
            mine = rows.filter(pl.col("shortcut") == shortcut)
            if mine.is_empty():
                cells.append(theme.placeholder(tables.gap(architecture, shortcut), width, height, title))
                continue
            seen = rows if options.shared_axes else mine
            across = scales.Span(options.scale, seen["zx"], zero=False, margin=0.07)
            up = scales.Span(options.scale, rows["zy"], reference, zero=False, margin=0.1)
            frame = Frame(across, up, width, height)
            titles = theme.zx_title(width) if last else None, None if column else theme.ZY
            cell = _cell(steps.placed(mine), steps, frame, titles, found)
            cells.append(cell.properties(width=width, height=height, title=title))
    basis = theme.basis(tables, found.family, found.part, options.scale)
    description = f"Ring: first checkpoint; name: last. {basis}"
    return theme.grid(cells, len(tables.shortcuts), description, colour="shared")


@dataclass(frozen=True)
class Frame:
    """The ranges of Z-X and Z-Y in a cell, and its size in pixels."""

    across: scales.Span
    up: scales.Span
    width: int
    height: int

    def pixels(self, zx: float, zy: float) -> tuple[float, float]:
        """Right of the left edge, and below the upper one."""
        return self.across.share(zx) * self.width, (1 - self.up.share(zy)) * self.height


def _cell(
    rows: pl.DataFrame, steps: scales.Steps, frame: Frame, titles: tuple[str | None, str | None], found: Curves
) -> theme.Cell:
    """The paths of one architecture with one shortcut; only a cell with a title for Z-Y has its labels."""
    first = titles[1] is not None
    x = alt.X(
        "zx:Q",
        scale=frame.across.scale,
        axis=alt.Axis(title=titles[0], values=frame.across.ticks(frame.width, 30), format=scales.FORMAT),
    )
    y = alt.Y(
        "zy:Q",
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
        pl.col("zx").shift(-1).over("site", order_by="step").alias("next_zx"),
        pl.col("zy").shift(-1).over("site", order_by="step").alias("next_zy"),
    )
    tooltip = [
        alt.Tooltip("site:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip("zx:Q", title="Z-X"),
        alt.Tooltip("zy:Q", title="Z-Y (nats)"),
        alt.Tooltip("seeds:Q"),
    ]
    base = alt.Chart(path.select("site", "step", "at", "zx", "zy", "seeds", "next_zx", "next_zy"))
    lines = (
        base.transform_filter("isValid(datum.next_zx)")
        .mark_rule(strokeWidth=1.6, strokeCap="round", opacity=0.85)
        .encode(x, y, alt.X2("next_zx:Q"), alt.Y2("next_zy:Q"), steps.colour())
    )
    points = base.mark_circle(size=20 if frame.width > 170 else 10, opacity=1).encode(
        x, y, steps.colour(), tooltip=tooltip
    )
    ends = rows.group_by("site", maintain_order=True)
    starts = alt.Chart(ends.first().select("site", "step", "at", "zx", "zy", "seeds"))
    rings = starts.mark_point(size=46 if frame.width > 170 else 30, filled=False, strokeWidth=1.6, opacity=1).encode(
        x, y, steps.colour(), tooltip=tooltip
    )
    names = alt.Chart(_names(ends.last(), rows, frame, last_block(found.sites(rows["architecture"][0]))))
    labels = [
        names.mark_text(align="left", baseline="middle", fontSize=10.5, **look).encode(
            alt.X("px:Q", scale=None, axis=None), alt.Y("py:Q", scale=None, axis=None), text="site:N"
        )
        for look in theme.HALOED
    ]
    layers = [lines, points, rings, *labels]
    if (entropy := found.label_entropy()) is not None:
        layers = [*theme.entropy_line(entropy, y, frame.width), *layers]
    return alt.layer(*layers)


def _names(ends: pl.DataFrame, rows: pl.DataFrame, frame: Frame, chief: str | None) -> pl.DataFrame:
    """Where names of ends stand, in pixels: ``chief`` first, then from the output; none where they would collide."""
    crowd = [frame.pixels(zx, zy) for zx, zy in rows.select("zx", "zy").iter_rows()]
    taken: list[tuple[float, float, float]] = []
    chosen = []
    for row in sorted(ends.to_dicts(), key=lambda end: (end["site"] != chief, -end["depth"], end["site"])):
        x, y = frame.pixels(row["zx"], row["zy"])
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

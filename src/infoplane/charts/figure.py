"""Charts as figures for print: SVG and PDF of a stated width, by the same code as the page's.

A paper has captions of its own, so a figure has neither title nor notes; the page and the PNG keep both.
"""

import re
from pathlib import Path
from typing import Any

import vl_convert

from infoplane.charts import render, theme
from infoplane.charts.frames import Tables
from infoplane.charts.vega import VEGA_LITE
from infoplane.storage.atomic import atomic_path, write_text

WIDTH = 6.75
"""Inches: the text of a two-column page."""

PIXELS_PER_INCH, POINTS_PER_INCH = 96, 72
PAPER_PADDING = 2
ATTEMPTS = 100
LISTED = re.compile(rb"^ +/(?:xo|gs|fo|po)\d+ \d+ 0 R(?:\n +/(?:xo|gs|fo|po)\d+ \d+ 0 R)+$", re.MULTILINE)
"""A PDF dictionary of graphics, states, fonts or patterns: names of objects, one per line."""

SIZE = re.compile(r'width="[\d.]+(?:in)?" height="[\d.]+(?:in)?"')


def drawn(name: str, options: dict[str, Any], tables: Tables, inches: float) -> str:
    """The chart for print as SVG: this wide, and without title and notes, because a paper has captions of its own.

    Laid out for that width, so that letters keep their size; then scaled by the rest that is missing.
    """
    with theme.on_paper(PIXELS_PER_INCH * inches):
        found = render.drawn(name, options, tables)
    found.pop("title", None)
    found["config"] = theme.CONFIG | {"padding": PAPER_PADDING}
    svg: str = vl_convert.vegalite_to_svg(found, vl_version=VEGA_LITE)
    width, height = size(svg)
    printed = f'width="{inches:g}in" height="{inches * height / width:.4f}in"'
    return SIZE.sub(printed, svg, count=1)


def size(svg: str) -> tuple[float, float]:
    """Width and height of a drawing in its own units."""
    root = svg[: svg.index(">", svg.index("<svg"))]
    _, _, width, height = re.search(r'viewBox="([^"]+)"', root)[1].split()  # type: ignore[index]
    return float(width), float(height)


def save(svg: str, inches: float, to_svg: Path | None, to_pdf: Path | None) -> None:
    """Write a figure as SVG and as PDF of the same width, each atomically."""
    if to_svg:
        write_text(to_svg, svg)
    if to_pdf:
        width, height = size(svg)
        points = POINTS_PER_INCH * inches
        sized = SIZE.sub(f'width="{points:g}" height="{points * height / width:g}"', svg, count=1)
        with atomic_path(to_pdf) as temporary:
            temporary.write_bytes(pdf(sized))


def pdf(svg: str) -> bytes:
    """The drawing as PDF, one pixel per point, the same bytes every time.

    The library numbers the fonts and lists a page's resources in an order of chance: so it is asked until the fonts
    are in order (a drawing has at most three), and the lists are sorted, which moves nothing else.
    """
    for _ in range(ATTEMPTS):
        found: bytes = vl_convert.svg_to_pdf(svg)
        fonts = re.findall(rb"/FontName /(\S+)", found)
        if fonts == sorted(fonts):
            break
    return LISTED.sub(lambda match: b"\n".join(sorted(match[0].split(b"\n"))), found)

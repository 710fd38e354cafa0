"""What both pictures of the documentation are drawn with: wrapped text, boxes, arrows, colours for light and dark.

Widths are reckoned from the number of letters, so that the same picture has the same bytes on every machine.
"""

import textwrap
from html import escape

WIDTH = 640
"""Of every picture, in its own units; a phone shows it at a bit more than half."""

MONO = "ui-monospace, 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace"
SANS = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
ADVANCE = {"mono": 0.602, "sans": 0.53}
"""Width of a letter as a share of the font's size: exact for monospaced letters, generous for the others."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B4568F", "#8C6D1F", "#5B6FD6", "#6E7781")
"""Of Okabe and Ito where they are dark enough on white; the dark page has lighter ones."""
LIGHTER = ("#5AB4E6", "#F0894B", "#3CC79E", "#E08CBD", "#CBA94E", "#9AA8FF", "#A0A8B1")


def _rules(paper: str, box: str, ink: str, muted: str, line: str, colours: tuple[str, ...]) -> str:
    rules = [
        f".paper{{fill:{paper}}}.box{{fill:{box};stroke:{line}}}.ink{{fill:{ink}}}.muted{{fill:{muted}}}.rule{{stroke:{line}}}"
    ]
    for number, colour in enumerate(colours):
        rules.append(f".c{number}{{stroke:{colour}}}.f{number}{{fill:{colour}}}")
    return "".join(rules)


LIGHT = _rules("#ffffff", "#f6f8fa", "#1f2328", "#57606a", "#c4cbd3", COLOURS)
DARK = _rules("#16191d", "#22272e", "#e6edf3", "#a5afba", "#49525d", LIGHTER)
STYLE = (
    f"text{{font-family:{SANS}}}.mono{{font-family:{MONO}}}.bold{{font-weight:700}}"
    ".edge{fill:none;stroke-width:1.8}.box{stroke-width:1}.rule{stroke-width:1;stroke-dasharray:3 3}"
    f"{LIGHT}@media (prefers-color-scheme: dark){{{DARK}}}"
)


def width(text: str, size: float, face: str = "sans") -> float:
    """How wide a line of text is at the most."""
    return len(text) * size * ADVANCE[face]


def wrapped(text: str, room: float, size: float) -> list[str]:
    """Lines of a sentence that fit."""
    return textwrap.wrap(text, max(8, int(room / (size * ADVANCE["sans"]))))


def words(x: float, y: float, text: str, size: float, classes: str = "ink", anchor: str = "start") -> str:
    """One line of text; y is its baseline."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" class="{classes}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def box(x: float, y: float, wide: float, high: float, radius: float = 7) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="{radius:g}" class="box"/>'


def arrow(points: list[tuple[float, float]], colour: int, name: str) -> str:
    """A line through these points with a head at the last; name: what it says to a screen reader and to a test."""
    (x, y), (end_x, end_y) = points[-2], points[-1]
    dx, dy = (end_x > x) - (end_x < x), (end_y > y) - (end_y < y)
    head = [(end_x, end_y), (end_x - 8 * dx - 4 * dy, end_y - 8 * dy - 4 * dx)]
    head.append((end_x - 8 * dx + 4 * dy, end_y - 8 * dy + 4 * dx))
    shaft = [*points[:-1], (end_x - 5 * dx, end_y - 5 * dy)]
    path = " ".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(shaft))
    triangle = " ".join(f"{x:g},{y:g}" for x, y in head)
    return (
        f'<g><title>{escape(name)}</title><path d="{path}" class="edge c{colour}"/>'
        f'<polygon points="{triangle}" class="f{colour}"/></g>'
    )


def page(height: float, title: str, parts: list[str]) -> str:
    """The whole picture, with a paper of its own so that it reads on any page."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height:g}" rx="10" class="paper"/>',
            *parts,
            "</svg>\n",
        ]
    )

"""The picture of the workflow: one box per rule, one arrow per dependency, both asked of Snakemake.

Where a box stands is set here by hand; what stands in it, and every arrow, is what `snakemake --rulegraph` and the rule
files say. A rule without a place, or an arrow that would run up, ends with one sentence.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import svg
import yaml

from infoplane.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent

EVERYTHING = {
    "experiment": "picture",
    "device": "cpu",
    "data": {"kind": "digits", "train": 120, "held_out": 50, "validation": 40},
    "architectures": {"mlp": {"training": {"stack_seeds": True}}, "resnet": None},
    "shortcuts": {"identity": None, "none": None},
    "seeds": [0, 1],
    "measures": {"kernel": None, "gradients": None},
    "charts": {"information_plane": None, "phase_diagram": None},
    "claims": {
        "any": {
            "sentence": "Identity fits less.",
            "provenance": "ours",
            "quantity": "fit_depth",
            "of": "identity",
            "versus": ["none"],
            "expected": "less",
        }
    },
}
"""An experiment that needs every rule and every way between them."""

TARGETS = ("all", "partial", "archive", "summary", "why", "purge")
"""What stands beside the stages: names for what is made in the end, what packs it, asks of it, or makes room."""

ROWS: list[list[tuple[str, ...]]] = [
    [("data",)],
    [("train", "train_stack")],
    [("activations",)],
    [("measures",), ("reconstructions", "histograms")],
    [("tables",)],
    [("phases",)],
    [("verdicts",), ("charts",)],
    [("report",)],
    [("animation",)],
    [("truths",), ("accuracy",)],
]
"""From above to below; the cells of a row side by side, rules of one cell with the same arrows."""

LEFT, RIGHT, GAP = 66, svg.WIDTH - 54, 20
TOP, LANE, BETWEEN = 20, 14, 30
NAME, TEXT = 17, 14.5

SCOPES = {
    "{RUN}/{{family}}": "run × measure",
    "{RUN}": "each run",
    "{{family}}": "each measure",
    "{{chart}}": "each chart",
    "{{architecture}}/{{shortcut}}": "all seeds at once",
}
"""What stands in the path of a rule's log -> how often it runs."""


@dataclass(frozen=True)
class Cell:
    """Where some rules stand."""

    rules: tuple[str, ...]
    row: int
    side: int
    """-1 left half, 1 right half, 0 the whole width."""
    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def edge(self, side: int) -> float:
        """Its left (-1) or right (1) edge."""
        return self.x if side < 0 else self.x + self.width


def asked() -> tuple[set[str], set[tuple[str, str]]]:
    """The rules, and which is read by which, as Snakemake sees them; raises `UserError` where it sees nothing."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "everything.yaml")
        config.write_text(yaml.safe_dump(EVERYTHING), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
        command += ["--directory", folder, "--configfile", str(config), "--rulegraph"]
        source = os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))
        said = subprocess.run(
            [*command, "--", "all", "accuracy"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": source},
            capture_output=True,
            text=True,
        )
    alike = inherited()
    labels = re.findall(r'^\s*(\d+)\[label = "(\w+)"', said.stdout, re.MULTILINE)
    names = {node: alike.get(name, name) for node, name in labels}
    if said.returncode or not names:
        raise UserError(f"snakemake --rulegraph gave no graph: {said.stderr.strip()[-300:]}")
    pairs = re.findall(r"^\s*(\d+) -> (\d+)$", said.stdout, re.MULTILINE)
    edges = {(names[source], names[target]) for source, target in pairs}
    return set(names.values()) - set(TARGETS), {edge for edge in edges if not set(edge) & set(TARGETS)}


def inherited() -> dict[str, str]:
    """Rule -> the rule that it repeats for all seeds at once (``use rule ... as ... with``); both are drawn as one."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    return {name: of for of, name in re.findall(r"^use rule (\w+) as (\w+) with:", text, re.MULTILINE)}


def described() -> dict[str, tuple[str, str]]:
    """Rule -> the first clause of its docstring, and how often it runs, from the rule files."""
    found = {}
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL):
            if name in TARGETS:
                continue
            sentence = ast.literal_eval(re.match(r'\s*(""".*?""")', body, re.DOTALL)[1])  # type: ignore[index]
            log = re.search(r"log:\n(.*)", body)[1]  # type: ignore[index]
            scope = next((said for part, said in SCOPES.items() if part in log), "once")
            found[name] = (re.split("[;:]", sentence)[0].rstrip("."), scope)
    return found


def places(texts: dict[str, tuple[str, str]]) -> list[Cell]:
    """Every cell, as high as its texts need."""
    cells, y = [], TOP
    for number, row in enumerate(ROWS):
        wide = (RIGHT - LEFT - GAP * (len(row) - 1)) / len(row)
        high = max(sum(_height(texts[rule][0], wide) for rule in rules) for rules in row)
        for position, rules in enumerate(row):
            side = 0 if len(row) == 1 else 2 * position - 1
            cells.append(Cell(rules, number, side, LEFT + position * (wide + GAP), y, wide, high))
        y += high + BETWEEN
    return cells


def _height(text: str, wide: float) -> float:
    return 34 + 18 * len(svg.wrapped(text, wide - 24, TEXT))


def drawn_cell(cell: Cell, texts: dict[str, tuple[str, str]]) -> list[str]:
    parts = [svg.box(cell.x, cell.y, cell.width, cell.height)]
    y = cell.y
    for rule in cell.rules:
        sentence, scope = texts[rule]
        if y > cell.y:
            parts.append(f'<path d="M{cell.x + 12:g} {y:g}h{cell.width - 24:g}" class="rule"/>')
        parts.append(svg.words(cell.x + 12, y + 23, rule, NAME, "ink mono bold"))
        parts.append(svg.words(cell.x + cell.width - 12, y + 23, scope, 13, "muted", "end"))
        for number, line in enumerate(svg.wrapped(sentence, cell.width - 24, TEXT)):
            parts.append(svg.words(cell.x + 12, y + 43 + 18 * number, line, TEXT))
        y += _height(sentence, cell.width)
    return parts


def joined(cells: list[Cell], edges: set[tuple[str, str]]) -> dict[tuple[Cell, Cell], str]:
    """Which cells are joined, and by which arrows between rules; raises `UserError` where that cannot be drawn so."""
    at = {rule: cell for cell in cells for rule in cell.rules}
    names: dict[tuple[Cell, Cell], list[str]] = {}
    for source, target in sorted(edges, key=lambda edge: (cells.index(at[edge[0]]), edge)):
        if at[target].row < at[source].row or at[target] is at[source]:
            raise UserError(f"the arrow from {source} to {target} would run up: move one of them in ROWS.")
        names.setdefault((at[source], at[target]), []).append(f"{source} → {target}")
    for (source, target), listed in names.items():
        if len(listed) != len(source.rules) * len(target.rules):
            raise UserError(f"not all of {source.rules} and {target.rules} are joined: give them cells of their own.")
    return {pair: "; ".join(listed) for pair, listed in names.items()}


def routed(cells: list[Cell], edges: set[tuple[str, str]]) -> list[str]:
    """Arrows between cells: straight to a neighbour, else by a lane beside the boxes, one per source and side."""
    names = joined(cells, edges)
    sources = list(dict.fromkeys(source for source, _ in names))
    lanes: dict[int, list[list[tuple[int, int]]]] = {-1: [], 1: []}
    taps: dict[tuple[Cell, int], int] = {}
    parts = []
    for number, source in enumerate(sources):
        colour = number % len(svg.COLOURS)
        by_side: dict[int, list[Cell]] = {}
        for target in (target for start, target in names if start is source):
            if points := straight(source, target):
                parts.append(svg.arrow(points, colour, names[source, target]))
            else:
                by_side.setdefault(target.side or source.side or -1, []).append(target)
        for side, targets in by_side.items():
            x = source.edge(side) + side * (16 + LANE * lane(lanes[side], source, targets))
            for target in targets:
                tap = taps[target, side] = taps.get((target, side), 0) + 1
                out, y = source.bottom - 10, target.y + 4 + 13 * tap
                points = [(source.edge(side), out), (x, out), (x, y), (target.edge(side), y)]
                parts.append(svg.arrow(points, colour, names[source, target]))
    return parts


def straight(source: Cell, target: Cell) -> list[tuple[float, float]]:
    """From a cell to the next one, beside or below it; nothing where no straight line leads there."""
    if target.row == source.row:
        return [(source.edge(1), source.y + 19), (target.edge(-1), target.y + 19)]
    if target.row > source.row + 1 or source.side * target.side < 0:
        return []
    narrow = target if target.side else source
    x = narrow.x + narrow.width / 2
    return [(x, source.bottom), (x, target.y)]


def lane(taken: list[list[tuple[int, int]]], source: Cell, targets: list[Cell]) -> int:
    """The innermost lane that is free from the source's row to the last target's; it is taken from now on."""
    start, end = source.row, max(target.row for target in targets)
    free = (n for n, spans in enumerate(taken) if all(end <= first or start >= last for first, last in spans))
    number = next(free, len(taken))
    if number == len(taken):
        taken.append([])
    taken[number].append((start, end))
    return number


def draw() -> str:
    """The picture, SVG; raises `UserError` for a rule without a place."""
    rules, edges = asked()
    texts = described()
    placed = {rule for row in ROWS for cell in row for rule in cell}
    if placed != rules:
        raise UserError(
            f"docs/dag_picture.py: ROWS and the workflow differ in {', '.join(sorted(placed ^ rules))}: "
            "give every rule a place there, and only those."
        )
    cells = places(texts)
    parts = routed(cells, edges)
    for cell in cells:
        parts += drawn_cell(cell, texts)
    return svg.page(cells[-1].bottom + TOP, "The rules of the workflow, and which reads what another makes", parts)

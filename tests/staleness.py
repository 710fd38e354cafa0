"""What reruns after which change: the list that the tests hold the workflow to, and the table in the documentation.

python tests/staleness.py writes the table into docs/staleness.md; a test fails where it is out of date.
"""

import ast
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow import Workflow

from infoplane.config.complete import complete
from infoplane.config.load import load

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "staleness.md"
BEGIN, END = "<!-- staleness:begin -->", "<!-- staleness:end -->"

RULES = (
    "data", "train", "activations", "measures", "reconstructions", "histograms",
    "tables", "phases", "verdicts", "charts", "report",
)  # fmt: skip

DRAWN = {"charts": 2, "report": 1}
AFTER = {"tables": 1, "phases": 1, **DRAWN}
PICTURES = {"reconstructions": 4, "histograms": 4}
HALF_OF_THEM = {"reconstructions": 2, "histograms": 2}
OF_ONE_ARCHITECTURE = {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER}
ALL_RUNS = {"train": 4, "activations": 4, "measures": 8, **PICTURES, **AFTER}


@dataclass(frozen=True)
class Mutation:
    """One change to a finished experiment of two architectures, two shortcuts and one seed."""

    what: str
    """As the documentation says it."""
    make: Callable[[Workflow], None]
    reruns: dict[str, int]
    """Rule -> jobs."""
    why: str = ""
    """What `snakemake why` says of it."""


def config(**changes: Any) -> Callable[[Workflow], None]:
    """An edit of the configuration: keys to their new values; a dict is merged into what is there."""

    def make(workflow: Workflow) -> None:
        read = workflow.read()
        for key, value in changes.items():
            merge = isinstance(value, dict) and isinstance(read.get(key), dict)
            read[key] = read[key] | value if merge else value
        workflow.write(read)

    return make


def without(section: str, label: str) -> Callable[[Workflow], None]:
    def make(workflow: Workflow) -> None:
        read = workflow.read()
        workflow.write(read | {section: {name: value for name, value in read[section].items() if name != label}})

    return make


def source(path: str, text: str = "\nEXTRA = 1\n") -> Callable[[Workflow], None]:
    """An edit of a file of the package."""

    def make(workflow: Workflow) -> None:
        with (workflow.root / "src" / "infoplane" / path).open("a") as file:
            file.write(text)

    return make


def touched(workflow: Workflow) -> None:
    for folder in ("workflow", "scripts", "src", "config"):
        for path in (workflow.root / folder).rglob("*.*"):
            path.touch()


def deleted(name: str) -> Callable[[Workflow], None]:
    def make(workflow: Workflow) -> None:
        gone = workflow.results / name
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    return make


LABELLED = ("architectures", "shortcuts", "measures", "charts")
"""Sections whose order is meant."""


def moved(workflow: Workflow) -> None:
    """A comment in the configuration, and another order of its keys, in each other too; but for labels."""
    workflow.write(turned(workflow.read()))
    with workflow.config.open("a") as file:
        file.write("# a comment\n")


def turned(values: dict[str, Any], labels: bool = False) -> dict[str, Any]:
    """The same mapping with its keys from last to first; labels: but for those of the outermost."""
    items = list(values.items()) if labels else reversed(values.items())
    return {
        key: turned(value, key in LABELLED and not labels) if isinstance(value, dict) else value for key, value in items
    }


def spelt_out(workflow: Workflow) -> None:
    """Every key and option that was left out, with its default."""
    workflow.write(complete(load(workflow.read())))


def other_order(section: str) -> Callable[[Workflow], None]:
    def make(workflow: Workflow) -> None:
        read = workflow.read()
        workflow.write(read | {section: dict(reversed(read[section].items()))})

    return make


def formatted(workflow: Workflow) -> None:
    """Comments, line breaks and docstrings, in plug-ins, in what they import, and in a script."""
    package = workflow.root / "src" / "infoplane"
    plugins = ("models/architectures/mlp", "models/shortcuts/projection", "measures/families/kernel")
    for name in (*plugins, "charts/gallery/dynamics", "training/run", "tables", "report/page"):
        path = package / f"{name}.py"
        path.write_text(f"{path.read_text(encoding='utf-8')}\n\n# a comment\n'A sentence.'\n", encoding="utf-8")
    script = workflow.root / "scripts" / "train.py"
    script.write_text(ast.unparse(ast.parse(script.read_text(encoding="utf-8"))), encoding="utf-8")


def first_lines(workflow: Workflow) -> None:
    for name in ("charts/gallery/dynamics", "models/shortcuts/projection"):
        path = workflow.root / "src" / "infoplane" / f"{name}.py"
        path.write_text(path.read_text(encoding="utf-8").replace('"""', '"""Newly said: ', 1), encoding="utf-8")


CLAIM = {"quantity": "start", "of": "identity", "versus": "projection", "expected": "less", "provenance": "ours"}
FROZEN = {"frozen": {"kind": "projection", "init": "orthogonal"}}

MUTATIONS = [
    Mutation(
        "a seed more",
        config(seeds=[0, 1]),
        {"train": 4, "activations": 4, "measures": 8, **AFTER},
        "seeds: 1 is new",
    ),
    Mutation(
        "a shortcut more",
        config(shortcuts=FROZEN),
        {"train": 2, "activations": 2, "measures": 4, **HALF_OF_THEM, **AFTER},
        "shortcuts: frozen is new",
    ),
    Mutation("a shortcut less", without("shortcuts", "projection"), AFTER, "shortcuts.projection"),
    Mutation("one architecture's width", config(architectures={"mlp": {"width": 9, "blocks": 1}}), OF_ONE_ARCHITECTURE,
             "architectures.mlp.width: 8 → 9"),
    Mutation("one architecture's learning rate",
             config(architectures={"mlp": {"width": 8, "blocks": 1, "training": {"learning_rate": 0.01}}}),
             OF_ONE_ARCHITECTURE, "architectures.mlp.training.learning_rate: 0.1 → 0.01"),
    Mutation("everyone's training steps", config(training={"steps": 7}), ALL_RUNS, "training.steps: 6 → 7"),
    Mutation("a measure more", config(measures={"kde": None}), {"measures": 4, **AFTER}, "measures: kde is new"),
    Mutation("a further target", config(targets={"pixels": "x"}), {"measures": 8, **AFTER},
             'targets: nothing → {"pixels": "x"}'),
    Mutation("a measure's option", config(measures={"kernel": {"folds": 4}}), {"measures": 4, **AFTER},
             "measures.kernel.folds: 5 → 4"),
    Mutation("what is read out", config(activations={"dtype": "float16"}),
             {"activations": 4, "measures": 8, **PICTURES, **AFTER}, 'activations.dtype: "float32" → "float16"'),
    Mutation("the split", config(data={"split_seed": 1}), {"data": 1, **ALL_RUNS}, "data.split_seed: 0 → 1"),
    Mutation("a chart's option", config(charts={"information_plane": {"family": "linear"}}), {"charts": 1, "report": 1},
             "charts.information_plane.family"),
    Mutation("a chart more", config(charts={"contrast": None}), {"charts": 1, "report": 1}, "charts: contrast is new"),
    Mutation("the figures' width", config(figures={"width": 5.0}), DRAWN, "figures.width: 6.75 → 5.0"),
    Mutation("how sure a phase must be", config(phases={"level": 0.9}), {"phases": 1, "report": 1},
             "phases.level: 0.95 → 0.9"),
    Mutation("a claim's sentence", config(claims={"lower": CLAIM | {"sentence": "It starts lower."}}),
             {"verdicts": 1, "report": 1}, "it has not been made yet"),
    Mutation("bins of the histograms", config(histograms={"bins": 12}), {"histograms": 4, "report": 1},
             "histograms.bins: 40 → 12"),
    Mutation("the device, slots, the disk budget", config(device="auto", slots=3, disk={"budget": 50}), {}),
    Mutation("a comment, and the order of the keys, in the configuration", moved, {}),
    Mutation("every default spelt out in the configuration", spelt_out, {}),
    Mutation("the order of the charts", other_order("charts"), {"report": 1}, "charts: ["),
    Mutation("a measure's code", source("measures/families/linear.py"), {"measures": 4, **AFTER},
             "infoplane/measures/families/linear.py was edited"),
    Mutation("an architecture's code", source("models/architectures/resnet.py"), OF_ONE_ARCHITECTURE,
             "infoplane/models/architectures/resnet.py was edited"),
    Mutation("a shortcut kind's code", source("models/shortcuts/projection.py"), OF_ONE_ARCHITECTURE,
             "infoplane/models/shortcuts/projection.py was edited"),
    Mutation("the training loop's code", source("training/run.py"), ALL_RUNS, "infoplane/training/run.py was edited"),
    Mutation("a chart's code", source("charts/gallery/dynamics.py"), {"charts": 1, "report": 1},
             "infoplane/charts/gallery/dynamics.py was edited"),
    Mutation("the report's template", source("report/templates/report.css", "\n/* more */\n"), {"report": 1},
             "infoplane/report/templates/report.css was edited"),
    Mutation("comments, line breaks and docstrings in any of this code", formatted, {}),
    Mutation("the first line of a chart's and of a shortcut kind's docstring, which are shown", first_lines,
             {"charts": 1, "report": 1}, "infoplane/charts/gallery/dynamics.py (its first line) was edited"),
    Mutation("code that nothing here uses", source("models/architectures/vit.py"), {}),
    Mutation("files that were touched and not changed", touched, {}),
    Mutation("a chart that was deleted", deleted("charts/dynamics.svg"), {"charts": 1, "report": 1},
             "charts/dynamics.svg was made before, is gone, and is needed"),
    Mutation("tables that were deleted", deleted("tables"), AFTER, "tables/history.parquet and 1 more was made"),
    Mutation("phases that were deleted", deleted("phases"), {"phases": 1, "report": 1},
             "phases/answer.md and 6 more was made"),
    Mutation("measures that were deleted", deleted("measures/mlp"), {"measures": 4, **AFTER},
             "was made before, is gone"),
    Mutation("checkpoints that were deleted", deleted("train/mlp/identity/seed0/checkpoints.safetensors"),
             {"train": 1, "activations": 1, "measures": 2, "reconstructions": 1, "histograms": 1, **AFTER},
             "was made before, is gone"),
    Mutation("a split that was deleted", deleted("data/validation.parquet"), {"data": 1, **ALL_RUNS},
             "was made before, is gone"),
    Mutation("activations that were deleted", deleted("activations/mlp/identity/seed0.parquet"), {}),
]  # fmt: skip


def table() -> str:
    """Markdown: a row per mutation, with the number of jobs of each rule."""
    lines = [f"| change | {' | '.join(f'`{rule}`' for rule in RULES)} |", "| --- |" + " ---: |" * len(RULES)]
    for mutation in MUTATIONS:
        lines.append(f"| {mutation.what} | {' | '.join(str(mutation.reruns.get(rule, '')) for rule in RULES)} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the table between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

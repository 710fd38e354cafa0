"""The picture of the data contract: what the files hold, read from the files of a run of a few steps.

Every column and type in it is read from a file that the package wrote a moment ago; names of files, sentences, and what
joins the files stand here.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import svg
import torch

from infoplane.activations.dump import dump
from infoplane.config.load import load
from infoplane.data.prepare import prepare
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.tensors import TensorFile
from infoplane.tables import collect
from infoplane.training.run import train

RUN = ("resnet", "identity", 0)
SMALL = {
    "experiment": "picture",
    "data": {"kind": "digits", "train": 40, "held_out": 20, "validation": 20},
    "architectures": {"resnet": {"width": 4, "blocks": 1}},
    "shortcuts": {"identity": None},
    "seeds": [0],
    "training": {"steps": 1, "batch_size": 20, "checkpoints": {"log": 1, "log_until": 1, "linear": 1}},
    "activations": {"sites": ["*"]},
    "measures": {"kernel": None},
}

KEYS = {
    "run": ("architecture", "shortcut", "seed", "<run>"),
    "step": ("step", "<step>"),
    "image": ("sample",),
    "site": ("site", "part"),
}
"""What joins the files, and where it stands in them: one column of dots each."""

LEFT, RIGHT, TOP, LANE = 16, 456, 84, 45
PATH, TEXT, CHIP = 15.5, 14.5, 13


@dataclass(frozen=True)
class Card:
    """One kind of file."""

    path: str
    sentence: str
    columns: list[str]
    tensors: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name -> (which key it belongs to, or none; its type and shape)."""
    order: str = ""
    """The key that the position of a row stands for, or none."""

    @property
    def keys(self) -> set[str]:
        """Which keys it has."""
        of_tensors = {key for key, _ in self.tensors.values()}
        named = {key for key, names in KEYS.items() for name in names if name in self.columns or name in self.path}
        return {*named, *of_tensors, self.order} - {""}


def _tensors(path: Path, key: str) -> dict[str, tuple[str, str]]:
    return {name: (key, f"{kind} {list(shape)}") for name, (shape, kind) in TensorFile(path).tensors.items()}


def _columns(path: Path) -> list[str]:
    """Plain columns, in the file's order; tensors are fixed-size bytes."""
    return [column.name for column in pq.read_schema(path) if not pa.types.is_fixed_size_binary(column.type)]


def cards() -> list[Card]:
    """What a run leaves, as it is found in the files of one."""
    plan = load(SMALL)
    with tempfile.TemporaryDirectory() as name:
        folder, device = Path(name), torch.device("cpu")
        splits = {split: folder / f"{split}.parquet" for split in ("train", "validation", "held_out")}
        checkpoints, history, activations = (folder / part for part in ("c.safetensors", "h.parquet", "a.parquet"))
        prepare(plan.data, folder, splits)
        train(plan.train_spec(*RUN), splits["train"], splits["validation"], checkpoints, history, folder, device)
        dump(plan.activations, checkpoints, splits["train"], splits["held_out"], activations, device)
        collect([], {}, folder / "measures.parquet", folder / "history.parquet")
        run = CheckpointFile(checkpoints)
        weight, values = next(iter(run.load(run.steps[0]).items()))
        return [
            Card(
                "data/{train,validation,held_out}.parquet",
                "One row per image, each in one of the three.",
                _columns(splits["held_out"]),
                _tensors(splits["held_out"], ""),
                "image",
            ),
            Card(
                "train/<run>/checkpoints.safetensors",
                "One tensor per checkpoint and parameter.",
                [],
                {f"<step>/{weight}": ("step", f"{str(values.dtype).removeprefix('torch.')} {list(values.shape)}")},
            ),
            Card(
                "activations/<run>.parquet",
                "One row per checkpoint and held-out image, one tensor column per site and part (s shortcut, f branch, "
                "z sum). sample is the row of the image in data/held_out.parquet.",
                _columns(activations),
                _tensors(activations, "site"),
            ),
            Card(
                "tables/measures.parquet",
                "One row per run, checkpoint, site, part, measure and family.",
                _columns(folder / "measures.parquet"),
            ),
            Card(
                "tables/history.parquet",
                "One row per run and logged step.",
                _columns(folder / "history.parquet"),
            ),
        ]


def _colour(name: str) -> int | None:
    return next((number for number, names in enumerate(KEYS.values()) if name in names), None)


def _chips(names: list[str], y: float) -> tuple[list[str], float]:
    """Names of columns one after another, a line under those that join files; the parts and where they end."""
    parts, x = [], LEFT + 14.0
    for name in names:
        wide = svg.width(name, CHIP, "mono")
        if x + wide > RIGHT - 12:
            x, y = LEFT + 14.0, y + 23
        colour = _colour(name)
        parts.append(svg.words(x, y, name, CHIP, f"ink mono{'' if colour is None else ' bold'}"))
        if colour is not None:
            parts.append(f'<path d="M{x:g} {y + 5:g}h{wide:g}" class="edge c{colour}"/>')
        x += wide + 16
    return parts, y


def drawn(card: Card, y: float) -> tuple[list[str], float]:
    """A card from y down: its parts, and its height."""
    parts = [svg.words(LEFT + 14, y + 25, card.path, PATH, "ink mono bold")]
    at = y + 46
    for line in svg.wrapped(card.sentence, RIGHT - LEFT - 28, TEXT):
        parts.append(svg.words(LEFT + 14, at, line, TEXT, "muted"))
        at += 18
    at += 7
    if card.columns:
        chips, at = _chips(card.columns, at)
        parts += chips
        at += 23
    for name, (key, said) in card.tensors.items():
        parts.append(svg.words(LEFT + 14, at, name, CHIP, f"ink mono{' bold' if key else ''}"))
        if key:
            wide = svg.width(name, CHIP, "mono")
            colour = list(KEYS).index(key)
            parts.append(f'<path d="M{LEFT + 14:g} {at + 5:g}h{wide:g}" class="edge c{colour}"/>')
        parts.append(svg.words(RIGHT - 14, at, said, CHIP, "muted mono", "end"))
        at += 23
    height = at - y - 8
    return [svg.box(LEFT, y, RIGHT - LEFT, height), *parts], height


def draw() -> str:
    """The picture, SVG."""
    parts: list[str] = [
        svg.words(LEFT, 34, "What the files hold", 18, "ink bold"),
        svg.words(LEFT, 58, "and what joins them: a line under a column, dots at the side", TEXT, "muted"),
    ]
    found = cards()
    y, dots, boxes = float(TOP), {key: [] for key in KEYS}, []
    for card in found:
        made, height = drawn(card, y)
        boxes += made
        for key in card.keys:
            dots[key].append(y + 20)
        y += height + 18
    for number, (key, places) in enumerate(dots.items()):
        x = RIGHT + 28 + LANE * number
        parts.append(svg.words(x, TOP - 14, key, 13.5, "ink bold", "middle"))
        parts.append(f'<path d="M{x:g} {places[0]:g}V{places[-1]:g}" class="edge c{number}"/>')
        parts += [f'<circle cx="{x:g}" cy="{place:g}" r="6" class="f{number}"/>' for place in places]
    return svg.page(y + 2, "The data contract: files, their columns, and what joins them", [*parts, *boxes])

"""Labelled images in memory, and the split files that every later stage reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from infoplane.errors import UserError
from infoplane.options import Shape
from infoplane.storage.tensors import TensorFile

SPLITS = ("train", "validation", "held_out")
BEFORE = "probe.parquet"
"""What the file of held-out images was called up to version 0.1."""

COLUMN = "image"
KEYS = {"index": "int64", "label": "int64"}
GROUP = "group"
"""The key column beside them where the configuration names what belongs together."""


class Pixels(Protocol):
    """What images are read from: a numpy array, or something that decodes the asked-for rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, channels, height, width)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """The images at these positions, uint8 of shape (rows, channels, height, width)."""


def _sample(index: int) -> str:
    return f"sample {index}"


@dataclass(frozen=True)
class Images:
    """A whole data set, as a plug-in's ``load`` gives it."""

    pixels: Pixels
    """uint8, shape (samples, channels, height, width)."""
    labels: np.ndarray
    """int64, shape (samples,), classes counted from 0."""
    class_names: tuple[str, ...] | None
    source: str
    """One sentence: where these images come from."""
    locate: Callable[[int], str] = _sample
    """How to name the sample at a position to a person, such as its file and row."""
    groups: np.ndarray | None = None
    """int64, shape (samples,): which samples belong together, such as those of one patient; None: nothing says so."""
    copies: np.ndarray | None = None
    """int64, shape (samples,), one number for each different image; None: they are not known to be equal."""
    notes: tuple[str, ...] = ()
    """What a reader of the results should know, such as files that were left out; one sentence each, without a stop."""


@dataclass(frozen=True)
class Split:
    """One split, as `infoplane.data.prepare` wrote it."""

    pixels: np.ndarray
    """uint8, shape (samples, channels, height, width), read-only."""
    labels: np.ndarray
    """int64, shape (samples,)."""
    index: np.ndarray
    """int64, shape (samples,): the samples' positions in the source."""
    metadata: dict[str, Any]
    groups: np.ndarray | None = None
    """int64, shape (samples,): samples of one number belong together; None where no group was named."""

    @property
    def shape(self) -> Shape:
        """Channels, height, width of one image."""
        channels, height, width = self.metadata["shape"]
        return channels, height, width

    @property
    def classes(self) -> int:
        """Number of classes, whether or not each of them occurs here."""
        return int(self.metadata["classes"])

    @property
    def mean(self) -> np.ndarray:
        """Per-channel mean of the training split in units where white is 1; float32, shape (channels,)."""
        return np.asarray(self.metadata["mean"], np.float32)

    @property
    def std(self) -> np.ndarray:
        """Per-channel standard deviation of the training split, likewise; never 0."""
        return np.asarray(self.metadata["std"], np.float32)


def check_labels(labels: np.ndarray, classes: int, locate: Callable[[int], str]) -> None:
    """Raise `UserError` at the first label outside 0..classes-1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        first = int(wrong[0])
        others = f", and {len(wrong) - 1} more samples are outside too" if len(wrong) > 1 else ""
        raise UserError(f"{locate(first)} has the label {labels[first]}, outside 0..{classes - 1}{others}.")


def read_split(path: Path) -> Split:
    """Read one split file.

    Raises `UserError` when it is missing, truncated, something else, or has a label outside its classes.
    """
    if not path.exists() and path.with_name(BEFORE).is_file():
        raise UserError(
            f"{path} is missing: '{BEFORE}' beside it is of version 0.1, in which it was called so; run the workflow "
            "again to make it."
        )
    file = TensorFile(path)
    needed = {"shape", "classes", "class_names", "split", "mean", "std"}
    if COLUMN not in file.tensors or not needed <= file.metadata.keys():
        held = ", ".join(sorted(file.tensors)) or "no tensors"
        raise UserError(f"{path} is not a split of a data set: it holds {held}.")
    labels = file.key("label")
    groups = file.key(GROUP) if file.metadata.get("grouped") else None
    split = Split(file.tensor(COLUMN), labels, file.key("index"), file.metadata, groups)
    check_labels(labels, split.classes, lambda row: f"row {row} of {path}")
    return split

"""A data set's named arrays in memory, and the split files that every later stage reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from infoplane.errors import UserError
from infoplane.options import Field, Fields
from infoplane.storage.tensors import TensorFile

SPLITS = ("train", "validation", "held_out")
BEFORE = "probe.parquet"
"""What the file of held-out samples was called up to version 0.1."""
BEFORE_FIELDS = "image"
"""The column of a split file of an earlier version, when every sample was an image with a label."""

INDEX, GROUP = "index", "group"
"""The columns beside the fields: the position in the source, and what belongs together where that is named."""


class Column(Protocol):
    """What a field is read from: a numpy array, or something that decodes the asked-for rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, *shape of the field)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the field."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """The samples at these positions, of shape (rows, *shape of the field)."""


def _sample(index: int) -> str:
    return f"sample {index}"


@dataclass(frozen=True)
class Samples:
    """A whole data set, as a plug-in's ``load`` gives it."""

    arrays: Mapping[str, Column]
    """Every declared field: shape (samples, *shape of the field), its dtype; classes are counted from 0."""
    source: str
    """One sentence: where these samples come from."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field -> names of its classes, where only reading tells them."""
    locate: Callable[[int], str] = _sample
    """How to name the sample at a position to a person, such as its file and row."""
    groups: np.ndarray | None = None
    """int64, shape (samples,): which samples belong together, such as those of one patient; None: nothing says so."""
    copies: np.ndarray | None = None
    """int64, shape (samples,), one number for each different sample; None: they are not known to be equal."""
    notes: tuple[str, ...] = ()
    """What a reader of the results should know, such as files that were left out; one sentence each, without a stop."""

    def __len__(self) -> int:
        """Number of samples, by the first field."""
        return next(iter(self.arrays.values())).shape[0]

    def __getitem__(self, name: str) -> Column:
        """All values of a field."""
        return self.arrays[name]


@dataclass(frozen=True)
class Split:
    """One split, as `infoplane.data.prepare` wrote it."""

    arrays: Mapping[str, np.ndarray]
    """Field -> shape (samples, *shape of the field), read-only."""
    index: np.ndarray
    """int64, shape (samples,): the samples' positions in the source."""
    metadata: dict[str, Any]
    groups: np.ndarray | None = None
    """int64, shape (samples,): samples of one number belong together; None where no group was named."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of a field as they are stored."""
        return self.arrays[name]

    @property
    def fields(self) -> Fields:
        """What every sample has, in the order of the data set; the keys of the metadata are sorted."""
        declared = self.metadata["fields"]
        return {name: Field.from_dict(declared[name]) for name in self.metadata.get("order") or declared}

    def mean(self, name: str) -> np.ndarray:
        """Mean of a field over the training split, along each channel or feature; float32, fits one sample."""
        return self._statistic("mean", name)

    def std(self, name: str) -> np.ndarray:
        """Standard deviation of a field over the training split, likewise; never 0."""
        return self._statistic("std", name)

    def _statistic(self, kind: str, name: str) -> np.ndarray:
        return np.asarray(self.metadata[kind][name], np.float32).reshape(self.fields[name].statistics)

    def as_read(self, name: str) -> np.ndarray:
        """A field as networks are given it, in its declared scale: float64, or int64 where it is of classes."""
        declared, values = self.fields[name], self[name]
        if declared.classes is not None:
            return values
        values = values / float(declared.unit)
        return values if declared.scale == "none" else (values - self.mean(name)) / self.std(name)

    def unscaled(self, name: str, values: np.ndarray) -> np.ndarray:
        """Undo `as_read`, up to the unit of bytes: 255 is 1."""
        return values if self.fields[name].scale == "none" else values * self.std(name) + self.mean(name)


def check_classes(name: str, values: np.ndarray, classes: int, locate: Callable[[int], str]) -> None:
    """Raise `UserError` at the first sample with a class outside 0..classes-1."""
    outside = (values < 0) | (values >= classes)
    wrong = np.flatnonzero(outside.reshape(len(values), -1).any(1))
    if len(wrong):
        first = int(wrong[0])
        others = f", and {len(wrong) - 1} more samples are outside too" if len(wrong) > 1 else ""
        bad = values[first][outside[first]]
        raise UserError(f"{locate(first)} has the class {bad.flat[0]} in '{name}', outside 0..{classes - 1}{others}.")


def read_split(path: Path) -> Split:
    """Read one split file.

    Raises `UserError` when it is missing, truncated, something else, of an earlier version, or has a class outside
    those that are declared.
    """
    if not path.exists() and path.with_name(BEFORE).is_file():
        raise UserError(
            f"{path} is missing: '{BEFORE}' beside it is of version 0.1, in which it was called so; run the workflow "
            "again to make it."
        )
    file = TensorFile(path)
    if BEFORE_FIELDS in file.tensors and "shape" in file.metadata:
        raise UserError(
            f"{path} is of an earlier version, which had the columns 'image' and 'label' in place of named "
            "fields: delete it and run the workflow again."
        )
    if not {"fields", "split", "mean", "std"} <= file.metadata.keys():
        held = ", ".join(sorted(file.tensors)) or "no tensors"
        raise UserError(f"{path} is not a split of a data set: it holds {held}.")
    declared = {name: Field.from_dict(values) for name, values in file.metadata["fields"].items()}
    arrays = {name: file.key(name) if one.is_class else file.tensor(name) for name, one in declared.items()}
    for name, one in declared.items():
        if one.classes is not None:
            check_classes(name, arrays[name], one.classes, lambda row: f"row {row} of {path}")
    groups = file.key(GROUP) if file.metadata.get("grouped") else None
    return Split(arrays, file.key(INDEX), file.metadata, groups)

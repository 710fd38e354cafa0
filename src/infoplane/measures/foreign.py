"""Activations that another framework wrote, measured by the same families.

The data contract. The activations are one Parquet file: a row per sample (and checkpoint), a column per site. ``step``
(whole numbers) tells checkpoints apart and ``sample`` gives the place in the probe; without them the file holds one
checkpoint, in the order of the probe. Sites may be named ``block3.s``, ``block3.f`` and ``block3.z``; any other name
is a site of its own, and depth is the order of the columns. The probe is one Parquet file too: a row per sample, X in
a column, Y (whole numbers) in another. A tensor's cell is a list of numbers, nested for its shape (all samples of one
size), or one number, or bytes as infoplane writes them.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from infoplane.activations.file import Site
from infoplane.errors import UserError, nearest
from infoplane.measures.subject import Subject
from infoplane.measures.targets import Targets, prepare
from infoplane.storage.parquet import metadata, open_parquet

STEP, SAMPLE = "step", "sample"
PARTS = ("s", "f", "z")


class Table:
    """A Parquet file whose columns are read as arrays; raises `UserError` when it is missing or no Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        opened = open_parquet(path)
        self.schema: pa.Schema = opened.schema_arrow
        own = b"infoplane" in (self.schema.metadata or {})
        self.metadata: dict[str, Any] = metadata(opened, path) if own else {}
        self._dataset = ds.dataset(path, format="parquet")

    def require(self, name: str, what: str) -> None:
        """Raise `UserError` unless there is such a column."""
        if name not in self.schema.names:
            raise UserError(f"{self.path} has no column '{name}' ({what}): {nearest(name, self.schema.names)}")

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one cell, from the schema where it tells, else from the first row."""
        kind: pa.DataType = self.schema.field(name).type
        shape: tuple[int, ...] = ()
        if pa.types.is_fixed_size_binary(kind):
            return tuple(self._described(name)["shape"])
        while pa.types.is_fixed_size_list(kind):
            kind, shape = kind.value_type, (*shape, kind.list_size)
        if not _is_list(kind):
            return shape
        first = self._dataset.head(1, columns=[name])
        return self._array(name, first.column(0)).shape[1:] if len(first) else shape

    def read(self, name: str, where: pc.Expression | None = None, order: str | None = None) -> np.ndarray:
        """A column as an array (rows, *shape), of the rows that fit, sorted by another column."""
        columns = [name] if order is None else list(dict.fromkeys([name, order]))
        try:
            table = self._dataset.to_table(columns=columns, filter=where)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{self.path} cannot be read: {error}") from None
        if order is not None and not _rises(places := table.column(order).to_numpy()):
            table = table.take(np.argsort(places, kind="stable"))
        return self._array(name, table.column(name))

    def integers(self, name: str, what: str) -> np.ndarray:
        """A column of whole numbers, int64, shape (rows,)."""
        self.require(name, what)
        values = self.read(name)
        if values.ndim != 1 or values.dtype.kind not in "iub":
            raise UserError(f"{self.path}: column '{name}' ({what}) must hold whole numbers, not {values.dtype}.")
        return values.astype(np.int64)

    def _described(self, name: str) -> dict[str, Any]:
        try:
            return self.metadata["tensors"][name]
        except KeyError:
            raise UserError(
                f"{self.path}: column '{name}' holds bytes, and no metadata says of which shape and type: "
                "write lists of numbers, or the metadata that docs/how-it-works.md describes."
            ) from None

    def _array(self, name: str, column: pa.ChunkedArray) -> np.ndarray:
        where = f"{self.path}: column '{name}'"
        if column.null_count:
            raise UserError(f"{where} has {column.null_count} rows without a value.")
        values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        rows = len(values)
        if pa.types.is_fixed_size_binary(values.type):
            described, width = self._described(name), values.type.byte_width
            raw = np.frombuffer(values.buffers()[1], np.uint8)[values.offset * width :][: rows * width]
            return raw.view(described["dtype"]).reshape(rows, *described["shape"])
        shape: tuple[int, ...] = (rows,)
        while _is_list(values.type) or pa.types.is_fixed_size_list(values.type):
            outer, values = len(values), values.flatten()
            if outer and len(values) % outer:
                raise UserError(f"{where} holds lists of different lengths: every sample needs the same shape.")
            shape = (*shape, len(values) // outer if outer else 0)
        if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            raise UserError(f"{where} holds {values.type}: expected numbers, or lists of numbers.")
        if values.null_count:
            raise UserError(f"{where} has lists with missing values.")
        return values.to_numpy(zero_copy_only=False).reshape(shape)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _rises(values: np.ndarray) -> bool:
    return bool((np.diff(values) > 0).all())


class ForeignActivations:
    """A file of activations by the contract above, with what a measure family asks of it."""

    def __init__(self, path: Path) -> None:
        self._table = Table(path)
        columns = [name for name in self._table.schema.names if name not in (STEP, SAMPLE)]
        if not columns:
            raise UserError(f"{path} holds no site: expected a column of activations beside '{STEP}' and '{SAMPLE}'.")
        self._stepped = STEP in self._table.schema.names
        self._ordered = SAMPLE in self._table.schema.names
        steps = np.unique(self._table.integers(STEP, "the training step")) if self._stepped else np.zeros(1, np.int64)
        self.steps: list[int] = steps.tolist()
        self.metadata = {"status": "finished", "diverged_at": None} | self._table.metadata
        self.epochs: dict[int, float | None] = dict.fromkeys(self.steps)
        self.sites = [self._site(name, depth) for name, depth in _depths(columns).items()]

    def _site(self, column: str, depth: int) -> Site:
        name, part = _named(column)
        shape = self._table.shape(column) or (1,)
        return Site(name, part, depth, column, shape, shape, None)

    def read(self, step: int, site: Site) -> np.ndarray:
        """Activations of shape (n, *site.stored_shape), by ``sample`` where there is such a column."""
        where = ds.field(STEP) == step if self._stepped else None
        z = self._table.read(site.column, where, SAMPLE if self._ordered else None)
        if z.ndim > 1 and z.shape[1:] != site.stored_shape:
            raise UserError(
                f"{self._table.path}: column '{site.column}' holds samples of shape {z.shape[1:]} at step {step}, of "
                f"{site.stored_shape} in its first row: a site has one shape throughout."
            )
        return z.reshape(len(z), *site.stored_shape)


def _named(column: str) -> tuple[str, str]:
    """Site and part of a column: ``block3.f`` is the part f, anything else a sum of its own."""
    name, _, part = column.rpartition(".")
    return (name, part) if name and part in PARTS else (column, "z")


def _depths(columns: list[str]) -> dict[str, int]:
    """Column -> depth: the order of the sites, in which the parts of one addition share a place."""
    order = list(dict.fromkeys(_named(column)[0] for column in columns))
    return {column: order.index(_named(column)[0]) for column in columns}


@dataclass(frozen=True)
class ForeignSubject(Subject):
    """A run that was trained elsewhere: activations and a probe in Parquet files of any writer.

    x and y: the probe's columns; None where there is none, and then what would be decoded is constant, and flagged.
    """

    x: str | None = field(default="x", kw_only=True)
    y: str | None = field(default="label", kw_only=True)

    @cached_property
    def activations(self) -> ForeignActivations:  # type: ignore[override]
        assert self.activations_path is not None
        return ForeignActivations(self.activations_path)

    @cached_property
    def targets(self) -> Targets:
        table = Table(self.probe_path)
        labels = None if self.y is None else table.integers(self.y, "the label Y")
        inputs = None
        if self.x is not None:
            table.require(self.x, "the input X")
            inputs = table.read(self.x)
        known = labels if inputs is None else inputs
        if known is None:
            raise UserError("neither X nor Y is given: name at least one column of the probe.")
        blank = np.zeros(len(known), np.int64)
        return prepare(blank if inputs is None else inputs, blank if labels is None else labels, self.device)

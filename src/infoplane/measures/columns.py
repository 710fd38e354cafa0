"""Columns of a Parquet file of any writer as arrays: one cell is a number, a list (nested for a shape), or bytes."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from infoplane.errors import UserError, nearest
from infoplane.storage.parquet import KEY, SEAL, metadata, open_parquet


class Table:
    """A Parquet file whose columns are read as arrays.

    Raises `UserError` when it is missing, no Parquet file, or has two columns of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        opened = open_parquet(path, given=True)
        self.schema: pa.Schema = opened.schema_arrow
        self.rows: int = opened.metadata.num_rows
        own = KEY in (self.schema.metadata or {})
        self.metadata = _own_metadata(opened, path) if own else {}
        twice = sorted({name for name in self.schema.names if self.schema.names.count(name) > 1})
        if twice:
            raise UserError(f"{path} has more than one column '{twice[0]}': give each a name of its own.")

    @cached_property
    def _dataset(self) -> ds.Dataset:
        return ds.dataset(self.path, format="parquet")

    def require(self, name: str, what: str) -> None:
        """Raise `UserError` unless there is such a column."""
        if name not in self.schema.names:
            raise UserError(f"{self.path} has no column '{name}' ({what}): {nearest(name, self.schema.names)}")

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one cell, from the schema where it tells, else from the first row."""
        kind = _storage(self.schema.field(name).type)
        if pa.types.is_fixed_size_binary(kind):
            return self._described(name)[0]
        shape: tuple[int, ...] = ()
        while pa.types.is_fixed_size_list(kind):
            kind, shape = kind.value_type, (*shape, kind.list_size)
        if not _is_list(kind):
            return shape
        first = self._dataset.head(1, columns=[name])
        return self._array(name, first.column(0)).shape[1:] if len(first) else shape

    def read(self, name: str, where: pc.Expression | None = None) -> np.ndarray:
        """A column as an array (rows, *shape), of the rows that fit."""
        return self._array(name, self._column(name, where))

    def anything(self, name: str, where: pc.Expression | None = None) -> np.ndarray:
        """A column of numbers, lists of numbers, truth values or words, shape (rows, ...)."""
        column = self._column(name, where)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)):
            self._complete(name, column)
            return column.cast(kind).to_numpy(zero_copy_only=False).astype(bool if pa.types.is_boolean(kind) else str)
        return self._array(name, column)

    def plain(self, name: str, what: str, where: pc.Expression | None = None) -> np.ndarray:
        """A column of one number, truth value or word per row, shape (rows,)."""
        self.require(name, what)
        found = self.anything(name, where)
        if found.size != len(found):
            raise UserError(f"{self.path}: column '{name}' ({what}) holds lists: expected one value per row.")
        return found.reshape(-1)

    def integers(self, name: str, what: str, where: pc.Expression | None = None) -> np.ndarray:
        """A column of whole numbers of any type, int64, shape (rows,)."""
        values = self.plain(name, what, where)
        whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((values == np.floor(values)).all()))
        if not whole or not (np.abs(values.astype(np.float64)) < 2**63).all():
            raise UserError(f"{self.path}: column '{name}' ({what}) must hold whole numbers, not {values.dtype}.")
        return values.astype(np.int64)

    def _column(self, name: str, where: pc.Expression | None) -> pa.ChunkedArray:
        try:
            return self._dataset.to_table(columns=[name], filter=where).column(name)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise UserError(f"{self.path} cannot be read: {error}") from None

    def _described(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of a cell of bytes."""
        where = f"{self.path}: column '{name}' holds bytes"
        try:
            found = self.metadata["tensors"][name]
            shape, dtype = tuple(map(int, found["shape"])), np.dtype(found["dtype"])
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{where}, and no metadata says of which shape and type: "
                "write lists of numbers, or the metadata that docs/how-it-works.md describes."
            ) from None
        width = self.schema.field(name).type.byte_width
        if dtype.kind not in "biuf" or int(np.prod(shape)) * dtype.itemsize != width:
            raise UserError(f"{where}, {width} per row, and the metadata says {dtype} of shape {shape}.")
        return shape, dtype

    def _complete(self, name: str, column: pa.ChunkedArray | pa.Array) -> None:
        """Raise `UserError` for a missing value, naming the first row."""
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise UserError(
                f"{self.path}: column '{name}' has {column.null_count} rows without a value, the first is row {row}."
            )

    def _array(self, name: str, column: pa.ChunkedArray) -> np.ndarray:
        where = f"{self.path}: column '{name}'"
        self._complete(name, column)
        values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        values = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
        rows = len(values)
        if pa.types.is_fixed_size_binary(values.type):
            (shape, dtype), width = self._described(name), values.type.byte_width
            raw = np.frombuffer(values.buffers()[1], np.uint8)[values.offset * width :][: rows * width]
            return raw.view(dtype).reshape(rows, *shape)
        shape, inside = (rows,), 1
        while True:
            values = values.storage if isinstance(values, pa.ExtensionArray) else values
            if not (_is_list(values.type) or pa.types.is_fixed_size_list(values.type)):
                break
            if len(values):
                lengths = pc.list_value_length(values)
                unlike = pc.index(pc.not_equal(lengths, lengths[0]), True).as_py()
                if unlike >= 0:
                    raise UserError(
                        f"{where} holds lists of different lengths, the first is in row {unlike // inside}: every "
                        "sample needs the same shape."
                    )
            size = lengths[0].as_py() if len(values) else 0
            values, shape, inside = values.flatten(), (*shape, size), inside * size
            if values.null_count:
                row = pc.index(pc.is_null(values), True).as_py() // inside
                raise UserError(f"{where} has lists with missing values, the first is in row {row}.")
        if rows and not len(values):
            raise UserError(f"{where} holds empty lists: expected numbers, or lists of numbers.")
        if pa.types.is_boolean(values.type):
            values = values.cast(pa.uint8())
        if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            raise UserError(f"{where} holds {values.type}: expected numbers, or lists of numbers.")
        return values.to_numpy(zero_copy_only=False).reshape(shape)


def _own_metadata(opened: pq.ParquetFile, path: Path) -> dict[str, Any]:
    """What infoplane wrote, checked; or what another program wrote under the same key, which has no digest."""
    if SEAL.encode() in (opened.metadata.metadata or {}):
        return metadata(opened, path)
    try:
        found = json.loads(opened.schema_arrow.metadata[KEY])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: its 'infoplane' metadata is no JSON object: write the file again without it.")
    return found


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))

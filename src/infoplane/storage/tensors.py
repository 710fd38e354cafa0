"""Tensors in Parquet: one fixed-size binary column per tensor, one row per sample, read without a copy.

The data contract, also for other tools: a column holds the little-endian bytes of each sample's tensor in C order;
the file's ``infoplane`` metadata gives ``tensors: {column: {"shape": [...], "dtype": "float16"}}`` beside plain
key columns. A row group holds one batch of rows that share their keys' leading value (a checkpoint), so one column
of one row group can be read alone. Uncompressed and without statistics on tensors: activations do not compress,
and this is within a factor of three of writing the bare bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from infoplane.errors import UserError
from infoplane.storage.parquet import AGAIN, SealedWriter, metadata, open_parquet

PAGE_BYTES = 1 << 20

Tensors = Mapping[str, tuple[tuple[int, ...], str]]
"""Column name -> (shape of one sample, numpy dtype name)."""


def _nbytes(shape: tuple[int, ...], dtype: str) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


class TensorWriter:
    """Write row groups one after another; nothing but the current one is held in memory.

    As a context manager it is atomic: the file appears only when the block ends well.
    """

    def __init__(self, path: Path, keys: dict[str, str], tensors: Tensors, values: dict[str, Any]) -> None:
        self.keys, self.tensors = keys, tensors
        described = {name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in tensors.items()}
        columns = [(name, pa.type_for_alias(kind)) for name, kind in keys.items()]
        columns += [(name, pa.binary(_nbytes(*tensor))) for name, tensor in tensors.items()]
        self._sealed = SealedWriter(
            path,
            pa.schema(columns),
            {**values, "tensors": described},
            compression="none",
            use_dictionary=False,
            write_statistics=list(keys),
            data_page_size=PAGE_BYTES,
        )
        self.schema = self._sealed.schema

    def __enter__(self) -> Self:
        self._sealed.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sealed.__exit__(kind, error, trace)

    def write(self, keys: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> None:
        """Write one row group: key columns and, for each tensor column, an array of shape (rows, *shape)."""
        arrays = [pa.array(keys[name], self.schema.field(name).type) for name in self.keys]
        for name, (shape, dtype) in self.tensors.items():
            values = np.ascontiguousarray(tensors[name], dtype=dtype)
            if values.shape[1:] != shape:
                raise ValueError(f"{name}: expected samples of shape {shape}, got {values.shape[1:]}")
            kind = self.schema.field(name).type
            arrays.append(pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)]))
        self._sealed.write_table(pa.table(arrays, schema=self.schema))


class TensorFile:
    """A file of tensors, opened for reading; raises `UserError` when it is missing, truncated or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = open_parquet(self.path)
        self.metadata = metadata(self._file, self.path)
        if "tensors" not in self.metadata:
            raise UserError(f"{path} holds no tensors: expected a file of images or activations.")
        self.tensors: Tensors = {
            name: (tuple(described["shape"]), described["dtype"])
            for name, described in self.metadata["tensors"].items()
        }

    @property
    def row_groups(self) -> int:
        return self._file.num_row_groups

    @property
    def rows(self) -> int:
        return self._file.metadata.num_rows

    def first_key(self, group: int, name: str) -> int:
        """The smallest value of a key column in a row group, from its statistics alone."""
        column = self._file.schema_arrow.get_field_index(name)
        return self._file.metadata.row_group(group).column(column).statistics.min

    def _read(self, name: str, groups: list[int] | None) -> pa.ChunkedArray:
        wanted = list(range(self.row_groups)) if groups is None else groups
        try:
            return self._file.read_row_groups(wanted, columns=[name], use_threads=False).column(0)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path} is damaged ({error}): {AGAIN}.") from None

    def key(self, name: str, groups: list[int] | None = None) -> np.ndarray:
        """A key column, shape (rows,)."""
        return self._read(name, groups).to_numpy()

    def tensor(self, name: str, groups: list[int] | None = None) -> np.ndarray:
        """A tensor column, shape (rows, *shape); read-only, without a copy where one chunk holds it all."""
        shape, dtype = self.tensors[name]
        width = _nbytes(shape, dtype)
        parts = []
        for chunk in self._read(name, groups).chunks:
            raw = np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :]
            parts.append(raw[: len(chunk) * width].view(dtype).reshape(len(chunk), *shape))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

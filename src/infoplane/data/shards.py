"""Parquet shards of encoded images and labels, as public hubs ship them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infoplane.errors import UserError
from infoplane.given import files

IMAGE_COLUMNS = ("image", "img")
NAMES_GROUPS = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
BATCH = 512
"""Encoded images read at once."""


@dataclass(frozen=True)
class Shards:
    """Some shards as one table, in the order of the file names: labels in memory, images read on demand."""

    paths: tuple[Path, ...]
    starts: np.ndarray
    """int64, shape (shards + 1,): the position of each shard's first row, then the number of rows."""
    labels: np.ndarray
    """int64, shape (rows,)."""
    image_column: str
    class_names: tuple[str, ...] | None
    groups: np.ndarray | None
    """int64, shape (rows,): which rows belong together; None where nothing says so."""
    notes: tuple[str, ...]

    def locate(self, position: int) -> str:
        """The shard and row (from 0) at a position."""
        shard = int(np.searchsorted(self.starts, position, side="right")) - 1
        return f"row {position - self.starts[shard]} of {self.paths[shard]}"

    def encoded(self, positions: np.ndarray) -> Iterator[bytes]:
        """The images at ascending positions, still encoded; raises `UserError` for a damaged shard or null."""
        for path, start, end in zip(self.paths, self.starts[:-1], self.starts[1:], strict=True):
            low, high = np.searchsorted(positions, (start, end))
            if low < high:
                yield from self._from_shard(path, int(start), positions[low:high] - start)

    def _from_shard(self, path: Path, start: int, rows: np.ndarray) -> Iterator[bytes]:
        file = _open(path)
        ends = np.cumsum([file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)])
        groups = np.unique(np.searchsorted(ends, rows, side="right"))
        first = {int(g): int(ends[g]) - file.metadata.row_group(int(g)).num_rows for g in groups}
        for group, offset in first.items():
            for batch in _batches(file, path, group, self.image_column):
                cells = batch.column(0)
                if pa.types.is_struct(cells.type):
                    cells = pc.struct_field(cells, "bytes")
                low, high = np.searchsorted(rows, (offset, offset + len(cells)))
                for row in rows[low:high]:
                    image = cells[int(row) - offset].as_py()
                    if image is None:
                        raise UserError(f"{self.locate(start + int(row))} holds no image bytes.")
                    yield image
                offset += len(cells)


def open_shards(pattern: str, image: str, label: str, group: str = "") -> Shards:
    """Open a folder or glob of shards; an empty ``image`` means whichever of `IMAGE_COLUMNS` is there.

    group: the column whose equal values belong together; empty: none does. Raises `UserError` for no shards, a
    truncated one, a column that is missing (listing what is there) or there twice, bad labels, other class names.
    """
    paths = files.parquet(pattern)
    column, names, named_by, notes = "", None, None, []
    counts, labels, groups = [0], [], []
    for path in paths:
        file = _open(path)
        schema = file.schema_arrow
        column = _image_column(schema, path, image or column)
        found = _labels(file, path, label)
        labels.append(found)
        counts.append(len(found))
        groups += [_groups(file, path, group)] if group else []
        try:
            own = _class_names(schema, label)
        except (ValueError, RecursionError):
            own = None
            notes.append(f"{path} names its classes in a way that cannot be read, so they are numbered")
        if names and own and own != names:
            raise UserError(
                f"{path} names the classes {_few(own)}, {named_by} {_few(names)}: a label does not mean the same in "
                "both, so write them anew with one order of classes."
            )
        names, named_by = (names, named_by) if names else (own, path)
    together = np.unique(np.concatenate(groups), return_inverse=True)[1].astype(np.int64) if group else None
    starts = np.cumsum(counts)
    return Shards(tuple(paths), starts, np.concatenate(labels), column, names, together, tuple(notes))


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).split("\n", 1)[0].rstrip(".")
    return UserError(f"{path} is not a complete Parquet file ({reason}): download it again.")


def _batches(file: pq.ParquetFile, path: Path, group: int, column: str) -> Iterator[pa.RecordBatch]:
    kind = file.schema_arrow.field(column).type
    # Only the bytes are read where a struct holds a path beside them.
    leaf = f"{column}.bytes" if pa.types.is_struct(kind) else column
    try:
        yield from file.iter_batches(BATCH, row_groups=[group], columns=[leaf], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _image_column(schema: pa.Schema, path: Path, wanted: str) -> str:
    candidates = (wanted,) if wanted else IMAGE_COLUMNS
    column = next((name for name in candidates if name in schema.names), candidates[0])
    kind = _kind(schema, path, column, "image", " or ".join(f"'{name}'" for name in candidates))
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise UserError(
            f"column '{column}' of {path} is {kind}: expected encoded images, that is bytes or a struct of "
            "bytes and path."
        )
    return column


def _labels(file: pq.ParquetFile, path: Path, column: str) -> np.ndarray:
    kind = _kind(file.schema_arrow, path, column, "label")
    if not pa.types.is_integer(kind):
        raise UserError(f"column '{column}' of {path} is {kind}: expected integer labels.")
    found = _column(file, path, column, "label").to_numpy(zero_copy_only=False)
    if found.dtype == np.uint64:
        # What does not fit must not become a small or a negative one.
        found = np.minimum(found, np.uint64(np.iinfo(np.int64).max))
    return found.astype(np.int64)


def _groups(file: pq.ParquetFile, path: Path, column: str) -> np.ndarray:
    """The groups' names as text, shape (rows,)."""
    kind = _kind(file.schema_arrow, path, column, "group")
    of = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_integer(of) or pa.types.is_boolean(of) or pa.types.is_string(of) or pa.types.is_large_string(of)
    ):
        raise UserError(f"column '{column}' of {path} is {kind}: expected text or whole numbers that name groups.")
    cells = _column(file, path, column, "group")
    return np.array([str(name) for name in cells.to_pylist()], object)


def _kind(schema: pa.Schema, path: Path, column: str, option: str, wanted: str = "") -> pa.DataType:
    """The type of a column; raises `UserError` when it is missing or there twice."""
    if not (count := schema.names.count(column)):
        there = ", ".join(f"'{name}'" for name in schema.names) or "none"
        wanted = wanted or f"'{column}'"
        raise UserError(f"{path} has no column {wanted}: it has {there}; name one with `{option}`.")
    if count > 1:
        raise UserError(f"{path} has {count} columns '{column}': which one is meant? Write it anew with one of them.")
    return schema.field(column).type


def _column(file: pq.ParquetFile, path: Path, column: str, what: str) -> pa.Array:
    """A whole column; raises `UserError` for a damaged shard or a row without a value."""
    try:
        cells = file.read(columns=[column], use_threads=False).column(0).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    if cells.null_count:
        row = int(np.flatnonzero(cells.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(f"row {row} of {path} has no {what}.")
    return cells


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The names that the Hugging Face `datasets` library leaves in the schema, where it does."""
    described = (schema.metadata or {}).get(b"huggingface")
    if described is None:
        return None
    feature: Any = json.loads(described)
    for key in ("info", "features", column):
        feature = feature.get(key, {}) if isinstance(feature, dict) else {}
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else None

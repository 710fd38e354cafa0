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

IMAGE_COLUMNS = ("image", "img")
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


def open_shards(pattern: str, image: str, label: str) -> Shards:
    """Open a folder or glob of shards; an empty ``image`` means whichever of `IMAGE_COLUMNS` is there.

    Raises `UserError` for no shards, a truncated one, a missing column (listing what is there), bad labels.
    """
    paths = find_shards(pattern)
    column, names = "", None
    counts, labels = [0], []
    for path in paths:
        file = _open(path)
        schema = file.schema_arrow
        column = _image_column(schema, path, image or column)
        found = _labels(file, path, label)
        labels.append(found)
        counts.append(len(found))
        names = names or _class_names(schema, label)
    return Shards(tuple(paths), np.cumsum(counts), np.concatenate(labels), column, names)


def find_shards(pattern: str) -> list[Path]:
    """The shards, sorted by name; raises `UserError` when there are none."""
    path = Path(pattern).expanduser()
    if path.is_dir():
        path = path / "*.parquet"
    if path.is_file():
        return [path]
    parts = path.parts
    wild = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    if wild == len(parts):
        raise UserError(
            f"data set 'image_parquet': {pattern} does not exist: set `path` to a folder or glob of shards."
        )
    found = sorted(p for p in Path(*parts[:wild]).glob(str(Path(*parts[wild:]))) if p.is_file())
    if not found:
        raise UserError(f"data set 'image_parquet': no file matches {path}: set `path` to a folder or glob of shards.")
    return found


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
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
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None


def _image_column(schema: pa.Schema, path: Path, wanted: str) -> str:
    candidates = (wanted,) if wanted else IMAGE_COLUMNS
    column = next((name for name in candidates if name in schema.names), None)
    if column is None:
        raise _no_column(schema, path, " or ".join(f"'{name}'" for name in candidates), "image")
    kind = schema.field(column).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise UserError(
            f"column '{column}' of {path} is {kind}: expected encoded images, that is bytes or a struct of "
            "bytes and path."
        )
    return column


def _labels(file: pq.ParquetFile, path: Path, column: str) -> np.ndarray:
    schema = file.schema_arrow
    if column not in schema.names:
        raise _no_column(schema, path, f"'{column}'", "label")
    if not pa.types.is_integer(schema.field(column).type):
        raise UserError(f"column '{column}' of {path} is {schema.field(column).type}: expected integer labels.")
    try:
        cells = file.read(columns=[column], use_threads=False).column(0).combine_chunks()
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None
    if cells.null_count:
        row = int(np.flatnonzero(cells.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(f"row {row} of {path} has no label.")
    return cells.to_numpy(zero_copy_only=False).astype(np.int64)


def _no_column(schema: pa.Schema, path: Path, wanted: str, option: str) -> UserError:
    there = ", ".join(f"'{name}'" for name in schema.names) or "none"
    return UserError(f"{path} has no column {wanted}: it has {there}; name one with `{option}`.")


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

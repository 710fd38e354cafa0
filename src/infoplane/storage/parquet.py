"""Opening and writing Parquet the same way everywhere: JSON metadata under one key, the same bytes every time."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infoplane.errors import UserError
from infoplane.storage.atomic import atomic_path

KEY = b"infoplane"


def open_parquet(path: Path, memory_map: bool = True) -> pq.ParquetFile:
    """Open a Parquet file; raises `UserError` when it is missing, truncated or something else."""
    try:
        return pq.ParquetFile(path, memory_map=memory_map)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to make it.") from None
    except (pa.ArrowInvalid, pa.ArrowIOError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UserError(
            f"{path} is not a complete Parquet file ({reason}): delete it and run the workflow again."
        ) from None


def metadata(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    """The JSON object that infoplane wrote into the file; raises `UserError` when there is none."""
    found = (file.schema_arrow.metadata or {}).get(KEY)
    if found is None:
        raise UserError(f"{path} was not written by infoplane: it has no '{KEY.decode()}' metadata.")
    return json.loads(found)


def encode_metadata(values: dict[str, Any]) -> dict[bytes, bytes]:
    """Metadata as Arrow wants it."""
    return {KEY: json.dumps(values, sort_keys=True).encode()}


def write_rows(path: Path, table: pa.Table, values: dict[str, Any]) -> None:
    """Write a small tidy table with its metadata, atomically and deterministically."""
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(encode_metadata(values)), temporary, compression="zstd")


def read_rows(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A small tidy table and its metadata."""
    file = open_parquet(path)
    values = metadata(file, path)
    try:
        return file.read(), values
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it and run the workflow again.") from None

"""Opening and writing Parquet the same way everywhere: JSON metadata under one key, the same bytes every time.

Damage is found when a file is read: every page has a checksum (Parquet's own), and the footer, which holds the metadata
and all positions, has a digest of itself.
"""

import hashlib
import json
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from infoplane.errors import UserError
from infoplane.storage.atomic import atomic_path

KEY = b"infoplane"
SEAL = "infoplane.footer"
"""Under which key the footer holds the SHA-256 of itself, taken with zeros in the digest's place."""
BLANK = b"0" * 64
SEALED = re.compile(re.escape(SEAL).encode() + rb"..([0-9a-f]{64})", re.DOTALL)
"""Key, type, length and digest, as Thrift's compact protocol writes them."""
TAIL = 8
"""Bytes after the footer: its length, and the letters PAR1."""
AGAIN = "delete it and run the workflow again"


class SealedWriter:
    """Write a Parquet file atomically, as a context manager: it appears only when the block ends well.

    options: of `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(self, path: Path, schema: pa.Schema, values: dict[str, Any], **options: Any) -> None:
        """values: the file's metadata, a JSON object."""
        self.schema = schema.with_metadata({KEY: json.dumps(values, sort_keys=True).encode()})
        self._atomic, self._options = atomic_path(path), options

    def __enter__(self) -> Self:
        self._temporary = self._atomic.__enter__()
        self._writer = pq.ParquetWriter(self._temporary, self.schema, write_page_checksum=True, **self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.add_key_value_metadata({SEAL: BLANK.decode()})
            self._writer.close()
            if error is None:
                _seal(self._temporary)
        except BaseException as closing:
            self._atomic.__exit__(type(closing), closing, closing.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)

    def write_table(self, table: pa.Table) -> None:
        """Write one row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))


def _seal(path: Path) -> None:
    """Put the footer's digest in its place."""
    footer = _footer(path)
    (place,) = SEALED.finditer(footer)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - TAIL - len(footer) + place.start(1))
        file.write(hashlib.sha256(footer).hexdigest().encode())


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(-TAIL, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(size - length)
        return file.read(length)


def open_parquet(path: Path, memory_map: bool = True, given: bool = False) -> pq.ParquetFile:
    """Open a Parquet file; raises `UserError` when it is missing, truncated or something else.

    given: it is the user's own, so the sentence does not say that a run would make it.
    """
    try:
        return pq.ParquetFile(path, memory_map=memory_map, page_checksum_verification=True)
    except FileNotFoundError:
        missing = "check its name" if given else "run the workflow again to make it"
        raise UserError(f"{path} is missing: {missing}.") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        todo = "write it again" if given else AGAIN
        raise UserError(f"{path} is not a complete Parquet file ({reason}): {todo}.") from None


def metadata(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    """The JSON object that infoplane wrote into the file.

    Raises `UserError` when there is none, and for a footer that is no longer what was written.
    """
    found = (file.schema_arrow.metadata or {}).get(KEY)
    if found is None:
        raise UserError(f"{path} was not written by infoplane: it has no '{KEY.decode()}' metadata.")
    footer = _footer(path)
    seals = [match[1] for match in SEALED.finditer(footer)]
    if not seals:
        raise UserError(f"{path} was written by an older version of infoplane: {AGAIN}.")
    if hashlib.sha256(footer.replace(seals[0], BLANK, 1)).hexdigest().encode() != seals[0]:
        raise UserError(f"{path} is damaged (its footer is not what was written): {AGAIN}.")
    return json.loads(found)


def write_rows(path: Path, table: pa.Table, values: dict[str, Any]) -> None:
    """Write a small tidy table with its metadata, atomically and deterministically."""
    with SealedWriter(path, table.schema, values, compression="zstd") as writer:
        writer.write_table(table.replace_schema_metadata(writer.schema.metadata))


def read_rows(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A small tidy table and its metadata; raises `UserError` for a file that is missing, foreign or damaged."""
    file = open_parquet(path)
    values = metadata(file, path)
    try:
        return file.read(), values
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): {AGAIN}.") from None

"""Record what the files of a data set hold when it is prepared, and compare it with what they hold later.

The digests of files that have not changed since are taken from a file of known ones, as Git does with its index: tens
of thousands of images are looked at, and not read again, whenever the workflow is planned.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infoplane.errors import UserError
from infoplane.storage.atomic import write_text

Known = dict[str, tuple[int, int, int, str]]
"""Path -> bytes, times of the last change of content and of anything (ns), and SHA-256."""

DIGITS = 12


def record(found: Mapping[str, str], folder: bool, known: Path | None = None, keep: bool = True) -> dict[str, Any]:
    """``{"files": {name: {bytes, sha256}}}``, or of a folder of images ``{"folder": {files, bytes, sha256}}``.

    found: name -> path, as `files.of` gives it. A folder's digest is that of what ``sha256sum`` prints for the images
    that are read, sorted by name. known: a file of digests, brought up to date where ``keep`` says so. Raises
    `UserError` for a file that cannot be read.
    """
    sizes = dict(zip(found, digests(found.values(), known, keep), strict=True))
    if not folder:
        return {"files": {name: {"bytes": size, "sha256": sha} for name, (size, sha) in sizes.items()}}
    listed = "".join(f"{sha}  {name}\n" for name, (_, sha) in sorted(sizes.items()))
    total = sum(size for size, _ in sizes.values())
    sha = hashlib.sha256(os.fsencode(listed)).hexdigest()
    return {"folder": {"files": len(sizes), "bytes": total, "sha256": sha}}


def in_short(recorded: dict[str, Any]) -> str:
    """A record as one short line, which differs where it does."""
    count = recorded["folder"]["files"] if "folder" in recorded else len(recorded["files"])
    digest = hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()
    return f"{count} file{'s' if count > 1 else ''}, digest {digest[:DIGITS]}"


def digests(paths: Iterable[str], known: Path | None = None, keep: bool = True) -> list[tuple[int, str]]:
    """Bytes and SHA-256 of each file; raises `UserError` for one that cannot be read."""
    before = _read(known)
    now: Known = {}
    for path in paths:
        try:
            about = os.stat(path)  # noqa: PTH116 (a Path of each takes longer than this)
            stamp = (about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            entry = before.get(path)
            if entry is None or entry[:3] != stamp:
                with Path(path).open("rb") as file:
                    entry = (*stamp, hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        now[path] = entry
    if known and keep and now != before:
        # It only saves time: where it cannot be written, the files are read again.
        with suppress(OSError, UserError):
            write_text(known, json.dumps(now))
    return [(size, sha) for size, _, _, sha in now.values()]


def _read(known: Path | None) -> Known:
    try:
        read = json.loads(known.read_bytes()) if known else {}
        return {path: (int(size), int(data), int(node), str(sha)) for path, (size, data, node, sha) in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

"""Write and read the manifest of an archive, for programs: digests of all files, what is not in it, data, versions.

``manifest.json`` at the root of an archive::

    {"experiment", "results",                         the name; where a rerun's results go
     "files": {path: {"bytes", "sha256"}},            every file of the archive but the manifest itself
     "left_out": {path: {"bytes", "sha256"}},         results that were there when it was made, relative to "results"
     "data": {"kind", "path", "files" or "folder",    the data set; the user's own files, where it has any,
              "since"},                               and what became of them since the results were made of them
     "measured": {"versions", "devices", "runs", ...},  as the tables' metadata tell
     "made": {"platform", "python", "packages"}}      of the machine that made the archive
"""

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from infoplane.errors import UserError
from infoplane.given import files
from infoplane.given.record import record
from infoplane.storage.parquet import metadata as read_metadata
from infoplane.storage.parquet import open_parquet

NAME = "manifest.json"

UNKNOWN = "read when the archive was made; the split data are gone, so it is not known whether they are the same"
GONE = "not there any more when the archive was made"
CHANGED = "different when the archive was made: they have changed since the networks were trained on these"

Content = Mapping[str, Path | bytes]
"""Path in the archive -> a file's place, or its content."""

NAMED = ("files", "left_out")
"""Those that name files."""
KEYS = ("experiment", "results", "files", "left_out", "data", "measured", "made")


def describe(source: Path | bytes) -> dict[str, Any]:
    """Bytes and SHA-256 of a file or of its content; raises `UserError` when it is missing."""
    if isinstance(source, bytes):
        return {"bytes": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    try:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": file.tell(), "sha256": digest}
    except FileNotFoundError:
        raise UserError(f"{source} is missing: run the workflow again to make it.") from None
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror}.") from None


def described(content: Content) -> dict[str, Any]:
    """Path -> bytes and SHA-256, sorted."""
    return {name: describe(content[name]) for name in sorted(content)}


def left_out(results: Path, metadata: Mapping[str, Any], templates: Iterable[str]) -> dict[str, Any]:
    """What of these results is there, relative to the folder, each with bytes and SHA-256.

    templates: paths with ``{architecture}``, ``{shortcut}``, ``{seed}`` and ``{family}`` where they need them; the
    tables' metadata tell the runs. What has been deleted since is not named.
    """
    runs = metadata.get("runs") or []
    found = (
        Path(
            template.format(architecture=run["architecture"], shortcut=run["shortcut"], seed=run["seed"], family=family)
        )
        for template in templates
        for run in runs
        for family in run["measures"]
    )
    kept = dict.fromkeys(path for path in found if path.is_file())
    return described({path.relative_to(results).as_posix(): path for path in kept})


def data(config: Mapping[str, Any], held_out: Path) -> dict[str, Any]:
    """The data set and, where it is the user's own, the files, each with bytes and SHA-256; or one for a folder.

    They are those that the networks were trained on, as the file of held-out images has them, whatever lies there now;
    ``since`` says what became of them. A folder's digest is that of what ``sha256sum`` prints for its images, sorted by
    name. Raises `UserError` when neither the file of held-out images nor any file of the user's is there.
    """
    kind, path = config["data"]["kind"], config["data"].get("path")
    if not path:
        return {"kind": kind}
    trained_on = read_metadata(open_parquet(held_out), held_out).get("read") if held_out.is_file() else None
    try:
        now = record(files.of(kind, path), kind == "image_folder")
    except UserError as error:
        if trained_on is None:
            raise UserError(f"data.path: it would not be known what was trained on: {error}") from None
        now = None
    since = UNKNOWN if trained_on is None else GONE if now is None else CHANGED if now != trained_on else ""
    return {"kind": kind, "path": path} | (trained_on or now or {}) | ({"since": since} if since else {})


def measured(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """With what the tables say that they were measured."""
    about = {key: metadata.get(key) for key in ("versions", "devices", "seeds", "n")}
    states = [run["status"] for run in metadata.get("runs") or []]
    return about | {"runs": {state: states.count(state) for state in sorted(set(states))}}


def made(constraints: Path) -> dict[str, Any]:
    """The machine that this runs on: system, Python, and those of the pinned packages that are installed."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)", constraints.read_text(encoding="utf-8"), flags=re.MULTILINE)
    packages = {}
    for name, pin in pinned:
        try:
            packages[name] = {"installed": version(name), "pinned": pin}
        except PackageNotFoundError:
            continue
    return {"platform": platform.platform(), "python": platform.python_version(), "packages": packages}


def text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read(folder: Path) -> dict[str, Any]:
    """The manifest of an unpacked archive; raises `UserError` when there is none or it is damaged."""
    path = folder / NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run this in the folder that an archive was unpacked to.") from None
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): unpack the archive again.") from None
    if not isinstance(values, dict) or any(key not in values for key in KEYS):
        raise UserError(f"{path} is not the manifest of an archive: unpack the archive again.")
    if not isinstance(values["results"], str) or not all(isinstance(values[key], dict) for key in NAMED):
        raise UserError(f"{path} is not the manifest of an archive: unpack the archive again.")
    for name in (values["results"], *(name for key in NAMED for name in values[key])):
        if not _below(name):
            raise UserError(f"{path} names '{name}', which is not below the archive's folder: do not trust it.")
    return values


def _below(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def is_file(folder: Path, name: str) -> bool:
    """Tell whether this is a file in the folder; a link to a file outside does not count."""
    path = folder / name
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())

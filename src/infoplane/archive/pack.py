"""One file that another person can open and rerun: results, the code that made them, the complete configuration.

The archive holds one folder, named after the experiment. It is a checkout whose ``config/config.yaml`` is this
experiment; the results lie in ``archived/``, where no rule looks, so that a rerun neither takes them for its own nor
touches them. The same contents are the same bytes: sorted names, one date, no owner.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from infoplane import checkout
from infoplane.archive import about, manifest
from infoplane.errors import UserError
from infoplane.plugin_files import ARCHIVED as PLUGINS
from infoplane.plugin_files import folders
from infoplane.storage.atomic import atomic_path
from infoplane.storage.parquet import read_rows

ARCHIVED = "archived"
"""The folder of the results in an archive."""
GIVEN = f"{ARCHIVED}/config"
"""That of the configuration as it was written."""
CONFIG = "config/config.yaml"
MEASURES = "tables/measures.parquet"
"""The table, below the results, whose metadata tell of the runs."""

HELD_OUT = "data/held_out.parquet"
"""The split, below the results, whose metadata tell of the user's own files."""

DATE = (2000, 1, 1, 0, 0, 0)
"""Of every file: ZIP knows no earlier year than 1980, and no time zone may fall before it."""
BLOCK = 1 << 20


def pack(
    output: Path,
    root: Path,
    config: Mapping[str, Any],
    results: Path,
    shown: Sequence[Path],
    given: Sequence[Path] = (),
    left_out: Sequence[str] = (),
) -> None:
    """Write the archive of an experiment, atomically.

    root: of the checkout that runs; config: the complete configuration; results: the experiment's folder, and shown
    the files in it that go into the archive, the measures table among them; given: the configuration as it was
    written; left_out: paths of what is only named, as in `manifest.left_out`. Raises `UserError` for a file that is
    missing or damaged.
    """
    metadata = _checked(shown, results / MEASURES)
    experiment = str(config["experiment"])
    content: dict[str, Path | bytes] = {path.as_posix(): root / path for path in checkout.files(root)}
    for folder in folders():
        content |= {f"{PLUGINS}/{folder.name}/{path.as_posix()}": folder / path for path in checkout.below(folder)}
    content |= {f"{ARCHIVED}/{path.relative_to(results).as_posix()}": path for path in shown}
    content |= _written(given)
    content[CONFIG] = _yaml(config, sorted(name for name in content if name.startswith(f"{GIVEN}/")))
    values: dict[str, Any] = {
        "experiment": experiment,
        "results": f"{config['results']}/{experiment}",
        "left_out": manifest.left_out(results, metadata, left_out),
        "data": manifest.data(config, results / HELD_OUT),
        "measured": manifest.measured(metadata),
        "made": manifest.made(root / "constraints.txt"),
    }
    content[about.NAME] = about.text(values).encode()
    values["files"] = manifest.described(content)
    write(output, experiment, content | {manifest.NAME: manifest.text(values).encode()}, values["files"])


def write(output: Path, folder: str, content: manifest.Content, files: Mapping[str, Any]) -> None:
    """Write a ZIP file with one folder, atomically; the same content is the same bytes.

    files: what the manifest says of them. Raises `UserError` for a file that has changed since.
    """
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(content):
            source = content[name]
            entry = zipfile.ZipInfo(f"{folder}/{name}", DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as Unix writes it, on every system
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = len(source) if isinstance(source, bytes) else source.stat().st_size
            digest = hashlib.sha256()
            with archive.open(entry, "w") as target:
                for block in _blocks(source):
                    digest.update(block)
                    target.write(block)
            if name in files and digest.hexdigest() != files[name]["sha256"]:
                raise UserError(f"{source!s} was changed while it was archived: run the same command again.")


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _checked(shown: Sequence[Path], measures: Path) -> dict[str, Any]:
    """Read every table, so that no damaged one is sent; the metadata of the measures table."""
    found = {path: read_rows(path)[1] for path in shown if path.suffix == ".parquet"}
    if measures not in found:
        raise UserError(f"{measures} is not among the archived files, and without it the runs are not known.")
    return found[measures]


def _written(given: Sequence[Path]) -> dict[str, Path]:
    """The configuration files by their names; numbered where there are several, since the later ones win."""
    names = [path.name if len(given) == 1 else f"{i}-{path.name}" for i, path in enumerate(given, 1)]
    return {f"{GIVEN}/{name}": path for name, path in zip(names, given, strict=True)}


def _yaml(config: Mapping[str, Any], written: Sequence[str]) -> bytes:
    lines = [
        f"# The complete configuration of the experiment '{config['experiment']}': all of its keys and options.",
        "# What each of them means: config/default.yaml.",
        *([f"# As it was written: {', '.join(written)}."] if written else []),
    ]
    return ("\n".join(lines) + "\n" + yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)).encode()

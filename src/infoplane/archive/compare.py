"""Two folders of results, table by table: the same to the bit, the same values, or how far off.

Tables are compared row by row as they stand: infoplane sorts every table by its keys. Charts and the page are drawn
from them, and are not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infoplane.archive import manifest
from infoplane.archive.pack import ARCHIVED
from infoplane.errors import UserError
from infoplane.renamed import FILES
from infoplane.storage.parquet import metadata, open_parquet, read_rows

SHOWN = 6
"""Names that are listed before the rest is counted."""


@dataclass(frozen=True)
class Finding:
    """What became of one file or group of files."""

    name: str
    said: str
    same: bool
    """Whether the values are equal; a difference in metadata alone does not count."""
    detail: tuple[str, ...] = ()
    """How large the difference is, part by part."""


def unpacked(folder: Path) -> list[Finding]:
    """Compare an unpacked archive with what was archived, and with its rerun.

    Only files below the folder are read. Raises `UserError` when it holds no archive.
    """
    values = manifest.read(folder)
    results, archived = folder / values["results"], folder / ARCHIVED
    if any(path.is_symlink() for path in (archived, *archived.rglob("*"))):
        raise UserError(f"{archived} holds links, which no archive of infoplane has: do not trust it.")
    found = [intact(folder, values["files"])]
    if not results.is_dir():
        return [*found, Finding(values["results"], "not made yet: `make run` makes it", True)]
    found += folders(archived, results, values["results"])
    return [*found, *remade(results, values["left_out"])]


def intact(folder: Path, files: Mapping[str, Any]) -> Finding:
    """Whether an archive's files are as the manifest says."""
    gone = [name for name in files if not manifest.is_file(folder, name)]
    changed = [name for name in files if name not in gone and manifest.describe(folder / name) != files[name]]
    parts = [f"{what}: {_listed(names)}" for what, names in (("changed", changed), ("missing", gone)) if names]
    said = "; ".join(parts) or f"all {len(files)} as they were archived"
    return Finding("files of the archive", said, not parts)


def remade(results: Path, left_out: Mapping[str, Any]) -> Iterator[Finding]:
    """Of results that an archive only names, folder by folder: how many a rerun has made to the bit."""
    groups: dict[str, list[str]] = {}
    for name in left_out:
        groups.setdefault(name.split("/")[0], []).append(name)
    for group, names in groups.items():
        there = [name for name in names if manifest.is_file(results, name)]
        same = sum(manifest.describe(results / name) == left_out[name] for name in there)
        missing = f", {len(names) - len(there)} not there" if len(there) < len(names) else ""
        yield Finding(f"{group}/", f"{same} of {len(names)} files the same, to the bit{missing}", same == len(names))


def folders(first: Path, second: Path, name: str | None = None) -> list[Finding]:
    """Compare every table of the first folder with that of the same path in the second, sorted.

    name: what the second is called. Raises `UserError` for a folder that is missing or has no tables.
    """
    for folder in (first, second):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: name two folders of results.")
    paths = sorted(path.relative_to(first) for path in first.rglob("*.parquet"))
    if not paths:
        raise UserError(f"{first} holds no tables: name a folder of results, such as {ARCHIVED}.")
    return [
        table(first / path, second / path, path.as_posix())
        if (second / path).is_file()
        else Finding(path.as_posix(), f"not in {name or second}{_renamed(path)}", False)
        for path in paths
    ]


def _renamed(path: Path) -> str:
    new = FILES.get(path.name)
    return f", where it is called {path.with_name(new)} since version 0.2.0" if new else ""


def table(first: Path, second: Path, name: str) -> Finding:
    """One table against another; a damaged one, or tensors that are not the same, cannot be compared further."""
    if manifest.describe(first) == manifest.describe(second):
        return Finding(name, "the same, to the bit", True)
    read = []
    for path in (first, second):
        try:
            if "tensors" in metadata(open_parquet(path), path):
                return Finding(name, "differs; it holds tensors, which are not compared further", False)
            read.append(read_rows(path))
        except UserError:
            return Finding(name, f"cannot be compared: {path} is damaged", False)
    (one, about_one), (other, about_other) = read
    said = differences(pl.DataFrame(one), pl.DataFrame(other))
    keys = list(_unequal(about_one, about_other))
    what = f"other metadata: {_listed(keys)}" if keys else "written differently"
    if said:
        return Finding(name, "differs", False, (*said, what) if keys else tuple(said))
    return Finding(name, f"the same values, to the bit; {what}", True)


def differences(one: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    """What is unequal, column by column; two nulls are equal, and so are two nan."""
    if one.columns != other.columns:
        missing = [name for name in one.columns if name not in other.columns]
        added = [name for name in other.columns if name not in one.columns]
        return [
            f"other columns (without {_listed(missing) or 'none'}, with {_listed(added) or 'none'} or in another order)"
        ]
    if one.height != other.height:
        return [f"{one.height} rows became {other.height}"]
    return [said for name in one.columns if (said := _column(one[name], other[name]))]


def _column(one: pl.Series, other: pl.Series) -> str:
    """How far a column is off; empty where it is not."""
    if one.dtype != other.dtype:
        return f"{one.name}: {one.dtype} became {other.dtype}"
    unequal = one.ne_missing(other)
    rows = int(unequal.sum())
    if not rows:
        return ""
    said = f"{one.name}: {rows} of {len(one)} rows"
    before, after = _numbers(one.filter(unequal)), _numbers(other.filter(unequal))
    if before is None or after is None or len(before) != len(after):
        return said
    off = np.abs(after - before)
    known = np.isfinite(off)
    if not known.any():
        return said
    return f"{said}, by up to {off[known].max():.2g} (largest value {np.abs(before[known]).max():.2g})"


def _numbers(column: pl.Series) -> np.ndarray | None:
    """The numbers of a column, nested or not, float64, shape (numbers,); None where it holds something else."""
    while isinstance(column.dtype, pl.List):
        column = column.explode()
    return column.cast(pl.Float64).to_numpy() if column.dtype.is_numeric() else None


def _unequal(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where two JSON values differ, as ``key.key``."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                yield from _unequal(one.get(key), other.get(key), f"{where}.{key}" if where else key)
    else:
        yield where


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest

"""Finished results that have the same spec, data, code and versions as what a job is about to compute.

They lie on a shelf that all experiments below one results folder share, so that no run is trained twice because two
experiments name it, and no measure is taken twice because its activations had to be read again. What lies there are
hard links: they take no room of their own as long as an experiment has the file, and Snakemake, which dates and removes
the files that it knows, does not know of them. What is taken from the shelf is a copy, and only if it still has the
digest that it had when it was put there.
"""

import contextlib
import hashlib
import shutil
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from infoplane.errors import UserError
from infoplane.provenance import versions
from infoplane.registry import Role
from infoplane.sources import closure, manifest
from infoplane.specs import Spec, canonical
from infoplane.storage.atomic import atomic_path

FOLDER = ".shared"
"""The shelf's name in the results folder of all experiments."""


def fingerprint(spec: Spec, code: Path, plugins: Sequence[tuple[Role, str]], *data: Path, **labels: str | int) -> str:
    """32 hex digits of all that a job's result depends on.

    code: the file that the job starts from; with what it imports and the ``plugins`` it is told apart by what it means.
    data: the files that it reads, by content. labels: what is written into the result beside numbers. Raises
    `UserError` for a file that is missing.
    """
    files = manifest(closure(code, *plugins), code.parent)
    sha = hashlib.sha256(f"{spec.to_json()}{canonical(labels)}{canonical(versions())}{canonical(files)}".encode())
    for path in data:
        try:
            with path.open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
        except FileNotFoundError:
            raise UserError(f"{path} is missing: run the workflow again to make it.") from None
    return sha.hexdigest()[:32]


class Shelf:
    """Finished results by fingerprint; ``folder`` None: nothing is kept and nothing is found.

    Under a fingerprint lies a folder for each experiment that has made or taken the result, with a link to its files.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def take(self, key: str, outputs: Sequence[Path]) -> bool:
        """Copy what is kept under this key to the outputs, atomically one by one; whether it was there."""
        for kept in self._kept(key):
            try:
                places = zip(_places(kept, outputs), outputs, strict=True)
                whole = all(_copied(place, output) for place, output in places)
            except FileNotFoundError:
                continue  # it is being cleared away; another may be there, or else the job makes its own
            if whole:
                self.keep(key, outputs)
                return True
            print(f"{kept} was changed since it was put there: it is not used", file=sys.stderr)
            shutil.rmtree(kept, ignore_errors=True)
        return False

    def keep(self, key: str, outputs: Sequence[Path]) -> None:
        """Keep finished outputs under this key; on a file system without hard links nothing is kept.

        Entries that no experiment uses any more are replaced.
        """
        entry = self._entry(key)
        if entry is None:
            return
        others = self._kept(key)
        name = uuid.uuid4().hex
        making = entry / f".{name}"
        try:
            making.mkdir(parents=True)
            for index, output in enumerate(outputs):
                (making / f"{index}.{_digest(output)}{output.suffix}").hardlink_to(output)
            making.rename(entry / name)
        except OSError:  # this file system has no such links
            shutil.rmtree(making, ignore_errors=True)
            return
        for other in others:
            if _unheld(other) is not None:
                shutil.rmtree(other, ignore_errors=True)

    def clear(self) -> int:
        """Remove what no experiment has any more; the bytes that this freed."""
        freed = 0
        for kept in [] if self.folder is None else sorted(self.folder.glob("*/*/*")):
            size = _unheld(kept)
            if size is not None:
                shutil.rmtree(kept, ignore_errors=True)
                freed += size
                with contextlib.suppress(OSError):  # another experiment has the same
                    kept.parent.rmdir()
        return freed

    def _entry(self, key: str) -> Path | None:
        """Where a key's files are; in folders of few, by its first digits."""
        return None if self.folder is None else self.folder / key[:2] / key

    def _kept(self, key: str) -> list[Path]:
        entry = self._entry(key)
        return [] if entry is None else sorted(path for path in entry.glob("*") if not path.name.startswith("."))


def _unheld(kept: Path) -> int | None:
    """The bytes of results that lie nowhere but here; None where an experiment has one of them, or they are gone."""
    try:
        found = [path.stat() for path in kept.iterdir()]
    except FileNotFoundError:
        return None
    return sum(file.st_size for file in found) if all(file.st_nlink == 1 for file in found) else None


def _places(kept: Path, outputs: Sequence[Path]) -> list[Path]:
    """Where the outputs lie in an entry, their digests in their names; raises `FileNotFoundError` where one is gone."""
    found = [sorted(kept.glob(f"{index}.*{output.suffix}")) for index, output in enumerate(outputs)]
    if not all(found):
        raise FileNotFoundError(kept)
    return [paths[0] for paths in found]


def _copied(place: Path, output: Path) -> bool:
    """Copy a file of the shelf, atomically; False, and nothing is written, if it is not what was put there."""
    with contextlib.suppress(_Changed), atomic_path(output) as temporary:
        shutil.copyfile(place, temporary)
        if f".{_digest(temporary)}." not in place.name:
            raise _Changed
        return True
    return False


class _Changed(Exception):
    """The file was changed in place, which changes it for every experiment that links to it."""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

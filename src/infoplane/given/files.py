"""The files behind a user's own data set: one list for the rule, the job and the archive.

Paths are plain strings here: a folder of 50,000 images is looked through whenever the workflow is planned, and to make
a `Path` of each takes five times as long as to find them.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infoplane.errors import UserError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)
"""Of the images that are read, in small letters."""
COPIES = frozenset({"__MACOSX", "@eaDir", "__pycache__"})
"""Folders in which systems keep copies and the like, beside those whose name begins with a dot."""
SPLITS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "holdout", "unlabeled"}
)
"""Names of folders that say what images are for, not what is on them."""

Met = dict[tuple[int, int], str]
"""Device and number of each folder that was read -> its path."""


@dataclass(frozen=True)
class Pictures:
    """The images of a folder with one sub-folder per class, class by class and sorted by path."""

    root: str
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    below: tuple[int, ...]
    """Of each image, at which letter of its path that below the folder of its class begins."""
    notes: tuple[str, ...]
    """What was left out, one sentence each."""


def of(kind: str, path: str) -> dict[str, str]:
    """The path of every file that a data set reads, by the name that an archive calls it, in the order of reading.

    kind: of the data set; path: its option. Raises `UserError` where there is none.
    """
    if kind != "image_folder":
        return {str(one): str(one) for one in parquet(path, kind)}
    found = pictures(path)
    return {one[len(found.root) :].lstrip("/"): one for one in found.paths}


def parquet(path: str, kind: str = "image_parquet") -> list[Path]:
    """A file, those that a glob matches, or the Parquet files of a folder, sorted; raises `UserError` for none."""
    found = expand(path, kind)
    if len(found) == 1 and found[0].is_dir():
        path, found = f"{path}/*.parquet", _visible(found[0].glob("*.parquet"))
    found = [one for one in found if one.is_file()]
    if not found:
        raise UserError(f"data set '{kind}': no file matches {path}: set `path` to where they are.")
    return found


def expand(path: str, kind: str) -> list[Path]:
    """What is at a path, or what it matches as a glob, sorted; raises `UserError` when nothing is at a plain path.

    A part of the path that exists as written is not a pattern: folders may be called ``photos [1]``.
    """
    try:
        parts = Path(path).expanduser().parts
        known = Path()
        for place, part in enumerate(parts):
            if any(sign in part for sign in "*?[") and not os.path.lexists(known / part):
                return _visible(known.glob(str(Path(*parts[place:]))))
            known /= part
        known.stat()
        return [known]
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"data set '{kind}': {path} does not exist: set `path` to where the images are.") from None
    except (ValueError, RuntimeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise UserError(f"data set '{kind}': nothing can be looked for at the `path` {path} ({reason}).") from None


def _visible(found: Iterable[Path]) -> list[Path]:
    return sorted(one for one in found if not one.name.startswith("."))


def pictures(path: str) -> Pictures:
    """The images below a folder, or below each that a glob matches; classes of the same name are one.

    Raises `UserError` for no folder, a class without images, folders that are splits and not classes, folders that
    are met twice because of a link, and names that look the same.
    """
    roots = [str(one) for one in expand(path, "image_folder") if one.is_dir()]
    if not roots:
        raise UserError(f"data set 'image_folder': {path} is not a folder.")
    met: Met = {}
    left_out: Counter[str] = Counter()
    found: dict[str, list[tuple[str, int]]] = {}
    for root in roots:
        names = _class_folders(root, met, left_out)
        for name in names:
            folder = f"{root}/{name}"
            # As parts of the path are sorted: what is in a folder comes before a longer name.
            images = sorted(_images(folder, met, left_out), key=lambda one: one.replace("/", "\0"))
            if not images:
                raise UserError(f"{folder} holds no .png, .jpg or other image that is read here: remove it.")
            found.setdefault(name, []).extend((image, len(folder) + 1) for image in images)
        _refuse_splits(root, names, found)
    classes = tuple(sorted(found))
    kinds = ", ".join(f"{what} ({count})" for what, count in sorted(left_out.items()) if count)
    notes = [_check_names(classes, path), f"left out of {path}: {kinds}" if kinds else ""]
    images_of = [(label, *image) for label, name in enumerate(classes) for image in found[name]]
    labels, paths, below = zip(*images_of, strict=True) if images_of else ((), (), ())
    top = roots[0] if len(roots) == 1 else os.path.commonpath(roots)
    return Pictures(top, classes, paths, labels, below, tuple(filter(None, notes)))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in COPIES


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _entries(folder: str, met: Met) -> list[os.DirEntry[str]]:
    """What is in a folder; raises `UserError` where it was read before, through a link."""
    about = Path(folder).stat()
    before = met.setdefault((about.st_dev, about.st_ino), folder)
    if before is not folder:
        raise UserError(f"{folder} is the same folder as {before}, by a link: remove it, or its images count twice.")
    with os.scandir(folder) as entries:
        return list(entries)


def _class_folders(root: str, met: Met, left_out: Counter[str]) -> list[str]:
    """The names of a folder's sub-folders, sorted."""
    names = []
    try:
        for entry in _entries(root, met):
            if entry.is_dir() and not _hidden(entry.name):
                names.append(entry.name)
            elif not entry.is_dir() and not _hidden(entry.name):
                left_out["images in no class's folder"] += _is_picture(entry.name)
    except OSError as error:
        raise UserError(f"{root} cannot be read: {error.strerror}.") from None
    return sorted(names)


def _images(top: str, met: Met, left_out: Counter[str]) -> Iterator[str]:
    """The images in a class's folder and in the folders below it; links are followed."""
    try:
        for entry in _entries(top, met):
            if _hidden(entry.name):
                left_out["hidden files and folders"] += entry.is_dir() or _is_picture(entry.name)
            elif entry.is_dir():
                yield from _images(entry.path, met, left_out)
            elif not _is_picture(entry.name):
                left_out[f"'{Path(entry.name).suffix.lower() or entry.name}' files"] += 1
            elif entry.is_file():
                yield entry.path
            else:
                raise UserError(f"{entry.path} is not a file but a broken link or a device: remove it.")
    except OSError as error:
        raise UserError(f"{top} cannot be read: {error.strerror}.") from None


def _refuse_splits(root: str, names: list[str], found: dict[str, list[tuple[str, int]]]) -> None:
    """Raise `UserError` for ``root/{train,test}/{cat,dog}``, which would be two classes, train and test."""
    if not names or not all(name.lower() in SPLITS for name in names):
        return
    several = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    nested = all("/" in image[below:] for name in names for image, below in found[name])
    pool = f"set `path` to {root}/{names[0]}, or to {root}/* to pool them"
    advice = pool if nested else "put the images into one folder per class"
    raise UserError(f"{root} has the folders {several}, which are names of splits, not of classes: {advice}.")


def _check_names(classes: tuple[str, ...], path: str) -> str:
    """A note on classes whose names differ only in capitals; raises `UserError` for names that look the same."""
    alike: dict[str, str] = {}
    capitals: dict[str, list[str]] = {}
    for name in classes:
        if not name.isprintable():
            raise UserError(f"{path} has the class {name!a}, whose name cannot be printed: rename its folder.")
        same = unicodedata.normalize("NFC", name).strip()
        if other := alike.get(same):
            raise UserError(f"{path} has the classes {other!a} and {name!a}, which look the same: rename one.")
        alike[same] = name
        capitals.setdefault(same.casefold(), []).append(name)
    twice = [" and ".join(names) for names in capitals.values() if len(names) > 1]
    return f"classes whose names differ only in capitals: {', '.join(twice)}" if twice else ""

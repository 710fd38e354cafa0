"""Your own images: a folder with one sub-folder of PNG, JPEG, WebP, BMP, GIF, TIFF or PPM files per class."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.encoded import EncodedImages
from infoplane.data.samples import Samples
from infoplane.errors import UserError
from infoplane.given import files
from infoplane.options import GivenImages


@dataclass(frozen=True, kw_only=True)
class Options(GivenImages):
    """Where the images are, and what they are like."""

    path: Annotated[str, "a folder, or a glob of several; the sub-folders, sorted by name, are the classes"] = ""
    group: Annotated[
        str,
        "what belongs together: a regular expression whose part in brackets is looked for in paths below the class, "
        "such as ^([^/]+)/ for sub-folders; empty: nothing",
    ] = ""


def load(options: Options, folder: Path) -> Samples:
    """List the files, class by class and sorted by path; images are decoded when a split takes them.

    Raises `UserError` for a missing folder, more or fewer classes than declared, a class without images.
    """
    found = files.pictures(options.path)
    names = found.classes
    if len(names) != options.classes:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise UserError(
            f"{options.path} has {len(names)} sub-folders ({shown or 'none'}), but `classes` is {options.classes}."
        )

    def read(positions: np.ndarray) -> Iterator[bytes]:
        for position in positions:
            try:
                yield Path(found.paths[position]).read_bytes()
            except OSError as error:
                raise UserError(f"{found.paths[position]} cannot be read: {error.strerror}.") from None

    def locate(position: int) -> str:
        return found.paths[position]

    pixels = EncodedImages(read, locate, len(found.paths), options.fields["x"].shape, options.resize)
    return Samples(
        {"x": pixels, "y": np.array(found.labels, np.int64)},
        f"image_folder: {len(found.paths)} images in {len(names)} sub-folders of {options.path}.",
        {"y": names},
        locate,
        _groups(found, options.group) if options.group else None,
        pixels.copies(),
        found.notes,
    )


def _groups(found: files.Pictures, pattern: str) -> np.ndarray:
    """The number of each image's group, int64, shape (images,); raises `UserError` for an image that has none."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.group: {pattern!r} is not a regular expression ({error}).") from None
    if compiled.groups != 1:
        raise UserError(f"data.group: {pattern!r} has {compiled.groups} parts in brackets, expected one.")
    names = []
    for path, below in zip(found.paths, found.below, strict=True):
        match = compiled.search(path[below:])
        if match is None or match[1] is None:
            raise UserError(f"data.group: {pattern!r} finds no group in '{path[below:]}', the path of {path}.")
        names.append(match[1])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)

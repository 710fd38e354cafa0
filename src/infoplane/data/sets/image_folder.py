"""Your own images: a folder with one sub-folder of PNG or JPEG files per class."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.encoded import EncodedImages
from infoplane.data.images import Images
from infoplane.errors import UserError
from infoplane.options import GivenImages

SUFFIXES = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, kw_only=True)
class Options(GivenImages):
    """Where the images are, and what they are like."""

    path: Annotated[str, "a folder; its sub-folders, sorted by name, are the classes"] = ""


def load(options: Options, folder: Path) -> Images:
    """List the files, class by class and sorted by path; images are decoded when a split takes them.

    Raises `UserError` for a missing folder, more or fewer classes than declared, a class without images.
    """
    root = Path(options.path).expanduser()
    if not root.is_dir():
        raise UserError(f"data set 'image_folder': {root} is not a folder.")
    names = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(names) != options.classes:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise UserError(f"{root} has {len(names)} sub-folders ({shown or 'none'}), but `classes` is {options.classes}.")
    paths: list[Path] = []
    counts = []
    for name in names:
        found = sorted(p for p in (root / name).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise UserError(f"{root / name} holds no .png, .jpg or .jpeg file.")
        paths += found
        counts.append(len(found))

    def read(positions: np.ndarray) -> Iterator[bytes]:
        for position in positions:
            yield paths[position].read_bytes()

    def locate(position: int) -> str:
        return str(paths[position])

    labels = np.repeat(np.arange(len(names), dtype=np.int64), counts)
    pixels = EncodedImages(read, locate, len(paths), options.shape, options.resize)
    source = f"image_folder: {len(paths)} images in {len(names)} sub-folders of {options.path}."
    return Images(pixels, labels, names, source, locate)

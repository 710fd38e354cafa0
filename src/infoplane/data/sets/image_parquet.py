"""Your own images: Parquet shards of encoded images (PNG or JPEG) and labels, as public hubs ship them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from infoplane.data.encoded import EncodedImages
from infoplane.data.images import Images
from infoplane.data.shards import open_shards
from infoplane.options import Shape, require, require_positive


@dataclass(frozen=True)
class Options:
    """Where the shards are, and what is in them."""

    path: Annotated[str, "a folder of Parquet files, or a glob such as shards/train-*.parquet"] = ""
    image: Annotated[str, "the column of images: bytes, or a struct of bytes and path; empty: image or img"] = ""
    label: Annotated[str, "the column of integer labels, counted from 0"] = "label"
    classes: Annotated[int, "number of classes"] = 10
    channels: Annotated[Literal[1, 3], "1: grey, 3: colour; images are converted where they differ"] = 3
    side: Annotated[int, "height and width in pixels"] = 32
    resize: Annotated[
        Literal["refuse", "crop", "stretch"],
        "for images of another size: refuse them, scale and cut out the middle, or scale both sides",
    ] = "refuse"

    def __post_init__(self) -> None:
        require(bool(self.path), "path is needed: a folder of Parquet files, or a glob")
        require(self.classes >= 2, f"classes must be at least 2, got {self.classes}")
        require(self.channels in (1, 3), f"channels must be 1 or 3, got {self.channels}")
        require_positive(self, "side")

    @property
    def shape(self) -> Shape:
        return (self.channels, self.side, self.side)

    @property
    def size(self) -> int | None:
        return None


def load(options: Options, folder: Path) -> Images:
    """Open the shards, pooled in the order of their names; images are decoded when a split takes them.

    Raises `UserError` for missing or truncated shards, missing columns (listing what is there), bad labels.
    """
    shards = open_shards(options.path, options.image, options.label)
    pixels = EncodedImages(shards.encoded, shards.locate, len(shards.labels), options.shape, options.resize)
    source = f"image_parquet: {len(shards.labels)} images in {len(shards.paths)} Parquet file(s), {options.path}."
    return Images(pixels, shards.labels, shards.class_names, source, shards.locate)

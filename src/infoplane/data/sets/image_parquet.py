"""Your own images: Parquet shards of encoded images and labels, as public hubs ship them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from infoplane.data.encoded import EncodedImages
from infoplane.data.samples import Samples
from infoplane.data.shards import open_shards
from infoplane.options import GivenImages


@dataclass(frozen=True, kw_only=True)
class Options(GivenImages):
    """Where the shards are, and what is in them."""

    path: Annotated[str, "a folder of Parquet files, or a glob such as shards/train-*.parquet"] = ""
    image: Annotated[str, "the column of images: bytes, or a struct of bytes and path; empty: image or img"] = ""
    label: Annotated[str, "the column of integer labels, counted from 0"] = "label"
    group: Annotated[str, "the column that says which images belong together, such as patient; empty: none"] = ""


def load(options: Options, folder: Path) -> Samples:
    """Open the shards, pooled in the order of their names; images are decoded when a split takes them.

    Raises `UserError` for missing or truncated shards, missing columns (listing what is there), bad labels.
    """
    shards = open_shards(options.path, options.image, options.label, options.group)
    shape = options.fields["x"].shape
    pixels = EncodedImages(shards.encoded, shards.locate, len(shards.labels), shape, options.resize)
    return Samples(
        {"x": pixels, "y": shards.labels},
        f"image_parquet: {len(shards.labels)} images in {len(shards.paths)} Parquet file(s), {options.path}.",
        {"y": shards.class_names} if shards.class_names else {},
        shards.locate,
        shards.groups,
        pixels.copies(),
        shards.notes,
    )

"""Images that lie as PNG or JPEG, decoded only when they are asked for."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image, ImageOps

from infoplane.errors import UserError
from infoplane.options import Shape

Resize = Literal["refuse", "crop", "stretch"]

MODES = {1: "L", 3: "RGB"}
EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
LONG = 5_000
"""From this many images on, decoding shows its progress."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class EncodedImages:
    """A `Pixels`: what no split takes is never decoded, and memory holds one decoded image at a time."""

    read: Callable[[np.ndarray], Iterator[bytes]]
    """Ascending positions -> the encoded images there."""
    locate: Callable[[int], str]
    """Names a position to a person."""
    samples: int
    image: Shape
    resize: Resize

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples, *self.image)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Decode these rows: uint8, shape (rows, channels, height, width).

        Raises `UserError` at the first image that is corrupt or of another size.
        """
        out = np.empty((len(rows), *self.image), np.uint8)
        order = np.argsort(rows, kind="stable")
        images = zip(order, self.read(rows[order]), strict=True)
        for place, encoded in _with_progress(images, len(rows)):
            try:
                out[place] = decode(encoded, self.image, self.resize)
            except ValueError as error:
                raise UserError(f"{self.locate(int(rows[place]))} {error}.") from None
        return out


def decode(encoded: bytes, shape: Shape, resize: Resize) -> np.ndarray:
    """One PNG or JPEG as uint8 (channels, height, width).

    ``crop`` scales the shorter side and cuts the middle out, ``stretch`` scales both sides. Raises ValueError
    whose message continues a sentence about the image.
    """
    channels, height, width = shape
    try:
        image: Image.Image = Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG"))
        image.load()
    # Pillow's decoders answer damaged files with any of these.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError) as error:
        reason = "" if "BytesIO" in str(error) else f" ({error})"
        raise ValueError(f"is not a readable PNG or JPEG image{reason}") from None
    if image.mode not in EIGHT_BIT:
        raise ValueError(f"has pixels of kind '{image.mode}', expected 8 bits per channel")
    if image.mode != MODES[channels]:
        image = image.convert(MODES[channels])
    if image.size != (width, height):
        if resize == "refuse":
            raise ValueError(
                f"is {image.height}x{image.width} pixels, expected {height}x{width}: set `side`, or `resize`"
            )
        fit = ImageOps.fit if resize == "crop" else Image.Image.resize
        image = fit(image, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def _with_progress(items: Iterable[Item], total: int) -> Iterable[Item]:
    if total < LONG:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, "decoding images", total, console=Console(stderr=True))

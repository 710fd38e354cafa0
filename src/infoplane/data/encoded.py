"""Images that lie encoded, as PNG, JPEG and their likes, decoded only when they are asked for."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image, ImageOps

from infoplane.errors import UserError

Resize = Literal["refuse", "crop", "stretch"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Recognised by what a file holds, not by its name."""
PHOTO = "MPO"
"""Pillow's name for a JPEG of a phone that holds further pictures, such as a preview, behind the main one."""
MODES = {1: "L", 3: "RGB"}
EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
DEEP = re.compile(";16[A-Z]?$")
"""Pillow's name for stored pixels of 16 bits per channel; it would keep eight of them without saying so."""
BACKGROUND = (255, 255, 255, 255)
"""White, as a page is: what stands behind transparent pixels."""
LONG = 5_000
"""From this many images on, decoding shows its progress."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class EncodedImages:
    """A `Column` that decodes only images that a split takes, one at a time in memory."""

    read: Callable[[np.ndarray], Iterator[bytes]]
    """Ascending positions -> the encoded images there."""
    locate: Callable[[int], str]
    """Names a position to a person."""
    samples: int
    image: tuple[int, ...]
    """Channels, height, width."""
    resize: Resize

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples, *self.image)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Decode these rows: uint8, shape (rows, channels, height, width).

        Raises `UserError` at the first image that is corrupt or of another size, and where memory is too small.
        """
        try:
            out = np.empty((len(rows), *self.image), np.uint8)
        except MemoryError:
            raise UserError(
                f"{len(rows)} images of {'x'.join(map(str, self.image))} are more than the memory holds: ask for fewer "
                "samples or a smaller `side`."
            ) from None
        order = np.argsort(rows, kind="stable")
        images = zip(order, self.read(rows[order]), strict=True)
        for place, encoded in _with_progress(images, len(rows)):
            try:
                out[place] = decode(encoded, self.image, self.resize)
            except ValueError as error:
                raise UserError(f"{self.locate(int(rows[place]))} {error}.") from None
        return out

    def copies(self) -> np.ndarray:
        """Which images are the same to the byte: int64, shape (samples,), one number for each different image."""
        read = _with_progress(self.read(np.arange(self.samples)), self.samples, "reading images")
        digests = b"".join(hashlib.blake2b(encoded, digest_size=16).digest() for encoded in read)
        return np.unique(np.frombuffer(digests, "V16"), return_inverse=True)[1].astype(np.int64)


def decode(encoded: bytes, shape: tuple[int, ...], resize: Resize) -> np.ndarray:
    """One image as uint8 (channels, height, width), upright as its camera says, on white where it is transparent.

    ``crop`` scales the shorter side and cuts the middle out, ``stretch`` scales both sides. Raises ValueError
    whose message continues a sentence about the image.
    """
    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(encoded), formats=FORMATS)
            deep, frames = _deep(image), getattr(image, "n_frames", 1)
            image.load()
    # Pillow's decoders answer damaged files with nearly every kind of error.
    except Exception as error:
        reason = "" if "BytesIO" in str(error) else f" ({str(error).rstrip('.') or type(error).__name__})"
        raise ValueError(f"is not a readable image{reason}") from None
    if deep or image.mode not in EIGHT_BIT:
        kind = "16 bits per channel" if deep else f"pixels of kind '{image.mode}'"
        raise ValueError(f"has {kind}, expected 8 bits per channel in grey or colour: convert it")
    if frames > 1 and image.format != PHOTO:
        raise ValueError(f"has {frames} frames or pages, expected one: save the one you mean as an image of its own")
    image = _upright(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image.convert("RGBA"))
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


def _deep(image: Image.Image) -> bool:
    """Tell whether an open, not yet read image has more than 8 bits per channel (a BMP of 16 bits has five)."""
    stored = [args if isinstance(args, tuple) else (args,) for *_, args in getattr(image, "tile", ())]
    kinds = any(isinstance(arg, str) and DEEP.search(arg) for args in stored for arg in args)
    levels = image.format == "PPM" and any(isinstance(arg, int) and arg > 255 for args in stored for arg in args)
    return image.format != "BMP" and (kinds or levels)


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data say; as it is stored where they are damaged, as browsers show it."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _with_progress(items: Iterable[Item], total: int, what: str = "decoding images") -> Iterable[Item]:
    if total < LONG:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total, console=Console(stderr=True))

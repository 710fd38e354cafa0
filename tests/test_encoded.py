"""Encoded images of every kind: read as they are meant, or refused in one sentence."""

import io
from typing import Any

import numpy as np
import pytest
from data_sources import encode
from PIL import Image

from infoplane.data.encoded import decode

STRIPES = np.zeros((8, 8, 3), np.uint8)
STRIPES[:, 4:] = (200, 100, 50)


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(encoded: bytes, channels: int = 3) -> np.ndarray:
    """Shape (height, width, channels)."""
    return decode(encoded, (channels, 8, 8), "refuse").transpose(1, 2, 0)


def refused(encoded: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        read(encoded)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_formats_that_lose_nothing(kind: str) -> None:
    assert np.array_equal(read(stored(Image.fromarray(STRIPES), kind)), STRIPES)


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("JPEG", {"quality": 95}), ("MPO", {})])
def test_formats_of_the_web_and_of_phones(kind: str, options: dict[str, Any]) -> None:
    shown = read(stored(Image.fromarray(np.full((8, 8, 3), 90, np.uint8)), kind, **options))
    assert np.abs(shown.astype(int) - 90).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_an_image_is_turned_as_its_camera_says(kind: str, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    shown = read(stored(Image.fromarray(STRIPES), kind, exif=exif)).astype(int)
    assert np.abs(shown - np.rot90(STRIPES, turns)).max() < 60


def test_damaged_exif_data_turn_nothing() -> None:
    whole = stored(Image.fromarray(STRIPES), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.abs(read(whole).astype(int) - STRIPES).max() < 60


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_hidden_colours_are_laid_on_white(mode: str) -> None:
    rgba = np.dstack([STRIPES, np.full((8, 8), 255, np.uint8)])
    rgba[:4, :, 3] = 0  # transparent, whatever the colour
    image = Image.fromarray(rgba)
    if mode == "P":
        image = image.convert("P", palette=Image.Palette.ADAPTIVE)
        image.info["transparency"] = int(np.asarray(image)[0, 0])
    image = image if mode == "P" else image.convert(mode)
    for channels in (1, 3):
        assert np.all(read(stored(image, "PNG"), channels)[0, 0] == 255)
    if mode != "P":
        expected = Image.fromarray(STRIPES).convert("L" if mode == "LA" else "RGB").convert("RGB")
        assert np.array_equal(read(stored(image, "PNG"))[4:], np.asarray(expected)[4:])


def test_half_transparent_is_half_white() -> None:
    half = np.zeros((8, 8, 4), np.uint8)
    half[..., 3] = 128
    assert set(np.unique(read(stored(Image.fromarray(half), "PNG")))) == {127}


def deep_png(channels: int) -> bytes:
    """16 bits per channel, which Pillow writes in grey only: one made by hand."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 8, 8, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + np.full(8 * channels, 4660, ">u2").tobytes() for _ in range(8))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


DEEP = [deep_png(channels) for channels in (1, 2, 3, 4)]
DEEP += [b"P6\n8 8\n65535\n" + bytes(384), b"P5\n8 8\n65535\n" + bytes(128)]
DEEP += [encode(np.zeros((1, 8, 8), np.uint16), kind) for kind in ("PNG", "TIFF")]


@pytest.mark.parametrize("encoded", DEEP)
def test_sixteen_bits_are_not_cut_to_eight(encoded: bytes) -> None:
    said = refused(encoded)
    assert "expected 8 bits per channel in grey or colour" in said


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_which_frame_is_meant_is_not_guessed(kind: str) -> None:
    other = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    said = refused(stored(Image.fromarray(STRIPES), kind, save_all=True, append_images=[other]))
    assert "has 2 frames or pages, expected one" in said


def test_a_photo_with_a_preview_behind_it_is_the_photo() -> None:
    other = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    whole = stored(Image.fromarray(STRIPES), "MPO", save_all=True, append_images=[other], quality=95)
    assert np.abs(read(whole).astype(int) - STRIPES).max() < 60


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "1", "L"])
def test_other_colours_are_converted(mode: str) -> None:
    grey = Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).convert(mode)
    assert read(stored(grey, "JPEG" if mode != "1" else "PNG")).min() >= 253


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_whatever_is_cut_or_flipped_is_an_image_or_one_sentence(kind: str) -> None:
    whole = stored(Image.fromarray(STRIPES), kind)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole[: generator.integers(0, len(whole) + 1)])
        for place in generator.integers(0, max(1, len(damaged)), 3):
            damaged[place : place + 1] = bytes([generator.integers(0, 256)])
        try:
            assert read(bytes(damaged)).dtype == np.uint8
        except ValueError as error:
            assert "\n" not in str(error)

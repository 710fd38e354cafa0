"""The information plane as a moving picture: every path grows with the training step, evenly in its logarithm.

The chart is compiled once, with the step as a signal; every frame is that drawing with another value of it.
"""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image

from infoplane import registry
from infoplane.charts import render, theme
from infoplane.charts.frames import Tables
from infoplane.charts.gallery.information_plane import UNTIL
from infoplane.charts.vega import VEGA_LITE
from infoplane.errors import UserError
from infoplane.storage.atomic import atomic_path

CHART = "information_plane"
FRAME = 0.1
"""Seconds; GIF counts in hundredths."""

HELD = 0.2
"""The share of the time for which the finished plane stands still."""

COLOURS = 128
KINDS = (".gif", ".mp4")


def write(tables: Tables, options: dict[str, Any], seconds: float, output: Path) -> None:
    """Write the moving picture, atomically; the output's ending says which kind.

    Raises `UserError` for another ending, for unknown options, and for MP4 without imageio-ffmpeg.
    """
    if output.suffix not in KINDS:
        raise UserError(f"{output}: a moving picture ends in {' or '.join(KINDS)}.")
    encode = _gif if output.suffix == ".gif" else _mp4()
    pictures = list(frames(tables, options, seconds))
    held = max(1, round(HELD * seconds / FRAME))
    with atomic_path(output) as temporary:
        encode(pictures, held, temporary)


def frames(tables: Tables, options: dict[str, Any], seconds: float) -> Iterator[Image.Image]:
    """The drawing at log-spaced steps from the first checkpoint to the last; one where there is no path to follow."""
    vega, low, high = compiled(tables, options)
    count = max(2, round((1 - HELD) * seconds / FRAME)) if high > low else 1
    signal: dict[str, Any] = next((one for one in vega.get("signals", []) if one["name"] == UNTIL), {})
    for index in range(count):
        signal["value"] = high if index == count - 1 else low * (high / low) ** (index / (count - 1))
        picture = vl_convert.svg_to_png(vl_convert.vega_to_svg(vega), scale=1)
        yield Image.open(io.BytesIO(picture)).convert("RGB")


def compiled(tables: Tables, options: dict[str, Any]) -> tuple[dict[str, Any], float, float]:
    """The Vega drawing with its signal, and the places on the axis of steps where it begins and ends."""
    found = render.drawn(CHART, options, tables, "growing")
    low, high = (found.get("usermeta") or {}).get(UNTIL) or (1.0, 1.0)
    title = found.get("title") or registry.summary("chart", CHART).rstrip(".")
    found["title"] = {
        "text": title,
        "subtitle": {"expr": f"'Training step ' + ({UNTIL} < 0.9 ? '0' : format(round({UNTIL}), ','))"},
        "subtitleFontSize": 14,
        "subtitleColor": theme.INK,
        "fontSize": 15,
        "anchor": "start",
        "frame": "bounds",
        "offset": 14,
    }
    found["params"] = [{"name": UNTIL, "value": high}]
    found["config"] = theme.CONFIG
    vega = vl_convert.vegalite_to_vega(found, vl_version=VEGA_LITE)
    return (json.loads(vega) if isinstance(vega, str) else vega), low, high


def _gif(pictures: list[Image.Image], held: int, path: Path) -> None:
    """With one palette for all frames, that of the last, so that nothing flickers; it plays again and again."""
    palette = pictures[-1].quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    times = [round(1000 * FRAME)] * len(pictures)
    times[-1] *= held
    first.save(
        path, "GIF", save_all=True, append_images=others, duration=times if others else times[0], loop=0, optimize=True
    )


def _mp4() -> Any:
    """The encoder, where there is one."""
    try:
        from imageio_ffmpeg import write_frames
    except ImportError:
        raise UserError("an MP4 needs imageio-ffmpeg: run pip install 'infoplane[mp4]', or choose gif.") from None

    def encode(pictures: list[Image.Image], held: int, path: Path) -> None:
        """H.264 by one thread and without the date, so that the same frames give the same bytes."""
        width, height = (2 * math.ceil(side / 2) for side in pictures[0].size)
        writer = write_frames(
            str(path),
            (width, height),
            fps=1 / FRAME,
            codec="libx264",
            macro_block_size=2,
            output_params=["-f", "mp4", "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
        )
        writer.send(None)
        for picture in [*pictures, *[pictures[-1]] * (held - 1)]:
            even = Image.new("RGB", (width, height), "white")
            even.paste(picture)
            writer.send(even.tobytes())
        writer.close()

    return encode

"""Pictures of single runs for the report: sheets of reconstructions, and ridges of activation histograms.

Both come from the files of `measures.reconstruction` and `measures.histograms`, whose metadata say which run they are
of. What is returned holds words and coordinates only; the report's templates draw it.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from infoplane.charts.frames import Tables, last_block, spread
from infoplane.errors import UserError
from infoplane.specs import in_short
from infoplane.storage.parquet import read_rows

BUDGET = 1_100_000
"""Bytes of all sheets together; above it, colours are reduced. In base64 they take a third more."""

COLOURS = (256, 64, 16)
"""Colours per sheet, tried in turn until all sheets keep to the budget."""

SIDE = 64
"""Pixels of the longer side of an image; larger ones are averaged down."""

ENLARGED, FLAT = 24, 6
"""Pixels that the longer and the shorter side have at least; smaller images have every pixel repeated."""

GAP, BESIDE_INPUT = 1, 3
"""Transparent pixels between the images of a sheet, and those between the input and the rest."""

SITES = 6
"""Sites of a network of which ridges are drawn."""

RIDGE, ROW, COLUMN, SPACE = 26, 17, 120, 16
"""A ridge's height, from one ridge to the next, a site's width and what is between sites, in units of the drawing."""

MARGIN, HEAD, FOOT = 48, 44, 20
"""Room for the steps, the sites' names and their ranges."""


def reconstructions(files: Sequence[Path], tables: Tables) -> dict[str, Any] | None:
    """A sheet for every run: the input, then what is made of it, a column per checkpoint; None without files.

    groups: architecture -> sheets by shortcut, each with ``uri`` (a PNG; None where nothing could be decoded), its
    ``columns`` with Z-X of the site over all held-out images, and ``alt``. Raises `UserError` for other files.
    """
    runs = _read(files, tables, {"original", "reconstruction"}, "reconstructions")
    if not runs:
        return None
    sheets = [_montage(rows, about) if rows else None for rows, about in runs]
    encoded, colours = _encoded(sheets)
    groups: dict[str, list[dict[str, Any]]] = {}
    for (rows, about), sheet, uri in zip(runs, sheets, encoded, strict=True):
        groups.setdefault(about["architecture"], []).append(_sheet(rows, about, sheet, uri))
    first = runs[0][1]
    return {
        "groups": groups,
        "n": first["n"],
        "samples": tables.samples,
        "images": first["images"],
        "tried": max(len(about["zx"]["steps"]) for _, about in runs),
        "colours": colours,
        "reduced": max(first["shape"][1:]) > SIDE,
    }


def _read(
    files: Sequence[Path], tables: Tables, columns: set[str], what: str
) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Rows and metadata of every file, in the order in which the charts have the networks.

    Raises `UserError` for a file of something else or of another experiment's run, and for two files of one run: one
    then stands in another's place.
    """
    found = []
    specs = {
        (run["architecture"], run["shortcut"], run["seed"]): run.get("spec")
        for run in tables.metadata.get("runs") or []
    }
    seen: dict[tuple[Any, ...], Path] = {}
    for path in files:
        table, about = read_rows(path)
        if not columns <= set(table.column_names) or "architecture" not in about:
            raise UserError(f"{path} holds no {what}: delete it and run the workflow again.")
        run = about["architecture"], about["shortcut"], about["seed"]
        if (before := seen.setdefault(run, path)) is not path:
            raise UserError(f"{before} and {path} are of the same run: delete both and run the workflow again.")
        if about.get("train_spec") and specs.get(run) and in_short(about["train_spec"]) != specs[run]:
            raise UserError(f"{path} is of another experiment's run: delete it and run the workflow again.")
        found.append((table.to_pylist(), about))
    architectures, shortcuts = tables.architectures, tables.shortcuts

    def place(one: tuple[list[dict[str, Any]], dict[str, Any]]) -> tuple[int, str, int, str, int]:
        about = one[1]
        architecture, shortcut = about["architecture"], about["shortcut"]
        ranks = [
            labels.index(label) if label in labels else len(labels)
            for labels, label in ((architectures, architecture), (shortcuts, shortcut))
        ]
        return ranks[0], architecture, ranks[1], shortcut, about["seed"]

    return sorted(found, key=place)


def _montage(rows: list[dict[str, Any]], about: dict[str, Any]) -> np.ndarray:
    """Images as rows; the input and then every checkpoint as columns. uint8, shape (height, width, C + 1).

    The last channel is alpha; the others are grey, or the three of colour images.
    """
    steps, images = _unique(rows, "step"), _unique(rows, "image")
    at = {(row["step"], row["image"]): row for row in rows}
    lines = []
    for image in images:
        cells = [at[steps[0], image]["original"], *(at[step, image]["reconstruction"] for step in steps)]
        lines.append([_tile(np.array(cell, np.uint8).reshape(about["shape"])) for cell in cells])
    height, width = lines[0][0].shape[:2]
    lefts = [0, *(BESIDE_INPUT + width + index * (width + GAP) for index in range(len(steps)))]
    size = len(lines) * (height + GAP) - GAP, lefts[-1] + width
    sheet = np.zeros((*size, lines[0][0].shape[2] + 1), np.uint8)
    for index, line in enumerate(lines):
        top = index * (height + GAP)
        for left, tile in zip(lefts, line, strict=True):
            cell = sheet[top : top + height, left : left + width]
            cell[..., :-1], cell[..., -1] = tile, 255
    return sheet


def _tile(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) as it is shown, (height, width, 1 or 3); other numbers of channels are averaged."""
    values = image if len(image) == 3 else image.mean(0, keepdims=True).round().astype(np.uint8)
    shorter, longer = sorted(values.shape[1:])
    if longer <= SIDE:
        times = max(-(-ENLARGED // longer), -(-FLAT // shorter))
        return values.transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
    height, width = (max(1, round(side * SIDE / longer)) for side in values.shape[1:])
    size = width, height
    channels = [np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BOX)) for channel in values]
    return np.stack(channels, 2)


def _encoded(sheets: Sequence[np.ndarray | None]) -> tuple[list[str | None], int | None]:
    """Data URIs of PNG files, and to how many colours each had to be reduced; None: to none."""
    files: list[bytes | None] = []
    colours: int | None
    for colours in (None, *COLOURS):
        files = [_png(sheet, colours) if sheet is not None else None for sheet in sheets]
        if sum(len(file) for file in files if file) <= BUDGET:
            break
    uris = [f"data:image/png;base64,{base64.b64encode(file).decode()}" if file else None for file in files]
    return uris, colours


def _png(sheet: np.ndarray, colours: int | None) -> bytes:
    written = io.BytesIO()
    if colours is None:
        Image.fromarray(sheet).save(written, "PNG", optimize=True)
        return written.getvalue()
    opaque = Image.fromarray(sheet[..., :-1].squeeze(-1) if sheet.shape[2] == 2 else sheet[..., :-1])
    reduced = opaque.quantize(colours - 1, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    clear = len(palette) // 3
    reduced.putpalette([*palette, 0, 0, 0])
    reduced.paste(clear, mask=Image.fromarray(255 - sheet[..., -1]))
    reduced.save(written, "PNG", optimize=True, transparency=clear)
    return written.getvalue()


def _sheet(
    rows: list[dict[str, Any]], about: dict[str, Any], sheet: np.ndarray | None, uri: str | None
) -> dict[str, Any]:
    """One sheet for the template."""
    named = f"{about['architecture']} with shortcut {about['shortcut']}"
    at = {row["step"]: row["zx"] for row in rows}
    least = min(at, key=lambda step: at[step], default=None)
    columns = [{"step": step, "zx": f"{value:.3f}", "least": step == least} for step, value in at.items()]
    labels = [label for label in {row["image"]: row["label"] for row in rows}.values() if label is not None]
    names = about["class_names"]
    classes = ", ".join(names[label] if names else str(label) for label in labels)
    shown = f"held-out images of the classes {classes}" if labels else "held-out images"
    pictures = "; ".join(f"step {column['step']}, Z-X {column['zx']}" for column in columns)
    return {
        "shortcut": about["shortcut"],
        "seed": about["seed"],
        "site": about["site"],
        "status": about["status"],
        "uri": uri,
        "width": sheet.shape[1] if sheet is not None else 0,
        "height": sheet.shape[0] if sheet is not None else 0,
        "columns": columns,
        "alt": f"{named}: {shown} (rows), and their reconstructions at {pictures}"
        if uri
        else f"{named}: nothing could be decoded",
    }


def histograms(files: Sequence[Path], tables: Tables) -> dict[str, Any] | None:
    """Ridges for every run: a column per site, a row per checkpoint; None without files.

    groups: architecture -> panels by shortcut, each with ``columns`` (a site at ``x``, its range and ``ridges``), the
    ``steps`` at their ``y``, ``width``, ``height`` and ``alt``. A ridge's ``points`` are scaled to its own peak, exact
    zeros left out; ``zeros`` is their share, and ``zero`` where 0 lies. Raises `UserError` for other files.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for rows, about in _read(files, tables, {"counts", "zeros"}, "histograms"):
        groups.setdefault(about["architecture"], []).append(_panel(rows, about))
    return {"groups": groups, "ridge": RIDGE, "column": COLUMN} if groups else None


def _panel(rows: list[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """One run for the template."""
    names = _unique(sorted(rows, key=lambda row: row["depth"]), "site")
    sites, steps = spread(names, SITES, [last_block(names)]), _unique(rows, "step")
    y = {step: HEAD + ROW * index for index, step in enumerate(steps)}
    columns: list[dict[str, Any]] = []
    for index, site in enumerate(sites):
        mine = [row for row in rows if row["site"] == site]
        columns.append(
            {
                "site": site,
                "x": MARGIN + index * (COLUMN + SPACE),
                "low": f"{mine[0]['low']:.3g}",
                "high": f"{mine[0]['high']:.3g}",
                "zero": _zero(mine[0]),
                "ridges": [_ridge(row) | {"y": y[row["step"]]} for row in mine],
            }
        )
    last = steps[-1]
    told = "; ".join(column["ridges"][-1]["words"] for column in columns)
    return {
        "shortcut": about["shortcut"],
        "seed": about["seed"],
        "status": about["status"],
        "columns": columns,
        "steps": [{"step": step, "y": y[step]} for step in steps],
        "width": MARGIN + len(sites) * (COLUMN + SPACE),
        "height": y[last] + FOOT,
        "bottom": y[last],
        "alt": f"Activations of {about['architecture']} with shortcut {about['shortcut']}, at the end: {told}",
    }


def _zero(row: dict[str, Any]) -> int | None:
    """Where 0 lies in a column; None where it is outside."""
    share = -row["low"] / (row["high"] - row["low"])
    return round(share * COLUMN) if 0 <= share <= 1 else None


def _ridge(row: dict[str, Any]) -> dict[str, Any]:
    """One site at one checkpoint: points below a baseline at 0, and what it is in words."""
    counts = list(row["counts"])
    values = sum(counts) + row["below"] + row["above"] + row["not_finite"]
    zero = _zero(row)
    if zero is not None:
        bins = len(counts)
        place = min(int(-row["low"] / (row["high"] - row["low"]) * bins), bins - 1)
        counts[place] = max(0, counts[place] - row["zeros"])
    peak = max(*counts, 1)
    width = COLUMN / len(counts)
    tops = [f"{round((i + 0.5) * width, 1):g},{-round(RIDGE * count / peak)}" for i, count in enumerate(counts)]
    words = f"{row['site']}, step {row['step']}: "
    words += "mean {:.3g}, deviation {:.3g}".format(row["mean"], row["deviation"]) if row["mean"] is not None else ""
    told = {"exactly 0": row["zeros"], "beyond the range": row["below"] + row["above"], "not finite": row["not_finite"]}
    if row["saturated"] is not None:
        told["beyond ±0.99"] = round(row["saturated"] * values)
    words += "".join(f", {number / values:.1%} {what}" for what, number in told.items() if number)
    return {
        "step": row["step"],
        "points": " ".join(["0,0", *tops, f"{COLUMN},0"]),
        "zeros": round(row["zeros"] / values, 3),
        "words": words.replace(": ,", ":"),
    }


def _unique(rows: Sequence[dict[str, Any]], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))

"""The data stage: load a data set, check it, split it, and write one file per split."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from infoplane import registry
from infoplane.data.images import COLUMN, GROUP, KEYS, SPLITS, Images, check_labels
from infoplane.data.splits import draw
from infoplane.errors import UserError
from infoplane.given import files
from infoplane.given.record import record
from infoplane.options import NoOptions
from infoplane.specs import DataSpec, Plugin
from infoplane.storage.tensors import TensorWriter

ROW_GROUP_BYTES = 1 << 26


def prepare(spec: DataSpec, folder: Path, outputs: Mapping[str, Path], known: Path | None = None) -> tuple[str, ...]:
    """Write the train, validation and held_out files of a data set: all three, or none.

    ``folder`` keeps downloads; known: digests of the user's own files, as in `record`. The bytes depend on the spec and
    the source alone. Beside the source, one split is held in memory. Images that are equal to the byte, and those of
    one named group, are drawn into one split. Returned are notes for those who read the results; the
    metadata of the held-out images have them too. Raises `UserError` for bad options, bad data and splits larger than
    the data.
    """
    module = registry.load("data set", spec.source.kind)
    options = _options(spec.source, getattr(module, "Options", NoOptions))
    images: Images = module.load(options, folder.expanduser())
    before = _recorded(spec.source, known)
    _check(images, options, spec.source.kind)
    rows, notes = draw(images, options.classes, spec)
    notes = [*images.notes, *notes]

    pixels = images.pixels[rows["train"]]
    mean, std = channel_statistics(pixels)
    about: dict[str, Any] = {
        "name": spec.source.kind,
        "source": images.source,
        "shape": list(options.shape),
        "classes": options.classes,
        "class_names": None if images.class_names is None else list(images.class_names),
        "mean": mean,
        "std": std,
        "spec": spec.to_dict(),
    }
    about |= {"read": before} if before else {}
    about |= {"grouped": spec.source.options["group"]} if images.groups is not None else {}
    keys = KEYS if images.groups is None else KEYS | {GROUP: "int64"}
    values = {"label": images.labels} | ({} if images.groups is None else {GROUP: images.groups})
    seen: dict[str, set[bytes]] = {}
    try:
        with ExitStack() as finishing:
            for name in SPLITS:
                if name != "train":
                    pixels = images.pixels[rows[name]]
                seen[name] = {hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in pixels}
                if name == "held_out" and spec.held_out != "all":
                    notes += _met_before(seen)
                about |= {"notes": notes} if notes else {}
                writer = TensorWriter(outputs[name], keys, {COLUMN: (options.shape, "uint8")}, about | {"split": name})
                finishing.enter_context(writer)
                _write(writer, pixels, values, rows[name])
            if before != _recorded(spec.source, known):
                where = spec.source.options["path"]
                raise UserError(f"the files of {where} were changed while they were read: run the same command again.")
            # The files appear when this block ends; a kill between two of them must not mix two specs.
            _remove(outputs)
    except BaseException:
        # Where they cannot be removed, the error on its way says more.
        with suppress(OSError):
            _remove(outputs)
        raise
    return tuple(notes)


def channel_statistics(pixels: np.ndarray) -> tuple[list[float], list[float]]:
    """Per-channel mean and standard deviation of uint8 images (n, channels, height, width), as shares of 255.

    From exact integer sums: independent of the order of samples, and without a float copy of them. A constant
    channel gets the deviation 1, so that normalisation merely centres it.
    """
    samples, channels, height, width = pixels.shape
    count = samples * height * width
    means, deviations = [], []
    for channel in range(channels):
        total = squares = 0
        for start in range(0, samples, 1024):
            block = pixels[start : start + 1024, channel].astype(np.int64).ravel()
            total += int(block.sum())
            squares += int(block @ block)
        variance = (count * squares - total**2) / count**2
        means.append(total / count / 255)
        deviations.append(variance**0.5 / 255 if variance > 0 else 1.0)
    return means, deviations


def _options(source: Plugin, kind: type[Any]) -> Any:
    try:
        return kind(**source.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"data set '{source.kind}': {error}.") from None


def _check(images: Images, options: Any, name: str) -> None:
    """Raise `UserError` unless the data are what the plug-in's options declare."""
    labels, pixels = images.labels, images.pixels
    if not len(labels):
        raise UserError(f"data set '{name}' holds no samples: {images.source}")
    if options.size is not None and len(labels) != options.size:
        raise UserError(
            f"data set '{name}' has {len(labels)} samples instead of {options.size}: its files are not the "
            "official ones; delete them and run again."
        )
    if tuple(pixels.shape) != (len(labels), *options.shape) or pixels.dtype != np.uint8:
        expected = (len(labels), *options.shape)
        raise UserError(
            f"data set '{name}' holds {pixels.dtype} images of shape {tuple(pixels.shape)}, "
            f"expected uint8 of shape {expected} (samples, channels, height, width)."
        )
    check_labels(labels, options.classes, images.locate)
    if images.class_names is not None and len(images.class_names) != options.classes:
        raise UserError(
            f"data set '{name}' names {len(images.class_names)} classes, but `classes` is {options.classes}."
        )


def _recorded(source: Plugin, known: Path | None) -> dict[str, Any]:
    """What the user's own files hold, where the data set is read from any."""
    if not source.options.get("path"):
        return {}
    return record(files.of(source.kind, source.options["path"]), source.kind == "image_folder", known)


def _met_before(seen: Mapping[str, set[bytes]]) -> list[str]:
    """How many of the held-out images are among those of the other splits, which a network has learned from."""
    met = len(seen["held_out"] & (seen["train"] | seen["validation"]))
    return [f"held-out images that are also in training or validation, pixel by pixel: {met}"] if met else []


def _write(writer: TensorWriter, pixels: np.ndarray, keys: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
    step = max(1, ROW_GROUP_BYTES // pixels[0].nbytes)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        values = {name: value[rows[block]] for name, value in keys.items()}
        writer.write({"index": rows[block], **values}, {COLUMN: pixels[block]})


def _remove(outputs: Mapping[str, Path]) -> None:
    for path in outputs.values():
        path.unlink(missing_ok=True)

"""The data stage: load a data set, check it, split it, and write one file per split."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from infoplane import registry
from infoplane.data.images import COLUMN, KEYS, SPLITS, Images, check_labels
from infoplane.data.stratify import stratified_split
from infoplane.errors import UserError
from infoplane.options import NoOptions
from infoplane.specs import DataSpec, Plugin
from infoplane.storage.tensors import TensorWriter

ROW_GROUP_BYTES = 1 << 26


def prepare(spec: DataSpec, folder: Path, outputs: Mapping[str, Path]) -> None:
    """Write the train, validation and probe files of a data set: all three, or none.

    ``folder`` keeps downloads. The bytes depend on the spec and the source alone. Beside the source, one
    split is held in memory. Raises `UserError` for bad options, bad data and splits larger than the data.
    """
    module = registry.load("data set", spec.source.kind)
    options = _options(spec.source, getattr(module, "Options", NoOptions))
    images: Images = module.load(options, folder)
    _check(images, options, spec.source.kind)
    counts = _counts(spec, len(images.labels))
    rows = stratified_split(images.labels, options.classes, counts, spec.seed)
    if spec.probe == "all":
        whole = {"probe": len(images.labels)}
        rows |= stratified_split(images.labels, options.classes, whole, spec.seed)

    pixels = images.pixels[rows["train"]]
    mean, std = channel_statistics(pixels)
    about = {
        "name": spec.source.kind,
        "source": images.source,
        "shape": list(options.shape),
        "classes": options.classes,
        "class_names": None if images.class_names is None else list(images.class_names),
        "mean": mean,
        "std": std,
        "spec": spec.to_dict(),
    }
    try:
        with ExitStack() as finishing:
            for split in SPLITS:
                if split != "train":
                    pixels = images.pixels[rows[split]]
                writer = TensorWriter(
                    outputs[split], KEYS, {COLUMN: (options.shape, "uint8")}, about | {"split": split}
                )
                finishing.enter_context(writer)
                _write(writer, pixels, images.labels, rows[split])
            # The files appear when this block ends; a kill between two of them must not mix two specs.
            _remove(outputs)
    except BaseException:
        # Where they cannot be removed, the error on its way says more.
        with suppress(OSError):
            _remove(outputs)
        raise


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


def _counts(spec: DataSpec, samples: int) -> dict[str, int]:
    """Part -> size, in the order in which they are drawn, so that the probe depends on its own size alone.

    A probe of all samples is no part: the others are drawn as if there were none.
    """
    least = 1 if spec.train is None else spec.train
    held_out = {} if spec.probe == "all" else {"probe": spec.probe}
    held_out["validation"] = spec.validation
    for name, count in (held_out | {"train": least}).items():
        if count < 1:
            raise UserError(f"data: {name} must be at least 1 sample, got {count}.")
    wanted = sum(held_out.values()) + least
    if wanted > samples:
        train = "at least 1" if spec.train is None else str(spec.train)
        named = [f"{name} ({count})" for name, count in held_out.items()]
        raise UserError(
            f"data set '{spec.source.kind}' has {samples} samples, but {' + '.join([*named, f'train ({train})'])} "
            f"is {wanted}: ask for {wanted - samples} fewer."
        )
    return held_out | {"train": samples - sum(held_out.values()) if spec.train is None else spec.train}


def _write(writer: TensorWriter, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> None:
    step = max(1, ROW_GROUP_BYTES // pixels[0].nbytes)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        writer.write({"index": rows[block], "label": labels[rows[block]]}, {COLUMN: pixels[block]})


def _remove(outputs: Mapping[str, Path]) -> None:
    for path in outputs.values():
        path.unlink(missing_ok=True)

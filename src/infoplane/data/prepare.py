"""The data stage: load a data set, check it, split it, and write one file per split."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from infoplane import registry
from infoplane.data.samples import GROUP, INDEX, SPLITS, Samples, check_classes
from infoplane.data.splits import draw
from infoplane.errors import UserError
from infoplane.given import files
from infoplane.given.record import record
from infoplane.options import Field, Fields, NoOptions
from infoplane.specs import DataSpec, Plugin
from infoplane.storage.tensors import TensorWriter

ROW_GROUP_BYTES = 1 << 26
CHUNK = 1024
"""Samples that are summed at once."""


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
    samples: Samples = module.load(options, folder.expanduser())
    before = _recorded(spec.source, known)
    fields = _checked(samples, options, spec.source.kind)
    rows, notes = draw(samples, fields, spec)
    notes = [*samples.notes, *notes]

    values = _values(samples, rows["train"])
    statistics = {name: mean_and_deviation(values[name], one) for name, one in fields.items() if one.classes is None}
    about: dict[str, Any] = {
        "name": spec.source.kind,
        "source": samples.source,
        "fields": {name: one.to_dict() for name, one in fields.items()},
        "order": list(fields),
        "mean": {name: mean for name, (mean, _) in statistics.items()},
        "std": {name: std for name, (_, std) in statistics.items()},
        "spec": spec.to_dict(),
    }
    about |= {"read": before} if before else {}
    about |= {"grouped": spec.source.options["group"]} if samples.groups is not None else {}
    keys = {INDEX: "int64"} | {name: one.dtype for name, one in fields.items() if one.is_class}
    keys |= {GROUP: "int64"} if samples.groups is not None else {}
    tensors = {name: (one.shape, one.dtype) for name, one in fields.items() if name not in keys}
    first = next(iter(fields))
    seen: dict[str, set[bytes]] = {}
    try:
        with ExitStack() as finishing:
            for name in SPLITS:
                if name != "train":
                    values = _values(samples, rows[name])
                seen[name] = {hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in values[first]}
                if name == "held_out" and spec.held_out != "all":
                    notes += _met_before(seen)
                about |= {"notes": notes} if notes else {}
                writer = TensorWriter(outputs[name], keys, tensors, about | {"split": name})
                finishing.enter_context(writer)
                groups = {} if samples.groups is None else {GROUP: samples.groups[rows[name]]}
                _write(writer, values | {INDEX: rows[name]} | groups)
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


def mean_and_deviation(values: np.ndarray, field: Field) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of a field, shape (n, *its shape), one of each for every channel or feature.

    Bytes are counted as shares of 255, and summed exactly: independent of the order of samples, and without a float
    copy of them. A constant channel gets the deviation 1, so that scaling merely centres it.
    """
    own = [1 + axis for axis, size in enumerate(field.statistics) if size > 1]
    apart = np.moveaxis(values, own, range(1, len(own) + 1)).reshape(len(values), math.prod(field.statistics), -1)
    means, deviations = [], []
    for channel in range(apart.shape[1]):
        mean, variance = (_of_bytes if field.dtype == "uint8" else _of_floats)(apart[:, channel])
        means.append(mean / field.unit)
        deviations.append(variance**0.5 / field.unit if variance > 0 else 1.0)
    return means, deviations


def _of_bytes(values: np.ndarray) -> tuple[float, float]:
    """Mean and variance of bytes, from exact sums over whole numbers."""
    total = squares = 0
    for block in _blocks(values):
        whole = block.astype(np.int64).ravel()
        total += int(whole.sum())
        squares += int(whole @ whole)
    return total / values.size, (values.size * squares - total**2) / values.size**2


def _of_floats(values: np.ndarray) -> tuple[float, float]:
    """Mean and variance of floats, from two passes in float64; the variance of equal ones is exactly 0."""
    mean = math.fsum(float(block.sum(dtype=np.float64)) for block in _blocks(values)) / values.size
    squares = math.fsum(float(np.square(block.astype(np.float64) - mean).sum()) for block in _blocks(values))
    return mean, 0.0 if (values == values.flat[0]).all() else squares / values.size


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _options(source: Plugin, kind: type[Any]) -> Any:
    try:
        return kind(**source.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"data set '{source.kind}': {error}.") from None


def _checked(samples: Samples, options: Any, kind: str) -> Fields:
    """The fields with the names of their classes; raises `UserError` unless the data are what the options declare."""
    declared: Fields = options.fields
    if set(samples.arrays) != set(declared):
        raise UserError(
            f"data set '{kind}' loads {', '.join(sorted(samples.arrays)) or 'nothing'}, but declares the fields "
            f"{', '.join(sorted(declared))}: make both the same."
        )
    if taken := {INDEX, GROUP} & set(declared):
        raise UserError(f"data set '{kind}' has a field '{taken.pop()}', which every split file has anyway: rename it.")
    if not len(samples):
        raise UserError(f"data set '{kind}' holds no samples: {samples.source}")
    if options.size is not None and len(samples) != options.size:
        raise UserError(
            f"data set '{kind}' has {len(samples)} samples instead of {options.size}: its files are not the "
            "official ones; delete them and run again."
        )
    return {name: _field(samples, name, one, kind) for name, one in declared.items()}


def _field(samples: Samples, name: str, declared: Field, kind: str) -> Field:
    """The field with the names of its classes, after its values have been checked."""
    column, expected = samples[name], (len(samples), *declared.shape)
    if tuple(column.shape) != expected or column.dtype != np.dtype(declared.dtype):
        raise UserError(
            f"data set '{kind}': {name} holds {column.dtype} of shape {tuple(column.shape)}, "
            f"expected {declared.dtype} of shape {expected}: {declared}, one for each sample."
        )
    if declared.classes is None:
        return declared
    check_classes(name, np.asarray(column), declared.classes, samples.locate)
    names = samples.names.get(name, declared.names)
    if names is not None and len(names) != declared.classes:
        raise UserError(f"data set '{kind}' names {len(names)} classes, but `classes` is {declared.classes}.")
    return replace(declared, names=names)


def _values(samples: Samples, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Every field at these positions; raises `UserError` for a number that is none."""
    found = {name: column[rows] for name, column in samples.arrays.items()}
    for name, values in found.items():
        if values.dtype.kind == "f" and not (finite := np.isfinite(values).reshape(len(values), -1).all(1)).all():
            bad = samples.locate(int(rows[int(np.flatnonzero(~finite)[0])]))
            raise UserError(f"{bad} has NaN or infinity in '{name}': leave such samples out.")
    return found


def _recorded(source: Plugin, known: Path | None) -> dict[str, Any]:
    """What the user's own files hold, where the data set is read from any."""
    if not source.options.get("path"):
        return {}
    return record(files.of(source.kind, source.options["path"]), source.kind == "image_folder", known)


def _met_before(seen: Mapping[str, set[bytes]]) -> list[str]:
    """How many of the held-out samples are among those of the other splits, which a network has learned from."""
    met = len(seen["held_out"] & (seen["train"] | seen["validation"]))
    return [f"held-out samples that are also in training or validation, value by value: {met}"] if met else []


def _write(writer: TensorWriter, values: Mapping[str, np.ndarray]) -> None:
    rows, width = len(values[INDEX]), sum(one[:1].nbytes for one in values.values())
    step = max(1, ROW_GROUP_BYTES // width)
    for start in range(0, rows, step):
        block = {name: one[start : start + step] for name, one in values.items()}
        writer.write(block, block)


def _remove(outputs: Mapping[str, Path]) -> None:
    for path in outputs.values():
        path.unlink(missing_ok=True)

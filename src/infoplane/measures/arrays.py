"""Read arrays of other programs as tensors, or refuse them in one sentence.

All public functions use this, so that every family takes the same arrays: tensors of any type and layout,
NumPy arrays of any byte order and strides, lists, and whatever has ``__array__``.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, get_origin

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.typed import fitting

EXACT = 2**53
"""Whole numbers beyond this are not all float64."""

LARGEST, SMALLEST = 1e100, 1e-100
"""Beyond these a product of two squares overflows or underflows in float64."""

KEPT = (torch.float16, torch.float32, torch.float64)
"""Types that a representation keeps; bfloat16 and smaller ones become float32, all others float64."""

PUT_RIGHT = "give an array of numbers with one row per sample"


def as_numpy(value: Any, name: str) -> np.ndarray:
    """The array as it is, with numbers or text as its entries; raises `UserError` for everything else."""
    if value is None:
        raise UserError(f"{name} is None: {PUT_RIGHT}.")
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        value = _stacked(value, name)
    if isinstance(value, Tensor):
        value = _dense(value, name).cpu().resolve_conj().resolve_neg().numpy()
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise UserError(f"{name} has masked values: leave those samples out, or fill them in.")
        value = value.data
    try:
        found = np.asarray(value)
    except Exception as error:  # whatever __array__ of another program raises
        raise UserError(f"{name} cannot be read as an array ({_first_line(error)}): {PUT_RIGHT}.") from None
    found = _unboxed(found, name) if found.dtype.kind == "O" else found
    if found.dtype.kind not in "biufUS":
        known = {"c": "complex numbers", "M": "dates", "m": "durations", "V": "records"}
        raise UserError(
            f"{name} holds {known.get(found.dtype.kind, str(found.dtype))}: expected real numbers (of a complex "
            "number, give both parts; of a date, the seconds)."
        )
    if found.ndim == 0 or not len(found):
        raise UserError(f"{name} holds {'one value' if found.ndim == 0 else 'no sample'}: {PUT_RIGHT}.")
    if not found.size:
        raise UserError(f"{name} has the shape {found.shape}, so no values: {PUT_RIGHT}.")
    return found


def as_samples(value: Any, name: str) -> Tensor:
    """A representation as a tensor of floats, shape (n, ...) with at least one axis beside the samples.

    On its own device, in its own type where that is one of `KEPT`. Raises `UserError` for what holds no numbers, whole
    numbers beyond 2^53, and values beyond `LARGEST` or features that stay below `SMALLEST`.
    """
    found = as_numbers(value, name)
    found = found[:, None] if found.ndim == 1 else found
    if found.dtype == torch.float64:
        _within_reach(found, name)
    return found


def as_numbers(value: Any, name: str) -> Tensor:
    """A tensor of floats of the same shape; raises `UserError` for what holds no numbers."""
    if isinstance(value, Tensor) and value.device.type not in ("cpu", "meta"):
        found = _dense(value, name)
        if not found.is_complex() and found.ndim and found.numel():
            return found if found.dtype in KEPT else found.double()
    return torch.from_numpy(_native(as_numpy(value, name), name))


def as_amounts(value: Any, name: str) -> np.ndarray:
    """Numbers of shape (n, ...), float64; raises `UserError` as `as_samples` does, and for NaN and infinity."""
    found = _native(as_numpy(value, name), name).astype(np.float64)
    if not np.isfinite(found).all():
        raise UserError(f"{name} holds NaN or infinity: leave those samples out, or fill them in.")
    return found


def as_ids(value: Any, name: str) -> np.ndarray:
    """Which samples have equal values, as numbers from 0 on, int64, shape (n,).

    value: whole numbers of any type, truth values or words, shape (n,) or (n, 1). Raises `UserError` for all else.
    """
    found = as_numpy(value, name)
    if found.size != len(found):
        raise UserError(f"{name} has the shape {found.shape}: expected one value per sample, shape ({len(found)},).")
    found = found.reshape(-1)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UserError(f"{name} holds NaN or infinity: leave those samples out, or fill them in.")
    if not _whole(found):
        raise UserError(f"{name} holds numbers that are not whole: expected whole numbers, or words.")
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def as_labels(value: Any, name: str) -> np.ndarray:
    """Classes as numbers from 0 on, int64, shape (n,).

    value: as `as_ids` takes it, or one-hot of shape (n, classes). Raises `UserError` for a continuous Y, and where no
    two samples share a label.
    """
    found = as_numpy(value, name)
    if found.ndim == 2 and found.shape[1] > 1 and found.dtype.kind in "biuf":
        if not (((found == 0) | (found == 1)).all() and (found.sum(1) == 1).all()):
            raise UserError(f"{name} has the shape {found.shape}: expected one label per sample, or one-hot labels.")
        found = found.argmax(1)
    if found.dtype.kind == "f" and np.isfinite(found).all() and not _whole(found):
        example = next(one for one in found.flat if not _whole(one))
        raise UserError(
            f"{name} holds numbers that are not whole, such as {example:.6g}: Y must be "
            "classes (whole numbers or words), and a continuous Y has to be cut into some first."
        )
    labels = as_ids(found, name)
    if len(labels) > 1 and labels.max() + 1 == len(labels):
        raise UserError(
            f"{name} holds {len(labels)} different labels for {len(labels)} samples: Y must be classes that samples "
            "share."
        )
    return labels


def as_counts(value: Any, name: str) -> Tensor:
    """How often each value occurs, int64, in the shape given; raises `UserError` for what is no count."""
    found = as_amounts(value, name)
    if not (_whole(found) and (found >= 0).all()):
        raise UserError(f"{name} must hold counts: whole numbers of 0 or more.")
    return torch.from_numpy(found.astype(np.int64))


def as_inputs(value: Any, name: str, amounts: bool, regressing: Sequence[str], how: str) -> np.ndarray:
    """X as `prepare` takes it, float64, shape (n, ...).

    One whole number per sample, or one word, is an id: it is numbered from 0 on, and refused where ``regressing`` names
    families that would take it for an amount, unless ``amounts`` says that it is one. Two values are the same either
    way. how: what a person writes to say so. Raises `UserError` as `as_amounts` and `as_ids` do.
    """
    found = as_numpy(value, name)
    text = found.dtype.kind in "US"
    if not text and (amounts or found.size != len(found) or not _whole(found.reshape(-1))):
        return as_amounts(found, name)
    if text and amounts:
        raise UserError(f"{name} holds words, which are no amounts: give numbers, or leave out {how}.")
    ids = as_ids(found, name)
    if regressing and ids.max() > 1:
        kind = "word" if text else "whole number"
        amount = "" if text else f"say {how} if it is an amount, "
        raise UserError(
            f"{name} holds one {kind} per sample, and {', '.join(regressing)} would regress it as an amount: {amount}"
            "give a vector per sample (such as one-hot) if it is an id, or take a family that only asks which inputs "
            "are equal, such as binned."
        )
    return ids.astype(np.float64)


def _finite(value: Any, name: str) -> Tensor:
    found = as_samples(value, name)
    if not bool(torch.isfinite(found).all()):
        raise UserError(f"{name} holds NaN or infinity: leave those samples out, or fill them in.")
    return found


def _codes(read: Callable[[Any, str], np.ndarray]) -> Callable[[Any, str], Tensor]:
    return lambda value, name: torch.from_numpy(read(value, name))


SAMPLES: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("x", "z", "s", "f", "mu"), _finite),
    "labels": _codes(as_labels),
    "inputs": lambda value, name: torch.from_numpy(as_inputs(value, name, False, (), "")),
    "first": _codes(as_ids),
    "second": _codes(as_ids),
}
"""Parameter of a public function that holds one row per sample -> how it is read."""

OTHERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("one", "other", "products"), _finite),
    "counts": as_counts,
    "eigenvalues": as_numbers,
    "sigma": lambda value, name: value if isinstance(value, int | float) else as_numbers(value, name),
    "steps": lambda value, name: np.asarray(value).tolist(),
    "snr": lambda value, name: np.asarray(value).tolist(),
}
"""Other parameters of public functions that hold arrays -> how they are read."""


def taking_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with its arguments read as `SAMPLES` and `OTHERS` say, and options of the wrong type refused.

    What it returns raises `UserError` for arrays that hold something else or differ in length.
    """
    known = inspect.signature(function)

    @wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        given, sizes = known.bind(*args, **options), {}
        for name, value in given.arguments.items():
            wanted, left_out = known.parameters[name].annotation, known.parameters[name].default is value is None
            if not left_out and (read := SAMPLES.get(name) or OTHERS.get(name)):
                given.arguments[name] = value = read(value, name)
                if name in SAMPLES:
                    sizes[name] = len(value)
            elif wanted in (int, float, bool) or get_origin(wanted) is Literal:
                try:
                    given.arguments[name] = fitting(name, wanted, value)
                except ValueError as error:
                    raise UserError(f"{function.__name__}: {error}.") from None
        if len(set(sizes.values())) > 1:
            numbers = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise UserError(f"{function.__name__}: all must hold the same samples, and they have {numbers}.")
        return function(*given.args, **given.kwargs)

    return checked


def _dense(value: Tensor, name: str) -> Tensor:
    """Without a graph, a sparse layout, quantisation or a float type that NumPy lacks."""
    try:
        value = value.detach()
        value = value.dequantize() if value.is_quantized else value
        value = value.to_dense() if value.layout != torch.strided else value
        if value.is_meta:
            raise UserError(f"{name} is a meta tensor, which has no values.")
        value = value.float() if value.is_floating_point() and value.dtype not in KEPT else value
    except (RuntimeError, NotImplementedError) as error:
        raise UserError(f"{name} cannot be read as a tensor ({_first_line(error)}): {PUT_RIGHT}.") from None
    return value


def _stacked(parts: Sequence[Tensor], name: str) -> Tensor:
    """A list of one tensor per sample as one tensor."""
    shapes = {tuple(part.shape) for part in parts}
    if len(shapes) > 1:
        raise UserError(f"{name} is a list of tensors of different shapes: give one, such as torch.cat of the list.")
    return torch.stack([_dense(part, name).cpu() for part in parts])


def _unboxed(found: np.ndarray, name: str) -> np.ndarray:
    """An array of Python objects as numbers or text, where they are of one kind."""
    kinds = {type(one) for one in found.flat}
    if type(None) in kinds:
        raise UserError(f"{name} has missing values (None): leave those samples out, or fill them in.")
    if all(issubclass(kind, str | np.str_) for kind in kinds):
        return found.astype(str)
    numbers = all(issubclass(kind, bool | int | float | np.number | np.bool_) for kind in kinds)
    unboxed = np.asarray(found.tolist()) if numbers else found
    if unboxed.dtype.kind == "O":
        some = ", ".join(sorted(kind.__name__ for kind in kinds)[:3])
        raise UserError(f"{name} holds Python objects ({some}): {PUT_RIGHT}, all of one shape.")
    return unboxed


def _native(found: np.ndarray, name: str) -> np.ndarray:
    """Numbers in a type, byte order and layout that a tensor can have; a copy where it has to be."""
    if found.dtype.kind in "US":
        raise UserError(f"{name} holds text: {PUT_RIGHT}.")
    if found.dtype.kind in "iu" and (int(found.max()) > EXACT or int(found.min()) < -EXACT):
        raise UserError(
            f"{name} holds whole numbers beyond 2^53, which float64 cannot tell apart: subtract a constant."
        )
    wanted = found.dtype.newbyteorder("=") if found.dtype.kind == "f" and found.dtype.itemsize <= 8 else np.float64
    native = np.ascontiguousarray(found, wanted).reshape(found.shape)
    as_it_is = native.flags.writeable and all(stride >= 0 for stride in native.strides)
    return native if as_it_is else native.copy()


def _whole(found: np.ndarray) -> bool:
    """Whether the entries are whole numbers, truth values or text; beyond 2^53 every float is one, and says nothing."""
    return found.dtype.kind != "f" or bool(((np.abs(found) <= EXACT) & (found == np.floor(found))).all())


def _within_reach(found: Tensor, name: str) -> None:
    """Raise `UserError` for finite values that overflow, and for features that underflow."""
    sizes = torch.where(torch.isfinite(found), found.abs(), 0).flatten(1).amax(0)
    if float(sizes.max()) > LARGEST:
        raise UserError(f"{name} holds {float(sizes.max()):.3g}, too large to be squared: divide it by a constant.")
    if bool(((sizes > 0) & (sizes < SMALLEST)).any()):
        raise UserError(
            f"{name} has a feature that stays below {SMALLEST:g}: multiply it by a constant, or leave it out."
        )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")

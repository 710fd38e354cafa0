"""From activations and a kernel to Z-X and Z-Y: all that the linear and the kernel family share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis, Gram, standardised_gram
from infoplane.measures.decoding.logistic import cross_validate, problem
from infoplane.measures.decoding.ridge import Choice, constant_losses
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets

SOLVER_DTYPE = torch.float32
"""Of the logistic regression; all else is float64."""

TOLERANCE = 5e-6
"""Of the logistic regression, nats per training sample."""


@dataclass(frozen=True)
class Kernel:
    """A kernel by its eigenbasis. bandwidth: None where there is none to choose; edge: where it is in its grid."""

    basis: Basis
    bandwidth: float | None = None
    edge: str = ""


@dataclass(frozen=True)
class Kernels:
    """The kernels that decode X and Y (often one and the same), and the ridge that decodes X best."""

    x: Kernel
    ridge: Choice
    y: Kernel


def decode(
    z: Tensor,
    targets: Targets,
    choose: Callable[[Gram], Kernels],
    ridges: Sequence[float],
    folds: int,
    seed: int,
) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), any float dtype.

    Activations with NaN or infinity (float16 overflow too) have no value; activations that do not vary have the
    reference as their value. ``choose`` gives the kernels, all that sets the families apart. Raises `UserError` when
    there are fewer samples than folds.
    """
    held_out = targets.folds(folds, seed)
    flat = z.flatten(1)
    n, d = flat.shape
    zx = Estimate(measure="zx", unit="nmse", value=None, reference=1.0, n=n, d=d)
    zy = Estimate(measure="zy", unit="nats", value=None, reference=targets.entropy, n=n, d=d)
    if not bool(torch.isfinite(flat).all()):
        return [replace(estimate, note="non-finite") for estimate in (zx, zy)]
    gram = standardised_gram(flat)
    zx, zy = (replace(estimate, constant_features=gram.constant) for estimate in (zx, zy))
    if gram.features == 0:
        return [replace(estimate, value=estimate.reference, note="constant") for estimate in (zx, zy)]
    kernels = choose(gram)
    zx = replace(zx, bandwidth=kernels.x.bandwidth)
    zy = replace(zy, bandwidth=kernels.y.bandwidth)
    return [_zx(zx, kernels, targets), _zy(zy, kernels.y, targets, held_out, ridges, folds)]


def _zx(zx: Estimate, kernels: Kernels, targets: Targets) -> Estimate:
    """Leave-one-out squared error over that of the mean of the others."""
    losses, constant = kernels.ridge.losses, constant_losses(targets.inputs)
    if not float(constant.sum()) > 0:
        return replace(zx, note="constant input")
    value = float(losses.sum() / constant.sum())
    # of a ratio of two means over the same samples (delta method)
    spread = (losses - value * constant).std() / constant.mean()
    return replace(
        zx,
        value=value,
        stderr=float(spread) / math.sqrt(zx.n),
        ridge=kernels.ridge.ridge,
        folds=zx.n,
        edge=_edges(kernels.ridge, kernels.x),
        note=kernels.ridge.note,
    )


def _zy(
    zy: Estimate, kernel: Kernel, targets: Targets, held_out: Tensor, ridges: Sequence[float], folds: int
) -> Estimate:
    """Mean held-out cross-entropy of kernel logistic regression, nats."""
    if targets.classes == 1:
        return replace(zy, value=0.0, note="one class only")
    training = (held_out[None] != torch.arange(folds, device=held_out.device)[:, None]).double()
    posed = problem(kernel.basis, targets.one_hot, training, SOLVER_DTYPE)
    choice = cross_validate(posed, targets.labels, held_out, ridges, TOLERANCE)
    notes = [choice.note] if choice.note else []
    if alone := int((held_out < 0).sum()):
        notes.append(f"alone in their class and never held out: {alone}")
    return replace(
        zy,
        value=float(choice.losses.mean()),
        stderr=float(choice.losses.std()) / math.sqrt(len(choice.losses)),
        ridge=choice.ridge,
        folds=folds,
        edge=_edges(choice, kernel),
        note="; ".join(notes),
    )


def _edges(choice: Choice, kernel: Kernel) -> str:
    """Hyperparameters at an end of their grid; the bandwidth means nothing where the constant predictor won."""
    bandwidth = kernel.edge if math.isfinite(choice.ridge) else ""
    return ",".join(edge for edge in (choice.edge, bandwidth) if edge)

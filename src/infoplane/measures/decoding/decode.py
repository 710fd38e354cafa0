"""From activations and a kernel to Z-X and Z-Y: all that the linear and the kernel family share."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from infoplane.measures.blocks import blocks
from infoplane.measures.decoding import one_unit
from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.learning_curve import Limit, halves, zx_limit, zy_limit
from infoplane.measures.decoding.logistic import cross_validate, problem
from infoplane.measures.decoding.ridge import Choice, constant_losses, normalised_error, outlying
from infoplane.measures.decoding.views import AllFeatures, Kernel, SomeLandmarks, WholeGram
from infoplane.measures.estimate import Estimate
from infoplane.measures.groups import standard_error
from infoplane.measures.targets import Targets
from infoplane.specs import canonical

SOLVER_DTYPE = torch.float32
"""Of the logistic regression; all else is float64."""

TOLERANCE = 5e-6
"""Of the logistic regression, nats per training sample."""

AT_ONCE = 256
"""Samples looked through for NaN and infinity at a time."""


MATRICES = 16
"""Float64 n x n matrices that an exact measurement takes at its peak (11.5 seen), its part of a batch included."""


View = TypeVar("View", bound=WholeGram | AllFeatures | SomeLandmarks)


@dataclass(frozen=True)
class Search:
    """Among which decoders: ridges from strong to weak, folds of Z-Y, the seed of folds and samples.

    extrapolate: whether halves of the samples are decoded too, for the value at unlimited n.
    """

    ridges: Sequence[float]
    folds: int
    seed: int
    extrapolate: bool


@dataclass(frozen=True)
class Kernels:
    """The kernel that decodes X with the ridge that does it best, and those that Y may be decoded by."""

    x: Kernel
    ridge: Choice
    y: Sequence[Kernel]


def footprint(z: Tensor, exact_up_to: int) -> float:
    """Bytes that measuring activations of shape (n, ...) takes; inf where one alone keeps a device busy (landmarks)."""
    n = len(z)
    return 8 * (MATRICES * n * n + z.numel()) if n <= exact_up_to else math.inf


def decode(
    z: Tensor, targets: Targets, see: Callable[[Tensor], View], choose: Callable[[View], Kernels], search: Search
) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), any float dtype.

    Activations with NaN or infinity (float16 overflow too) have no value; activations that do not vary have the
    reference as their value. ``see`` prepares Z for decoders and ``choose`` gives the kernels, all that sets the
    families apart. Raises `UserError` when there are fewer samples than folds.
    """
    targets.folds(search.folds, search.seed)
    flat = z.flatten(1)
    n, d = flat.shape
    zx = Estimate(measure="zx", unit="nmse", value=None, reference=1.0, n=n, d=d)
    zy = Estimate(measure="zy", unit="nats", value=None, reference=targets.entropy, n=n, d=d)
    if not all(bool(torch.isfinite(some).all()) for some in flat.split(AT_ONCE)):
        return [replace(estimate, note="non-finite") for estimate in (zx, zy)]
    view = see(flat)
    zx, zy = (replace(estimate, constant_features=view.constant) for estimate in (zx, zy))
    if view.features == 0:
        return knowing_nothing(zx, zy, targets)
    kernels = choose(view)
    parts = halves(targets, search.folds, search.seed) if search.extrapolate else []
    bases = list(kernels.x.parts(parts))
    zx = _zx(_described(zx, kernels.x, view), kernels, targets, parts, bases, search)
    if targets.classes == 1:
        return [zx, one_class(_described(zy, kernels.y[0], view))]
    tried = [_cross_validated(targets, kernel.basis, search) for kernel in kernels.y]
    best = min(range(len(tried)), key=[float(choice.losses.mean()) for choice, _ in tried].__getitem__)
    kernel = kernels.y[best]
    if kernel is not kernels.x:
        bases = list(kernel.parts(parts))
    zy = _zy(_described(zy, kernel, view), kernel, tried[best], targets, parts, bases, search)
    choice, left_out = tried[best]
    return [zx, replace(zy, note=_joined(zy.note, one_unit.note(flat, targets, left_out, choice.losses)))]


def knowing_nothing(zx: Estimate, zy: Estimate, targets: Targets) -> list[Estimate]:
    """Z-X and Z-Y of activations that do not vary: the references, and in blocks the losses that these are made of."""
    groups, everyone = targets.groups, torch.arange(targets.n)
    of_mean, surprise = constant_losses(targets.inputs, groups), -targets.one_hot.mean(1).log()[targets.labels]
    return [
        replace(zx, value=zx.reference, note="constant", blocks=blocks(of_mean, everyone, of_mean.sum(), groups)),
        replace(zy, value=zy.reference, note="constant", blocks=blocks(surprise, everyone, targets.n, groups)),
    ]


def one_class(zy: Estimate) -> Estimate:
    """Z-Y where there is only one class: every loss is 0."""
    return replace(zy, value=0.0, note="one class only", blocks=blocks(torch.zeros(zy.n), torch.arange(zy.n), zy.n))


def _described(estimate: Estimate, kernel: Kernel, view: View) -> Estimate:
    """With the kernel's bandwidth, and how Z was seen."""
    seen: dict[str, object] = {"mode": view.mode}
    if isinstance(view, SomeLandmarks):
        seen |= {"landmarks": len(view.landmarks.chosen), "unseen": kernel.unseen}
    return replace(estimate, bandwidth=kernel.bandwidth, detail=canonical(seen))


def _zx(
    zx: Estimate, kernels: Kernels, targets: Targets, parts: list[Tensor], bases: list[Basis], search: Search
) -> Estimate:
    """Leave-one-out squared error over that of the mean of the others."""
    losses, constant = kernels.ridge.losses, constant_losses(targets.inputs, targets.groups)
    if not float(constant.sum()) > 0:
        return replace(zx, note="constant input")
    value, stderr = normalised_error(losses, constant, targets.groups)
    zx = replace(
        zx,
        value=value,
        stderr=stderr,
        ridge=kernels.ridge.ridge,
        folds=zx.n,
        edge=_edges(kernels.ridge, kernels.x),
        note=_joined(kernels.ridge.note, outlying(constant), targets.note),
        blocks=blocks(losses, torch.arange(zx.n), constant.sum(), targets.groups),
    )
    return _extrapolated(zx, zx_limit(losses, targets, parts, bases, search.ridges) if parts else None)


def _zy(
    zy: Estimate,
    kernel: Kernel,
    found: tuple[Choice, Tensor],
    targets: Targets,
    parts: list[Tensor],
    bases: list[Basis],
    search: Search,
) -> Estimate:
    """Mean left-out cross-entropy of kernel logistic regression, nats; found: its ridge, and each sample's fold."""
    choice, left_out = found
    judged, alone = left_out >= 0, int((left_out < 0).sum())
    groups = targets.groups
    zy = replace(
        zy,
        value=float(choice.losses.mean()),
        stderr=standard_error(choice.losses, None if groups is None else groups[judged]),
        ridge=choice.ridge,
        folds=search.folds,
        edge=_edges(choice, kernel),
        note=_joined(choice.note, f"alone in their class and never left out: {alone}" if alone else "", targets.note),
        blocks=blocks(choice.losses, torch.nonzero(judged)[:, 0], len(choice.losses), groups),
    )

    def losses(some: Targets, basis: Basis) -> Tensor:
        return _in_place(*_cross_validated(some, basis, search))

    return _extrapolated(zy, zy_limit(_in_place(choice, left_out), targets, parts, losses, bases) if parts else None)


def _cross_validated(targets: Targets, basis: Basis, search: Search) -> tuple[Choice, Tensor]:
    """The logistic regression of the best ridge, and the fold in which each sample was left out."""
    left_out = targets.folds(search.folds, search.seed)
    training = (left_out[None] != torch.arange(search.folds, device=left_out.device)[:, None]).double()
    posed = problem(basis, targets.one_hot, training, SOLVER_DTYPE)
    return cross_validate(posed, targets.labels, left_out, search.ridges, TOLERANCE), left_out


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _in_place(choice: Choice, left_out: Tensor) -> Tensor:
    """The loss of every sample, NaN where it was never left out."""
    losses = choice.losses.new_full((len(left_out),), torch.nan)
    losses[left_out >= 0] = choice.losses
    return losses


def _extrapolated(estimate: Estimate, limit: Limit | None) -> Estimate:
    if limit is None:
        return estimate
    detail = json.loads(estimate.detail) | {"value_at_half": limit.half, "extrapolated_stderr": limit.stderr}
    assert estimate.value is not None and estimate.reference is not None
    note = _joined(estimate.note, limit.note(estimate.value, estimate.reference))
    return replace(estimate, extrapolated=limit.value, detail=canonical(detail), note=note)


def _edges(choice: Choice, kernel: Kernel) -> str:
    """Hyperparameters at an end of their grid; the bandwidth means nothing where the constant predictor won."""
    bandwidth = kernel.edge if math.isfinite(choice.ridge) else ""
    return ",".join(edge for edge in (choice.edge, bandwidth) if edge)

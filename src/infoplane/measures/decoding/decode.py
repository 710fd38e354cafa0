"""From activations and a kernel to Z-X and Z-Y: all that the linear and the kernel family share."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from infoplane.measures.blocks import blocks
from infoplane.measures.decoding import one_unit
from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.learning_curve import Limit, halves, limit_of_classes, limit_of_numbers
from infoplane.measures.decoding.logistic import cross_validate, problem
from infoplane.measures.decoding.ridge import (
    Choice,
    choose_ridge,
    constant_losses,
    loss_curve,
    normalised_error,
    outlying,
    score_losses,
)
from infoplane.measures.decoding.views import AllFeatures, Kernel, SomeLandmarks, WholeGram
from infoplane.measures.estimate import Estimate
from infoplane.measures.groups import in_order, standard_error
from infoplane.measures.targets import LETTERS, Classes, Numbers, Targets, Variable, rotate_to_rank
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


def footprint(z: Tensor, exact_up_to: int) -> float:
    """Bytes that measuring activations of shape (n, ...) takes; inf where one alone keeps a device busy (landmarks)."""
    n = len(z)
    return 8 * (MATRICES * n * n + z.numel()) if n <= exact_up_to else math.inf


def decode(
    z: Tensor,
    targets: Targets,
    see: Callable[[Tensor], View],
    propose: Callable[[View, Sequence["Decoder"]], Sequence[Sequence[Kernel]]],
    search: Search,
) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), any float dtype, as far as they are wanted.

    Activations with NaN or infinity (float16 overflow too) have no value; activations that do not vary have the
    reference as their value. ``see`` prepares Z for decoders and ``propose`` gives the kernels that each variable may
    be decoded by, all that sets the families apart. Raises `UserError` when there are fewer samples than folds.
    """
    decoders = [decoder(measure, variable, targets, search) for measure, variable in targets.decoded.items()]
    flat = z.flatten(1)
    n, d = flat.shape
    blanks = [blank(one.measure, one.variable, n, d) for one in decoders]
    if not all(bool(torch.isfinite(some).all()) for some in flat.split(AT_ONCE)):
        return [replace(estimate, note="non-finite") for estimate in blanks]
    view = see(flat)
    blanks = [replace(estimate, constant_features=view.constant) for estimate in blanks]
    if view.features == 0:
        return [knowing_nothing(*both, targets.groups) for both in zip(blanks, targets.decoded.values(), strict=True)]
    proposed = propose(view, decoders)
    found: list[Estimate] = []
    seen: tuple[Kernel, Tensor] | None = None
    for one, estimate, kernels in zip(decoders, blanks, proposed, strict=True):
        if not one.variable.varies:
            found.append(nothing_to_decode(_described(estimate, kernels[0], view)))
            continue
        tried = [one.fit(kernel.basis) for kernel in kernels]
        best = min(range(len(tried)), key=[float(choice.losses.sum()) for choice in tried].__getitem__)
        kernel, choice, strata = kernels[best], tried[best], targets.strata(one.variable)
        if seen is None or seen[0] is not kernel or seen[1] is not strata:
            parts = halves(targets, one.variable, search.folds, search.seed) if search.extrapolate else []
            bases, seen = list(kernel.parts(parts)), (kernel, strata)
        estimate = one.judge(_described(estimate, kernel, view), choice, kernel)
        estimate = _extrapolated(estimate, one.limit(choice, parts, bases) if parts else None)
        found.append(replace(estimate, note=_joined(estimate.note, one.too_few(flat, choice))))
    return found


def blank(measure: str, variable: Variable, n: int, d: int, **more: Any) -> Estimate:
    """An estimate without a value of how well a variable is decoded, in its unit and with its reference."""
    return Estimate(measure=measure, unit=variable.unit, value=None, reference=variable.reference, n=n, d=d, **more)


def knowing_nothing(estimate: Estimate, variable: Variable, groups: Tensor | None) -> Estimate:
    """What activations that do not vary give: the reference, and in blocks the losses that it is made of."""
    if isinstance(variable, Numbers):
        losses = constant_losses(variable.values, groups)
        total: float | Tensor = losses.sum()
    else:
        losses, total = -variable.one_hot.mean(1).log()[variable.labels], len(variable)
    parts = blocks(losses, torch.arange(len(variable)), total, groups)
    return replace(estimate, value=estimate.reference, note="constant", blocks=parts)


def nothing_to_decode(estimate: Estimate) -> Estimate:
    """What a variable that does not vary gives: no value of numbers, and of one class a loss of 0."""
    if estimate.unit == Numbers.unit:
        return replace(estimate, note="constant input" if estimate.measure == "zx" else "constant target")
    losses, everyone = torch.zeros(estimate.n), torch.arange(estimate.n)
    return replace(estimate, value=0.0, note="one class only", blocks=blocks(losses, everyone, estimate.n))


def decoder(measure: str, variable: Variable, targets: Targets, search: Search) -> "Decoder":
    """What decodes such a variable: numbers by ridge regression, classes by logistic regression."""
    if isinstance(variable, Numbers):
        return _OfNumbers(measure, variable, targets, search)
    return _OfClasses(measure, variable, targets, search)


class Decoder(ABC):
    """A variable, and how it is decoded from the features of a kernel.

    comparable: whether what `screen` says of two kernels can be compared as the reported losses can.
    """

    comparable: bool

    def __init__(self, measure: str, variable: Variable, targets: Targets, search: Search) -> None:
        self.measure, self.variable, self.targets, self.search = measure, variable, targets, search

    @abstractmethod
    def screen(self, some: Tensor | slice) -> Callable[[Basis], float]:
        """How badly a basis on some of the samples, by their positions, decodes them; at a small share of the price."""

    @abstractmethod
    def fit(self, basis: Basis) -> Choice:
        """The ridge with the least left-out loss."""

    @abstractmethod
    def judge(self, estimate: Estimate, choice: Choice, kernel: Kernel) -> Estimate:
        """The estimate with the value of the decoder that was chosen."""

    @abstractmethod
    def limit(self, choice: Choice, parts: list[Tensor], bases: list[Basis]) -> Limit | None:
        """The value at unlimited n, from the kernel's bases on parts of the samples."""

    def too_few(self, z: Tensor, choice: Choice) -> str:
        """A note where the samples are clearly too few for so many units; else nothing."""
        return ""

    def _groups(self, some: Tensor | slice) -> Tensor | None:
        return None if self.targets.groups is None else in_order(self.targets.groups[some])


class _OfNumbers(Decoder):
    """Ridge regression: leave-one-out squared error over that of the mean of the others."""

    variable: Numbers
    comparable = True

    def screen(self, some: Tensor | slice) -> Callable[[Basis], float]:
        values, ridges = self.variable.values, self.search.ridges
        seen = values if isinstance(some, slice) else rotate_to_rank(values[some])
        groups = self._groups(some)
        return lambda basis: min(loss_curve(basis, basis.vectors.T @ seen, ridges, groups=groups))

    def fit(self, basis: Basis) -> Choice:
        return choose_ridge(basis, self.variable.values, self.search.ridges, self.targets.groups)

    def judge(self, estimate: Estimate, choice: Choice, kernel: Kernel) -> Estimate:
        groups = self.targets.groups
        constant = constant_losses(self.variable.values, groups)
        value, stderr = normalised_error(choice.losses, constant, groups)
        return replace(
            estimate,
            value=value,
            stderr=stderr,
            ridge=choice.ridge,
            folds=estimate.n,
            edge=_edges(choice, kernel),
            note=_joined(choice.note, outlying(constant, LETTERS[self.measure]), self.targets.note),
            blocks=blocks(choice.losses, torch.arange(estimate.n), constant.sum(), groups),
        )

    def limit(self, choice: Choice, parts: list[Tensor], bases: list[Basis]) -> Limit | None:
        groups, ridges = self.targets.groups, self.search.ridges
        return limit_of_numbers(choice.losses, self.variable, groups, parts, bases, ridges)


class _OfClasses(Decoder):
    """Kernel logistic regression: mean left-out cross-entropy, nats."""

    variable: Classes
    comparable = False

    def __init__(self, measure: str, variable: Classes, targets: Targets, search: Search) -> None:
        super().__init__(measure, variable, targets, search)
        self.left_out = targets.folds(search.folds, search.seed, variable)

    def screen(self, some: Tensor | slice) -> Callable[[Basis], float]:
        seen, ridges, groups = self.variable.one_hot[:, some], self.search.ridges, self._groups(some)
        return lambda basis: float(score_losses(basis, seen, ridges, groups).mean())

    def fit(self, basis: Basis) -> Choice:
        left_out = self.left_out
        training = (left_out[None] != torch.arange(self.search.folds, device=left_out.device)[:, None]).double()
        posed = problem(basis, self.variable.one_hot, training, SOLVER_DTYPE)
        return cross_validate(posed, self.variable.labels, left_out, self.search.ridges, TOLERANCE)

    def judge(self, estimate: Estimate, choice: Choice, kernel: Kernel) -> Estimate:
        judged, alone, groups = self.left_out >= 0, int((self.left_out < 0).sum()), self.targets.groups
        told = f"alone in their class and never left out: {alone}" if alone else ""
        return replace(
            estimate,
            value=float(choice.losses.mean()),
            stderr=standard_error(choice.losses, None if groups is None else groups[judged]),
            ridge=choice.ridge,
            folds=self.search.folds,
            edge=_edges(choice, kernel),
            note=_joined(choice.note, told, self.targets.note),
            blocks=blocks(choice.losses, torch.nonzero(judged)[:, 0], len(choice.losses), groups),
        )

    def limit(self, choice: Choice, parts: list[Tensor], bases: list[Basis]) -> Limit | None:
        def losses(variable: Classes, targets: Targets, basis: Basis) -> Tensor:
            of_part = _OfClasses(self.measure, variable, targets, self.search)
            return of_part._in_place(of_part.fit(basis))

        return limit_of_classes(self._in_place(choice), self.variable, self.targets, parts, losses, bases)

    def too_few(self, z: Tensor, choice: Choice) -> str:
        return one_unit.note(z, self.variable, self.targets.groups, self.left_out, choice.losses)

    def _in_place(self, choice: Choice) -> Tensor:
        """The loss of every sample, NaN where it was never left out."""
        losses = choice.losses.new_full((len(self.left_out),), torch.nan)
        losses[self.left_out >= 0] = choice.losses
        return losses


def _described(estimate: Estimate, kernel: Kernel, view: View) -> Estimate:
    """With the kernel's bandwidth, and how Z was seen."""
    seen: dict[str, object] = {"mode": view.mode}
    if isinstance(view, SomeLandmarks):
        seen |= {"landmarks": len(view.landmarks.chosen), "unseen": kernel.unseen}
    return replace(estimate, bandwidth=kernel.bandwidth, detail=canonical(seen))


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


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

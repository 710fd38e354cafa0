"""What unlimited samples would give: values at n and at n/2, on the line a + b / n.

A decoder that learns p weights from n samples errs by about p / n more than the best one (Z-X: m D / n, Z-Y:
(K - 1)(D + 1) / 2n nats). Two disjoint halves, each decoded on its own, have twice that; the line through both values
meets 1 / n = 0 at the value without it. Sample by sample the halves' losses belong to the whole's, so that the chance
of the sample, which moves both alike, is not multiplied, and the standard error is of the combined loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.ridge import choose_ridge, constant_losses
from infoplane.measures.groups import in_order, standard_error
from infoplane.measures.targets import FEWEST_SAMPLES, Classes, Numbers, Targets, Variable

FAR = 0.25
SLIGHT = 0.1
"""Least fall, nats or a share of X's variance, that is worth a note: wide layers of 256 images fall by half of that."""

LEAST = 0.02
"""The same where little is known at all, as a share of the reference."""

CLEAR = 3.0
"""Standard errors by which the value at half of the samples must be above the value, for a note."""


@dataclass(frozen=True)
class Limit:
    """The value at unlimited n, never below 0, with its standard error over samples, and the value at n/2.

    rise_stderr: of the value at n/2 less that at n.
    """

    value: float
    stderr: float
    half: float
    rise_stderr: float

    def note(self, value: float, reference: float) -> str:
        """The note for the reader where the value at n clearly has far to fall with more samples; else nothing.

        Far: by `FAR` of the value and by `SLIGHT`; or by `FAR` of what it says to be known (reference - value) and by
        `LEAST`, as where one unit of thousands knows X and the value is near the reference.
        """
        far = min(max(SLIGHT, FAR * value), max(LEAST * reference, FAR * (reference - value)))
        if not (value - self.value > far and self.half - value > CLEAR * self.rise_stderr):
            return ""
        return f"too few samples for this decoder: {self.half:.3g} with half of them, {self.value:.3g} extrapolated"


def halves(targets: Targets, variable: Variable, folds: int, seed: int) -> list[Tensor]:
    """Positions of the samples of two disjoint halves, stratified as folds are; none when they could not be decoded."""
    if targets.n < 2 * max(FEWEST_SAMPLES, folds):
        return []
    half = targets.folds(2, seed, variable).clamp(min=0)
    parts = [torch.nonzero(half == which)[:, 0] for which in range(2)]
    # samples alone in their class are all in the first half
    able = min(map(len, parts)) >= FEWEST_SAMPLES and all(
        _can_be_decoded(targets.only(part), variable.only(part), folds, seed) for part in parts
    )
    return parts if able else []


def _can_be_decoded(part: Targets, variable: Variable, folds: int, seed: int) -> bool:
    """Whether folds can be made of a half; of one class no half is told apart, and none is asked for."""
    try:
        part.folds(folds, seed, variable)
    except UserError:
        return False
    return True


def limit_of_numbers(
    losses: Tensor,
    variable: Numbers,
    groups: Tensor | None,
    parts: Sequence[Tensor],
    bases: Sequence[Basis],
    ridges: Sequence[float],
) -> Limit | None:
    """Of squared leave-one-out errors over those of the mean: losses of all samples and the bases of the parts."""
    values = variable.values
    constant = constant_losses(values, groups)
    part_losses, part_constant = torch.zeros_like(losses), torch.zeros_like(losses)
    for rows, basis in zip(parts, bases, strict=True):
        own = None if groups is None else in_order(groups[rows])
        part_losses[rows] = choose_ridge(basis, values[rows], ridges, own).losses
        part_constant[rows] = constant_losses(values[rows], own)
    if not float(part_constant.sum()) > 0:
        return None
    whole, half = float(losses.sum() / constant.sum()), float(part_losses.sum() / part_constant.sum())
    own = (losses - whole * constant) / constant.mean()
    return _limit(whole, half, own, (part_losses - half * part_constant) / part_constant.mean(), groups)


def limit_of_classes(
    losses: Tensor,
    variable: Classes,
    targets: Targets,
    parts: Sequence[Tensor],
    part_losses: Callable[[Classes, Targets, Basis], Tensor],
    bases: Sequence[Basis],
) -> Limit | None:
    """Of left-out cross-entropies, nats: losses of all samples, NaN where a sample was never left out, shape (n,).

    part_losses: the same of some samples' variable and targets, with a basis on them. None where a part has only one
    class.
    """
    half = torch.full_like(losses, torch.nan)
    for rows, basis in zip(parts, bases, strict=True):
        part = variable.only(rows)
        if not part.varies:
            return None
        half[rows] = part_losses(part, targets.only(rows), basis)
    judged = ~(losses + half).isnan()
    groups = None if targets.groups is None else targets.groups[judged]
    return _limit(float(losses.nanmean()), float(half.nanmean()), losses[judged], half[judged], groups)


def _limit(whole: float, half: float, losses: Tensor, half_losses: Tensor, groups: Tensor | None) -> Limit:
    """From both values and their losses, or deviations of these, sample by sample."""
    limit, rise = standard_error(2 * losses - half_losses, groups), standard_error(half_losses - losses, groups)
    return Limit(max(0.0, 2 * whole - half), limit, half, rise)

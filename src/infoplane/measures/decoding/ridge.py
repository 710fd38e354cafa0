"""Kernel ridge regression with exact leave-one-out errors from one eigendecomposition.

K a kernel matrix, Q an orthonormal basis of the complement of the constant vector (n x n-1), Q'KQ = V w V',
U = QV and c = ridge / (w + ridge). The residual of sample i, predicted by a decoder that was fitted without it
(centring and unpenalised intercept included), is [(U c) U'T]_i / sum_k U_ik^2 c_k. The denominator is a sum of
positive terms: the textbook's 1 - H_ii, formed by subtraction, loses all its digits when D > n and the ridge is
small, and centring with the left-out sample's own mean makes the error collapse to 0.

Where U has fewer than n - 1 columns (r features, n > r), what lies beyond them has the eigenvalue 0 and so c = 1:
with P = 1 - 11'/n - UU', numerator and denominator grow by (P T)_i and P_ii.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.left_out import constant_group_residuals, leave_groups_out
from infoplane.measures.groups import standard_error

AT_ONCE = 1 << 22
"""Residuals held at a time."""

SEARCH_DTYPE = torch.float32
"""Of the losses by which a ridge is chosen, which are not reported: what it loses is far below their own error."""

SKETCH = 256
"""Random projections of X on which a ridge is chosen, where X has more dimensions and there are many samples."""


LARGEST = 0.1
MOST_OFTEN = 25
"""A sample is outlying beyond this share of X's variance, and this many times the mean one (normal X: about 12)."""


@dataclass(frozen=True)
class Choice:
    """A decoder chosen on its left-out losses.

    losses: of every left-out sample, float64, shape (n,). ridge: ``inf`` for the constant predictor. edge:
    ``ridge:low`` when the weakest ridge on offer won. A constant predictor that wins is no edge: nothing lies beyond.
    """

    losses: Tensor
    ridge: float
    edge: str
    note: str = ""


def decades(low: float, high: float) -> list[float]:
    """Ridges from ``high`` down to ``low``, evenly spaced in the logarithm, about a decade apart."""
    steps = max(2, 1 + round(math.log10(high / low)))
    return [high * (low / high) ** (step / (steps - 1)) for step in range(steps)]


def vertex(ridges: Sequence[float], losses: Sequence[float], best: int) -> float | None:
    """The ridge at the vertex of the parabola through the best point and its two neighbours, over log ridge.

    None at an end of the grid, and where the three points do not bend upwards.
    """
    if not 0 < best < len(losses) - 1:
        return None
    left, middle, right = (math.log(ridge) for ridge in ridges[best - 1 : best + 2])
    rise_left = (losses[best - 1] - losses[best]) / (left - middle)
    rise_right = (losses[best + 1] - losses[best]) / (right - middle)
    bend = (rise_left - rise_right) / (left - right)
    if not bend > 0:
        return None
    slope = rise_left - bend * (left - middle)
    shift = -slope / (2 * bend)
    return math.exp(middle + min(max(shift, right - middle), left - middle))


def unreached(basis: Basis, targets: Tensor, projected: Tensor) -> Tensor | None:
    """P T: the part of targets T (n, p) that no function of the features can reach, shape (n, p); None without P."""
    if basis.beyond is None:
        return None
    rest = (targets - targets.mean(0)).addmm_(basis.vectors, projected, alpha=-1)
    rest[basis.beyond.near] = basis.beyond.rows @ targets
    return rest


def leave_one_out(basis: Basis, projected: Tensor, ridge: float, rest: Tensor | None = None) -> Tensor:
    """Leave-one-out residuals, shape (n, p), of targets T with ``projected`` = U'T, shape (r, p).

    rest: `unreached` of the same targets, where the basis has fewer than n - 1 vectors.
    """
    shrunk = ridge / (basis.values + ridge) if math.isfinite(ridge) else torch.ones_like(basis.values)
    residuals, shares = basis.vectors @ (shrunk[:, None] * projected), basis.vectors.square() @ shrunk
    if basis.beyond is not None and rest is not None:
        residuals += rest
        shares += basis.beyond.share
    return residuals / shares[:, None]


def _curve(basis: Basis, projected: Tensor, ridges: Sequence[float], rest: Tensor | None = None) -> Iterator[Tensor]:
    """Leave-one-out residuals ridge by ridge, some ridges at a time: shape (some, n, p), in `SEARCH_DTYPE`.

    To choose by, not to report: nothing cancels here.
    """
    grid = torch.tensor(ridges, dtype=basis.values.dtype, device=basis.values.device)[:, None]
    shrunk = (grid / (basis.values + grid)).to(SEARCH_DTYPE)
    vectors, projected = basis.vectors.to(SEARCH_DTYPE), projected.to(SEARCH_DTYPE)
    left_out = shrunk @ vectors.square().T
    at_once = max(1, AT_ONCE // (projected if rest is None else rest).numel())
    if basis.beyond is not None and rest is not None:
        left_out += basis.beyond.share
        rest = rest.to(SEARCH_DTYPE)
    for some, shares in zip(shrunk.split(at_once), left_out.split(at_once), strict=True):
        residuals = vectors @ (some.T[:, :, None] * projected[:, None]).flatten(1)
        residuals = residuals.view(len(vectors), len(some), -1).transpose(0, 1)
        yield (residuals if rest is None else residuals + rest) / shares[:, :, None]


def loss_curve(
    basis: Basis,
    projected: Tensor,
    ridges: Sequence[float],
    rest: Tensor | None = None,
    groups: Tensor | None = None,
) -> list[float]:
    """Sum of squared leave-one-out residuals at every ridge, in `SEARCH_DTYPE`; with groups, these are left out."""
    if groups is not None:
        return [float(leave_groups_out(basis, projected, one, groups, rest).square().sum()) for one in ridges]
    return [float(one) for some in _curve(basis, projected, ridges, rest) for one in some.square().sum((1, 2))]


def constant_losses(inputs: Tensor, groups: Tensor | None = None) -> Tensor:
    """Squared leave-one-out error of the mean of the others, shape (n,); with groups, of the other groups."""
    n = len(inputs)
    if groups is not None:
        return constant_group_residuals(inputs, groups).square_().sum(1)
    return (inputs - inputs.mean(0)).square_().sum(1) * (n / (n - 1)) ** 2


def normalised_error(losses: Tensor, constant: Tensor, groups: Tensor | None = None) -> tuple[float, float]:
    """Left-out squared losses over those of the constant predictor, and the standard error over samples, or groups.

    The error is of a ratio of two means over the same samples (delta method). losses, constant, groups: shape (n,).
    """
    value = float(losses.sum() / constant.sum())
    return value, standard_error((losses - value * constant) / constant.mean(), groups)


def outlying(constant: Tensor, name: str = "X") -> str:
    """A note where one sample is much of a variable's variance, as under heavy tails: the standard error is too small.

    constant: squared errors of the constant predictor, shape (n,). name: the variable's.
    """
    share = float(constant.max() / constant.sum())
    far = share > max(LARGEST, MOST_OFTEN / len(constant))
    return f"one sample is {share:.0%} of {name}'s variance: the value depends on few samples" if far else ""


def choose_ridge(basis: Basis, inputs: Tensor, ridges: Sequence[float], groups: Tensor | None = None) -> Choice:
    """The ridge with the least leave-one-out error: the best of a descending grid, then one parabolic step.

    groups: ids from 0 on, shape (n,), of samples that are left out together. With explicit features, for many samples,
    inputs of more than `SKETCH` dimensions are judged by random projections, which keep the order of the ridges'
    errors; the errors of the one that is chosen are those of the whole inputs.
    """
    few = basis.beyond is not None
    seen = inputs
    if few and inputs.shape[1] > SKETCH:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (inputs.shape[1], SKETCH))
        seen = inputs @ torch.as_tensor(signs, device=inputs.device)
    projected = basis.vectors.T @ seen
    rest = unreached(basis, seen, projected)
    sums = loss_curve(basis, projected, ridges, rest, groups)
    best = min(range(len(sums)), key=sums.__getitem__)
    tried = [ridges[best]]
    if (between := vertex(ridges, sums, best)) is not None:
        better = not few or loss_curve(basis, projected, [between], rest, groups)[0] < sums[best]
        tried = [between] if few and better else tried if few else [*tried, between]
    candidates = [Choice(constant_losses(inputs, groups), math.inf, "")]
    for ridge in tried:
        edge = "ridge:low" if ridge == ridges[-1] else ""
        if groups is not None:
            whole = basis.vectors.T @ inputs
            residuals = leave_groups_out(basis, whole, ridge, groups, unreached(basis, inputs, whole))
            losses = residuals.square_().sum(1)
        elif few:
            losses = squared_losses(basis, inputs, ridge)
        else:
            losses = leave_one_out(basis, projected, ridge).square().sum(1)
        candidates.append(Choice(losses, ridge, edge))
    return min(candidates, key=lambda choice: float(choice.losses.sum()))


def squared_losses(basis: Basis, targets: Tensor, ridge: float) -> Tensor:
    """Squared leave-one-out residuals of targets of shape (n, p), shape (n,), some columns at a time.

    For a basis with fewer than n - 1 vectors, where T - U (1 - c) U'T takes one product less than c U'T and P T.
    """
    beyond = basis.beyond
    assert beyond is not None
    shrunk = ridge / (basis.values + ridge)
    shares = basis.vectors.square() @ shrunk + beyond.share
    losses = torch.zeros_like(shares)
    for columns in targets.split(max(1, AT_ONCE // len(targets)), 1):
        inside = basis.vectors.T @ columns
        residuals = columns - columns.mean(0)
        residuals -= basis.vectors @ ((1 - shrunk)[:, None] * inside)
        near = basis.vectors[beyond.near] @ (shrunk[:, None] * inside)
        residuals[beyond.near] = near + beyond.rows @ columns
        losses += (residuals / shares[:, None]).square_().sum(1)
    return losses


def score_losses(basis: Basis, one_hot: Tensor, ridges: Sequence[float], groups: Tensor | None = None) -> Tensor:
    """Cross-entropy of softmax(a S), S the leave-one-out scores of ridge regression on labels, nats, shape (n,).

    At the ridge and a = 1, 2, 4, ... 32 that make it least. Biased up, so it only screens bandwidths for the
    logistic regression, whose order it gives at a small share of the price. one_hot: shape (K, n).
    """
    labels = one_hot.T
    projected = basis.vectors.T @ labels
    rest = unreached(basis, labels, projected)
    if groups is None:
        left_out = torch.cat(list(_curve(basis, projected, ridges, rest))).double()
    else:
        left_out = torch.stack([leave_groups_out(basis, projected, one, groups, rest) for one in ridges])
    scores = labels - left_out
    own = (scores * labels).sum(2)
    powers, found = scores.exp(), []
    for sharpness in (1, 2, 4, 8, 16, 32):
        losses = powers.sum(2).log() - sharpness * own
        found.append(losses[losses.mean(1).argmin()])
        powers = powers.square()
    return min(found, key=lambda losses: float(losses.mean()))

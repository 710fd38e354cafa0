"""Multinomial kernel logistic regression, cross-validated: every fold of every ridge is really fitted.

In the eigenbasis of the kernel, features = sqrt(w) U' (r x n), the model is softmax(W features + b) with penalty
ridge/2 |W|^2 and a free intercept b; a fold's solution lies in the span of its own samples' features and so in
this one. The Hessian is close to diagonal here: its W part is about w_k s + ridge, s the mean of p (1 - p). That
diagonal preconditions conjugate gradients. Logits are linear in W, so the exact line search costs no matrix
product, and all folds share one pair of products per iteration.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.ridge import Choice, vertex
from infoplane.measures.decoding.side_by_side import together

NUMERICAL_RANK = 1e-10
"""Eigenvalues below this share of the largest are left out: rounding errors of the eigendecomposition."""

AHEAD = 1.0
"""From one ridge to the next, W starts this many of the last steps further on."""

FLAT_ENOUGH = 0.25
"""A line search ends when the slope along its direction has fallen to this share."""

FLATTEST = 1e-4
"""Least mean of p (1 - p) that the preconditioner believes: where all p are 0 or 1 it would leap."""

MOST_ITERATIONS = 200
MOST_TRIES = 20


@dataclass(frozen=True)
class Problem:
    """The same samples and features for P folds; in a stack of problems, a dimension more in front of every shape.

    values: w and, for the intercept, n; shape (r + 1,). features: sqrt(w) U' and a row of ones, shape (r + 1, n).
    one_hot: labels, shape (K, n). training: 1 where a fold fits a sample, 0 where it holds it out, shape (P, n).
    """

    values: Tensor
    features: Tensor
    one_hot: Tensor
    training: Tensor


@dataclass(frozen=True)
class Fit:
    """Solutions for P folds: weights, the intercepts last, shape (P, K, r + 1); logits, shape (P, K, n)."""

    weights: Tensor
    logits: Tensor
    converged: bool


def problem(basis: Basis, one_hot: Tensor, training: Tensor, dtype: torch.dtype) -> Problem:
    """Features from a kernel's eigenbasis, in the solver's dtype."""
    kept = basis.values > NUMERICAL_RANK * basis.values[-1]
    values = basis.values[kept]
    features = (basis.vectors[:, kept] * values.sqrt()).T
    n = features.shape[1]
    values = torch.cat([values, values.new_full((1,), n)])
    features = torch.cat([features, features.new_ones(1, n)])
    return Problem(values.to(dtype), features.to(dtype), one_hot.to(dtype), training.to(dtype))


def constant_fit(problem: Problem) -> Fit:
    """The constant predictors: no weights, intercepts from each fold's class frequencies."""
    counts = problem.training @ problem.one_hot.T
    intercepts = (counts / counts.sum(1, keepdim=True)).log()
    weights = counts.new_zeros(*counts.shape, len(problem.values))
    weights[:, :, -1] = intercepts
    return Fit(weights, intercepts[:, :, None].expand(-1, -1, problem.features.shape[1]), True)


def fit(problem: Problem, ridge: float, start: Fit, tolerance: float) -> Fit:
    """Minimise, per fold, the sum over its training samples of the cross-entropy + ridge/2 |W|^2.

    tolerance: on half the preconditioned squared gradient per training sample, about
    the objective's distance from its minimum in nats; docs/measures.md has what it does to the measured value.
    """
    return together(_fits, (problem, ridge, start, tolerance))


def _fits(asked: list[tuple[Problem, float, Fit, float]]) -> list[Fit]:
    """Fits of problems of any shapes, those of as many folds, classes and samples in one call."""
    found: list[Fit | None] = [None] * len(asked)
    alike: dict[object, list[int]] = {}
    for place, (problem, _, start, tolerance) in enumerate(asked):
        alike.setdefault((start.logits.shape, problem.features.dtype, tolerance), []).append(place)
    for places in alike.values():
        problems, ridges, starts, tolerances = zip(*(asked[place] for place in places), strict=True)
        strengths = torch.tensor(ridges, dtype=problems[0].values.dtype, device=problems[0].values.device)
        if len(places) == 1:
            weights, logits, converged = _minimise(problems[0], strengths[0], starts[0], tolerances[0])
            found[places[0]] = Fit(weights, logits, bool(converged))
            continue
        stacked, start = _stacked(problems, starts)
        weights, logits, converged = _minimise(stacked, strengths, start, tolerances[0])
        for index, (place, one) in enumerate(zip(places, problems, strict=True)):
            own = torch.cat([weights[index, :, :, : len(one.values) - 1], weights[index, :, :, -1:]], 2)
            found[place] = Fit(own, logits[index], bool(converged[index]))
    return [one for one in found if one is not None]


def _stacked(problems: Sequence[Problem], starts: Sequence[Fit]) -> tuple[Problem, Fit]:
    """Problems of different ranks r as one, with a batch dimension in front: features that are 0 fill them up."""
    columns = max(len(problem.values) for problem in problems)

    def filled(values: Tensor, dim: int) -> Tensor:
        """With zeros before the last entry, that of the intercept."""
        missing = columns - values.shape[dim]
        own, intercept = values.split([values.shape[dim] - 1, 1], dim)
        zeros = own.new_zeros(*(missing if axis == dim else size for axis, size in enumerate(values.shape)))
        return torch.cat([own, zeros, intercept], dim)

    problem = Problem(
        torch.stack([filled(one.values, 0) for one in problems]),
        torch.stack([filled(one.features, 0) for one in problems]),
        torch.stack([one.one_hot for one in problems]),
        torch.stack([one.training for one in problems]),
    )
    weights = torch.stack([filled(start.weights, 2) for start in starts])
    return problem, Fit(weights, torch.stack([start.logits for start in starts]), True)


def _minimise(problem: Problem, ridge: Tensor, start: Fit, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, logits and whether all folds converged, of problems with any batch dimensions (...) in front.

    ridge: shape (...). A problem is left as it is from where its own folds have converged, so that its solution does
    not depend on what it is stacked with. On the CPU in NumPy, whose calls cost less than half of PyTorch's on arrays
    as small as these.
    """
    given = (
        problem.values, problem.features, problem.one_hot, problem.training, ridge, start.weights, start.logits
    )  # fmt: skip
    if ridge.device.type != "cpu":
        return _descend(torch, tolerance, *given)
    weights, logits, converged = _descend(np, tolerance, *(one.numpy() for one in given))
    return torch.as_tensor(weights), torch.as_tensor(logits), torch.as_tensor(converged)


def _descend(
    xp: Any,
    tolerance: float,
    values: Any,
    features: Any,
    one_hot: Any,
    training: Any,
    ridge: Any,
    weights: Any,
    logits: Any,
) -> tuple[Any, Any, Any]:
    """Preconditioned conjugate gradients on the arrays of a `Problem`, of the library xp (NumPy or PyTorch)."""
    folds, classes, columns = weights.shape[-3:]
    rows = (*weights.shape[:-3], folds * classes)
    n = features.shape[-1]
    penalty = xp.zeros_like(values) + ridge[..., None]
    penalty[..., -1] = 0
    penalty, values = penalty[..., None, None, :], values[..., None, None, :]
    target = one_hot[..., None, :, :] * training[..., None, :]
    enough = 2 * tolerance * training.sum(-1)
    tiny = float(xp.finfo(features.dtype).tiny)
    transposed = features.swapaxes(-1, -2)
    p = _softmax(logits, xp)
    direction = last = weights
    last_square = enough
    converged = xp.zeros_like(ridge) > 0
    for iteration in range(MOST_ITERATIONS):
        residual = p * training[..., None, :] - target
        gradient = (residual.reshape(*rows, n) @ transposed).reshape(*rows[:-1], folds, classes, columns)
        gradient += penalty * weights
        curvature = ((p - p * p) * training[..., None, :]).mean(-1).clip(min=FLATTEST)
        scaled = gradient / (penalty + curvature[..., None] * values)
        square = (gradient * scaled).sum((-2, -1))
        converged = (square < enough).all(-1)
        if bool(converged.all()):
            break
        if iteration == 0:
            direction = -scaled
        else:
            # Polak-Ribiere, restarted where it would turn back or climb
            turn = (square - (last * scaled).sum((-2, -1))) / last_square.clip(min=tiny)
            direction = turn.clip(min=0)[..., None, None] * direction - scaled
            climbs = (direction * gradient).sum((-2, -1)) >= 0
            if bool(climbs.any()):
                direction = xp.where(climbs[..., None, None], -scaled, direction)
        last, last_square = gradient, square
        along = (direction.reshape(*rows, columns) @ features).reshape(*rows[:-1], folds, classes, n)
        penalised = penalty * direction
        known = (penalised * weights).sum((-2, -1)) - (target * along).sum((-2, -1))
        bend = (penalised * direction).sum((-2, -1))
        step, logits, p = _line_search(p, logits, along, training, known, bend, converged, xp)
        weights = weights + step[..., None, None] * direction
    return weights, logits, converged


def _softmax(logits: Any, xp: Any) -> Any:
    """Probabilities over the classes, the last dimension but one."""
    powers = xp.exp(logits - xp.amax(logits, axis=-2, keepdims=True))
    powers /= powers.sum(-2, keepdims=True)
    return powers


def _line_search(
    p: Any, logits: Any, along: Any, training: Any, known: Any, bend: Any, still: Any, xp: Any
) -> tuple[Any, Any, Any]:
    """The step per fold that minimises the objective along a direction, with the logits and p that it leads to.

    Newton's method in one dimension, bisecting where it would leave the bracket; a problem's search ends when the
    slopes of its folds have fallen to `FLAT_ENOUGH` of what they were. known + step * bend: the part of the slope that
    is linear in the step. still: problems whose step is 0.
    """
    tiny = float(xp.finfo(known.dtype).tiny)
    step = low = xp.zeros_like(known)
    high = step + math.inf
    moved, allowed = logits, None
    for _ in range(MOST_TRIES):
        weighted = p * along
        mean = weighted.sum(-2)
        slope = (mean * training).sum(-1) + known + step * bend
        if allowed is None:
            allowed = abs(slope) * FLAT_ENOUGH
        else:
            still = still | (abs(slope) <= allowed).all(-1)
            if bool(still.all()):
                break
        low, high = xp.where(slope < 0, step, low), xp.where(slope < 0, high, step)
        spread = (weighted * along).sum(-2) - mean * mean
        newton = step - slope / ((spread * training).sum(-1) + bend).clip(min=tiny)
        inside = (newton > low) & (newton < high)
        middle = xp.where(xp.isinf(high), 2 * low, (low + high) / 2)
        step = xp.where(still[..., None], step, xp.where(inside, newton, middle))
        moved = logits + step[..., None, None] * along
        p = _softmax(moved, xp)
    return step, moved, p


def left_out_losses(logits: Tensor, labels: Tensor, folds: Tensor) -> Tensor:
    """Cross-entropy in nats, never clipped, of every sample under the decoder of the fold that held it out.

    Shape (number of samples that some fold left out,), float64.
    """
    rows = torch.nonzero(folds >= 0)[:, 0]
    own = logits[folds[rows], :, rows].double()
    return own.logsumexp(1) - own.gather(1, labels[rows, None])[:, 0]


def cross_validate(
    problem: Problem, labels: Tensor, folds: Tensor, ridges: Sequence[float], tolerance: float
) -> Choice:
    """The ridge with the least left-out cross-entropy: down a grid until it has passed, then one parabolic step.

    While no ridge beats the constant predictor, only clear overfitting ends the search: what is to be learnt may be
    out of a strong ridge's reach (the parity of bits under a wide kernel).
    """
    start = before = constant_fit(problem)
    constant = Choice(left_out_losses(start.logits, labels, folds), math.inf, "")
    nothing = float(constant.losses.mean())
    tried: list[tuple[Fit, Choice]] = []
    means: list[float] = []
    since = best = 0
    for ridge in ridges:
        before, start = start, fit(problem, ridge, _extrapolate(before, start), tolerance)
        tried.append((start, _choice(start, labels, folds, ridge)))
        means.append(float(tried[-1][1].losses.mean()))
        best = min(range(len(means)), key=means.__getitem__)
        since = len(means) - 1 - best
        overfitted = since > 0 and means[-1] > 1.05 * min(means[best], nothing)
        if overfitted or (since == 2 and means[best] < nothing):
            break
    chosen_fit, chosen = tried[best]
    if best == len(ridges) - 1:
        chosen = Choice(chosen.losses, chosen.ridge, "ridge:low", chosen.note)
    candidates = [constant, chosen]
    if (between := vertex(ridges, means, best)) is not None:
        candidates.append(_choice(fit(problem, between, chosen_fit, tolerance), labels, folds, between))
    return min(candidates, key=lambda choice: float(choice.losses.mean()))


def _extrapolate(before: Fit, now: Fit) -> Fit:
    """Where the path over ridges leads next, going on as it came."""
    weights = torch.lerp(before.weights, now.weights, 1 + AHEAD)
    return Fit(weights, torch.lerp(before.logits, now.logits, 1 + AHEAD), True)


def _choice(fitted: Fit, labels: Tensor, folds: Tensor, ridge: float) -> Choice:
    note = "" if fitted.converged else "logistic regression not converged"
    return Choice(left_out_losses(fitted.logits, labels, folds), ridge, "", note)

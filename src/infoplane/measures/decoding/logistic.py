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

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis
from infoplane.measures.decoding.ridge import Choice, vertex

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
    """The same samples and features for P folds.

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
    features, training = problem.features, problem.training[:, None]
    columns, n = features.shape
    folds, classes, _ = start.weights.shape
    penalty = torch.full_like(problem.values, ridge)
    penalty[-1] = 0
    target = problem.one_hot * training
    enough = 2 * tolerance * problem.training.sum(1)
    tiny = torch.finfo(features.dtype).tiny
    weights, logits = start.weights, start.logits
    p = logits.softmax(1)
    direction = last = last_square = torch.zeros_like(weights)
    for iteration in range(MOST_ITERATIONS):
        residual = torch.addcmul(-target, p, training)
        gradient = (residual.view(-1, n) @ features.T).view(folds, classes, columns)
        gradient.addcmul_(penalty, weights)
        curvature = torch.addcmul(p, p, p, value=-1).mul_(training).mean(2).clamp_(min=FLATTEST)
        scaled = gradient / torch.addcmul(penalty, curvature[:, :, None], problem.values)
        square = (gradient * scaled).sum((1, 2))
        if bool((square < enough).all()):
            return Fit(weights, logits, True)
        if iteration == 0:
            direction = -scaled
        else:
            # Polak-Ribiere, restarted where it would turn back or climb
            turn = (square - (last * scaled).sum((1, 2))) / last_square.clamp(min=tiny)
            direction = torch.addcmul(-scaled, turn.clamp_(min=0)[:, None, None], direction)
            climbs = (direction * gradient).sum((1, 2)) >= 0
            direction = torch.where(climbs[:, None, None], -scaled, direction)
        last, last_square = gradient, square
        along = (direction.view(-1, columns) @ features).view(folds, classes, n)
        known = (penalty * weights * direction).sum((1, 2)) - (target * along).sum((1, 2))
        bend = (penalty * direction.square()).sum((1, 2))
        step, logits, p = _line_search(p, logits, along, problem.training, known, bend)
        weights = torch.addcmul(weights, step[:, None, None], direction)
    return Fit(weights, logits, False)


def _line_search(
    p: Tensor, logits: Tensor, along: Tensor, training: Tensor, known: Tensor, bend: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The step per fold that minimises the objective along a direction, with the logits and p that it leads to.

    Newton's method in one dimension, bisecting where it would leave the bracket; it ends when the slope has fallen
    to `FLAT_ENOUGH` of what it was. known + step * bend: the part of the slope that is linear in the step.
    """
    tiny = torch.finfo(known.dtype).tiny
    step = low = torch.zeros_like(known)
    high = torch.full_like(known, torch.inf)
    moved, allowed = logits, None
    for _ in range(MOST_TRIES):
        weighted = p * along
        mean = weighted.sum(1)
        slope = (mean * training).sum(1) + known + step * bend
        if allowed is None:
            allowed = slope.abs() * FLAT_ENOUGH
        elif bool((slope.abs() <= allowed).all()):
            break
        low, high = torch.where(slope < 0, step, low), torch.where(slope < 0, high, step)
        rise = ((((weighted * along).sum(1) - mean.square()) * training).sum(1) + bend).clamp(min=tiny)
        newton = step - slope / rise
        inside = (newton > low) & (newton < high)
        middle = torch.where(high.isinf(), 2 * low, (low + high) / 2)
        step = torch.where(inside, newton, middle)
        moved = torch.addcmul(logits, step[:, None, None], along)
        p = moved.softmax(1)
    return step, moved, p


def held_out_losses(logits: Tensor, labels: Tensor, folds: Tensor) -> Tensor:
    """Cross-entropy in nats, never clipped, of every sample under the decoder of the fold that held it out.

    Shape (number of samples that some fold held out,), float64.
    """
    rows = torch.nonzero(folds >= 0)[:, 0]
    own = logits[folds[rows], :, rows].double()
    return own.logsumexp(1) - own.gather(1, labels[rows, None])[:, 0]


def cross_validate(
    problem: Problem, labels: Tensor, folds: Tensor, ridges: Sequence[float], tolerance: float
) -> Choice:
    """The ridge with the least held-out cross-entropy: down a grid until it has passed, then one parabolic step.

    While no ridge beats the constant predictor, only clear overfitting ends the search: what is to be learnt may be
    out of a strong ridge's reach (the parity of bits under a wide kernel).
    """
    start = before = constant_fit(problem)
    constant = Choice(held_out_losses(start.logits, labels, folds), math.inf, "")
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
    return Choice(held_out_losses(fitted.logits, labels, folds), ridge, "", note)

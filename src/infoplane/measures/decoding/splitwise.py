"""Linear decoders for many train/validation/test splits at once: what stands beside a decoder network.

Ridge regression uses that for any set S of left-out samples the residuals of a refit without S are
(M_SS)^-1 (M T)_S, where M takes targets T to the residuals of the fit on all samples: leave-one-out's formula with a
block in place of a number. So no split is refitted.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from infoplane.measures.decoding.cross_fitting import Splits
from infoplane.measures.decoding.gram import Basis, centred_eigenbasis, standardised_gram
from infoplane.measures.decoding.logistic import Fit, Problem, constant_fit, fit, problem

RIDGES = tuple(10.0**exponent for exponent in range(2, -8, -1))
"""Tried for both, descending; in units of the mean squared norm of a sample."""

RISES = 1.05
"""The descent of logistic regression's ridges ends when every loss has passed its least by this factor, or twice."""

ABSENT = 0.5
"""Samples that a class is taken to have at least, so that one that is missing from a training part has a logarithm."""

TOLERANCE = 1e-5
"""Of the logistic regression, nats per training sample."""


@dataclass(frozen=True)
class Components:
    """Principal components of standardised activations.

    basis: eigenvalues of ZZ' / features, ascending, and their vectors. complete: whether the vectors span all that is
    orthogonal to the constant vector (n - 1 of them), or only what has an eigenvalue.
    """

    basis: Basis
    complete: bool

    def largest(self, count: int) -> Tensor:
        """The first principal components, their mean square 1, float32, shape (n, count); 0 where there are no more."""
        values, vectors = self.basis.values[-count:], self.basis.vectors[:, -count:]
        kept = values > 1e-10 * values[-1]
        scaled = vectors[:, kept] * values[kept].sqrt()
        found = torch.zeros(len(vectors), count, device=vectors.device)
        found[:, : scaled.shape[1]] = scaled.flip(1) / scaled.square().mean().sqrt()
        return found


def principal_components(z: Tensor) -> Components:
    """Of standardised activations, shape (n, d); from the smaller of the Gram and the covariance matrix."""
    n, d = z.shape
    if 2 * d > n:
        return Components(centred_eigenbasis(standardised_gram(z).products), True)
    z = z.double()
    z = z - z.mean(0)
    values, directions = torch.linalg.eigh((z.T @ z / d).cpu())
    kept = values > d * torch.finfo(values.dtype).eps * values[-1]
    values, directions = values[kept].to(z.device), directions[:, kept].to(z.device)
    return Components(Basis(values, z @ directions / (values * d).sqrt()), False)


def ridge_predictions(components: Components, inputs: Tensor, splits: Splits) -> list[Tensor]:
    """What ridge regression makes of each split's validation and then its test samples, each of shape (V + tests, p).

    Of the validation samples, when fitted on training samples; the ridge is the best of these. Of the test samples,
    when fitted with that ridge on training and validation samples. inputs: shape (n, p), float64.
    """
    projected = components.basis.vectors.T @ inputs
    best = [math.inf] * len(splits)
    stopping = splits.validation.shape[1]
    found = [inputs.new_zeros(stopping + len(splits.tests(split)), inputs.shape[1]) for split in range(len(splits))]
    chosen = [RIDGES[0]] * len(splits)
    for ridge in RIDGES:
        residuals = _residuals(components, inputs, projected, ridge)
        for split in range(len(splits)):
            rows = torch.cat([splits.validation[split], splits.tests(split)])
            left_out = _left_out(components, residuals, ridge, rows)[:stopping]
            if (loss := float(left_out.square().sum())) < best[split]:
                best[split], chosen[split] = loss, ridge
                found[split][:stopping] = inputs[splits.validation[split]] - left_out
    for ridge in set(chosen):
        residuals = _residuals(components, inputs, projected, ridge)
        for fold, rows in enumerate(splits.test):
            refitted = inputs[rows] - _left_out(components, residuals, ridge, rows)
            for split in range(fold * splits.repeats, (fold + 1) * splits.repeats):
                if chosen[split] == ridge:
                    found[split][stopping:] = refitted
    return found


def _residuals(components: Components, inputs: Tensor, projected: Tensor, ridge: float) -> Tensor:
    """Of the fit on all samples, M T."""
    basis = components.basis
    if components.complete:
        return basis.vectors @ ((ridge / (basis.values + ridge))[:, None] * projected)
    return inputs - inputs.mean(0) - basis.vectors @ ((basis.values / (basis.values + ridge))[:, None] * projected)


def _left_out(components: Components, residuals: Tensor, ridge: float, rows: Tensor) -> Tensor:
    """Residuals of these samples when they are left out together; NaN where rounding forbids to say."""
    basis, vectors = components.basis, components.basis.vectors[rows]
    if components.complete:
        block = (vectors * (ridge / (basis.values + ridge))) @ vectors.T
    else:
        block = (vectors * (-basis.values / (basis.values + ridge))) @ vectors.T - 1 / len(residuals)
        block.diagonal().add_(1)
    factor, failed = torch.linalg.cholesky_ex(block)
    solved = torch.cholesky_solve(residuals[rows], factor)
    return torch.where(failed == 0, solved, torch.nan)


def logistic_predictions(components: Components, one_hot: Tensor, splits: Splits) -> Tensor:
    """Logits by logistic regression, shape (splits, n, K), of use for each split's validation and test samples.

    Of the validation samples, when fitted on training samples; the ridge is the best of these, from strong to weak
    until all splits have passed their best. Of all others, when fitted with that ridge on training and validation.
    """
    n = one_hot.shape[1]
    fitted = torch.zeros(len(splits), n, dtype=one_hot.dtype, device=one_hot.device).scatter_(1, splits.training, 1)
    posed = problem(components.basis, one_hot, fitted, torch.float32)
    start = _present(constant_fit(posed), posed)
    rows = splits.validation[:, None].expand(-1, len(one_hot), -1)
    truth = one_hot.argmax(0)[splits.validation]
    best = torch.full((len(splits),), math.inf, device=one_hot.device)
    chosen, since = torch.zeros_like(best), torch.zeros_like(best)
    weights, logits = start.weights, start.logits
    for ridge in RIDGES:
        start = fit(posed, ridge, start, TOLERANCE)
        losses = functional.cross_entropy(start.logits.gather(2, rows), truth, reduction="none").mean(1)
        better = losses < best
        since = torch.where(better, 0, since + 1)
        best, chosen = torch.where(better, losses, best), torch.where(better, ridge, chosen)
        weights = torch.where(better[:, None, None], start.weights, weights)
        logits = torch.where(better[:, None, None], start.logits, logits)
        if bool(((since >= 2) | (losses > RISES * best)).all()):
            break
    everything = posed.training.scatter(1, splits.validation, 1)
    found = logits.clone()
    for ridge in chosen.unique().tolist():
        own = chosen == ridge
        part = replace(posed, training=everything[own])
        found[own] = fit(part, ridge, Fit(weights[own], logits[own], True), TOLERANCE).logits
    return found.scatter(2, rows, logits.gather(2, rows)).transpose(1, 2)


def _present(start: Fit, posed: Problem) -> Fit:
    """The constant predictors, with a logarithm for classes that are missing from a training part."""
    intercepts = (posed.training @ posed.one_hot.T).clamp(min=ABSENT).log()
    intercepts = intercepts - intercepts.logsumexp(1, keepdim=True)
    start.weights[:, :, -1] = intercepts
    return Fit(start.weights, intercepts[:, :, None].expand_as(start.logits), True)

"""Describe the health of a representation: surviving neurons, intensity over depth, means, variances, rank, similarity.

All functions take activations z of shape (n, ...), samples first, any float dtype, and sum in float64. Feature maps
(n, C, H, W) have their channels on axis 1, tokens (n, T, D) on the last axis; of vectors (n, D) each unit is a channel.
"""

import itertools
import math

import torch
from torch import Tensor

from infoplane.measures.anatomy import cosines
from infoplane.measures.decoding.gram import BLOCK, varying_features

RESIDUAL_VARIANCE = 3.0
"""Variance of a residual addition's responses in units of its shortcut's, as `predicted_survivors` takes it."""

INDEPENDENT = 1e-10
"""Dependence of a representation on itself, relative to its size, below which it does not vary."""


def surviving_share(z: Tensor) -> float:
    """Share of the responses of all units to all samples that are above 0: the neurons that survive a ReLU."""
    return float((z > 0).double().mean())


def active_share(z: Tensor) -> float:
    """Share of the units that vary over the samples, up to float32 rounding."""
    return float(varying_features(z.flatten(1)).double().mean())


def cantelli_bound(mean: float, variance: float) -> float:
    """Least share of a distribution that lies above 0: mean^2 / (mean^2 + variance), 0 where the mean is not positive.

    The one-sided Chebyshev inequality (Cantelli), which holds for every distribution.
    """
    if mean <= 0:
        return 0.0
    return mean**2 / (mean**2 + variance)


def predicted_survivors(mean: float, variance: float) -> float:
    """Least share of neurons that survive a residual addition, from the mean and variance of its shortcut.

    mean^2 / (mean^2 + 3 variance): the branch adds mean 0 and twice the variance. A layer without a shortcut has mean
    0, and so the bound 0.
    """
    return cantelli_bound(mean, RESIDUAL_VARIANCE * variance)


def channels(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel over samples and positions, float64, shape (C,)."""
    z = z.movedim(1, -1) if z.ndim == 4 else z
    axes = list(range(z.ndim - 1))
    mean = z.mean(axes, dtype=torch.float64)
    parts = z.split(max(1, BLOCK // max(1, z[0].numel())))
    squares = torch.stack([(part.double() - mean).square().sum(axes) for part in parts]).sum(0)
    return mean, squares * len(mean) / z.numel()


def mean_and_variance(z: Tensor) -> tuple[float, float]:
    """Of all responses of all units together."""
    means, variances = channels(z)
    return float(means.mean()), float(variances.mean() + means.var(correction=0))


def intensity(z: Tensor) -> float:
    """Mean |z|."""
    return float(z.abs().mean(dtype=torch.float64))


def spatial_deviation(z: Tensor) -> float | None:
    """Standard deviation over positions (pixels or tokens), averaged over samples and channels; None for vectors."""
    if z.ndim == 4:
        return float(z.flatten(2).double().std(2, correction=0).mean())
    if z.ndim == 3:
        return float(z.double().std(1, correction=0).mean())
    return None


def mean_cosine(one: Tensor, other: Tensor) -> float | None:
    """Mean cosine of the angle between two activations of the same samples; None where one is zero for all samples."""
    angles = cosines(one, other)
    return float(angles.mean()) if len(angles) else None


def response_range(z: Tensor) -> float:
    """Largest less smallest response, averaged over samples."""
    flat = z.flatten(1)
    return float((flat.amax(1).double() - flat.amin(1).double()).mean())


def last_to_max(intensities: list[float]) -> float | None:
    """Intensity of the deepest addition over the largest of all; None where all are 0."""
    largest = max(intensities)
    return intensities[-1] / largest if largest > 0 else None


def largest_step(intensities: list[float]) -> tuple[float, int] | None:
    """The ratio of one intensity to the one before that is farthest from 1, and its position.

    Below 1: a drop. None for fewer than two, and where one is 0.
    """
    if len(intensities) < 2 or min(intensities) <= 0:
        return None
    ratios = [later / earlier for earlier, later in itertools.pairwise(intensities)]
    position = max(range(len(ratios)), key=lambda i: abs(math.log(ratios[i])))
    return ratios[position], position + 1


def centred_products(z: Tensor) -> Tensor:
    """Inner products of samples less their mean, float64, shape (n, n)."""
    flat = z.flatten(1)
    found = torch.zeros(len(flat), len(flat), dtype=torch.float64, device=z.device)
    for part in flat.split(max(1, BLOCK // len(flat)), dim=1):
        values = part.double()
        values = values - values.mean(0)
        found.addmm_(values, values.T)
    return found


def spectrum(z: Tensor, products: Tensor | None = None) -> Tensor:
    """Squared singular values of the centred activations, ascending, those that are rounding errors set to 0.

    float64 on the CPU, shape (min(n, d),). products: `centred_products` of z, where they are at hand.
    """
    flat = z.flatten(1)
    if flat.shape[1] < len(flat):
        centred = flat.double() - flat.mean(0, dtype=torch.float64)
        products = centred.T @ centred
    elif products is None:
        products = centred_products(z)
    values = torch.linalg.eigvalsh(products.cpu())
    values[values < len(values) * torch.finfo(values.dtype).eps * values[-1]] = 0
    return values


def effective_rank(eigenvalues: Tensor) -> float:
    """Exponential of the entropy of the singular values' shares (Roy and Vetterli 2007); 0 where all are 0.

    eigenvalues: as `spectrum` gives them.
    """
    singular = eigenvalues[eigenvalues > 0].sqrt()
    if len(singular) == 0:
        return 0.0
    shares = singular / singular.sum()
    return math.exp(-float((shares * shares.log()).sum()))


def participation_ratio(eigenvalues: Tensor) -> float:
    """(sum of eigenvalues)^2 / sum of their squares, of the covariance; 0 where all are 0."""
    squares = float(eigenvalues.square().sum())
    return float(eigenvalues.sum()) ** 2 / squares if squares > 0 else 0.0


def matrix_entropy(eigenvalues: Tensor) -> float:
    """Entropy of the eigenvalues' shares of their sum, in nats; 0 where all are 0.

    Von Neumann's entropy of the covariance matrix divided by its trace (Giraldo et al. 2015, arXiv:1211.2459, at
    alpha = 1): log of the rank where all eigenvalues are equal.
    """
    positive = eigenvalues[eigenvalues > 0]
    if len(positive) == 0:
        return 0.0
    shares = positive / positive.sum()
    return max(0.0, -float((shares * shares.log()).sum()))


def largest_share(eigenvalues: Tensor) -> float:
    """The largest eigenvalue's share of the variance; 0 where all are 0."""
    total = float(eigenvalues.sum())
    return float(eigenvalues[-1]) / total if total > 0 else 0.0


def mean_share(z: Tensor) -> float:
    """The share of the mean squared norm that the mean activation has: 1 where all samples are alike."""
    flat = z.flatten(1)
    squares = sum(float(part.double().square().sum()) for part in flat.split(max(1, BLOCK // flat.shape[1])))
    mean = flat.mean(0, dtype=torch.float64).square().sum()
    return min(1.0, float(mean) * len(flat) / squares) if squares > 0 else 0.0


def alignment(one: Tensor, other: Tensor, unbiased: bool = True) -> float | None:
    """Linear centred kernel alignment of two representations, from their inner products, each of shape (n, n).

    Kornblith et al. 2019 (arXiv:1905.00414). With few samples of many dimensions the plain form is near 1 for any two
    representations; the unbiased one takes the estimator of Song et al. 2012 (equation 5), has the mean 0 for
    independent representations and may be negative. None where a representation does not vary, or with fewer than 4
    samples.
    """
    if len(one) < 4:
        return None
    dependence = _unbiased_dependence if unbiased else _dependence
    own = [dependence(products, products) for products in (one, other)]
    sizes = [float(products.square().sum()) for products in (one, other)]
    if any(not value > INDEPENDENT * size for value, size in zip(own, sizes, strict=True)):
        return None
    return dependence(one, other) / math.sqrt(own[0] * own[1])


def _dependence(one: Tensor, other: Tensor) -> float:
    """Hilbert-Schmidt independence criterion, up to a factor."""
    one, other = (k - k.mean(0) - k.mean(1, keepdim=True) + k.mean() for k in (one, other))
    return float((one * other).sum())


def _unbiased_dependence(one: Tensor, other: Tensor) -> float:
    """The same without bias, up to a factor."""
    n = len(one)
    one, other = (k - k.diagonal().diag() for k in (one, other))
    trace = (one * other).sum()
    sums = one.sum() * other.sum() / ((n - 1) * (n - 2))
    return float(trace + sums - 2 / (n - 2) * (one.sum(0) @ other.sum(0)))

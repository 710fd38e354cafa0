"""Bounds on I(X;Z) and I(Z;Y) of a deterministic representation with Gaussian noise added to it, nats.

Kolchinsky & Tracey, Estimating Mixture Entropy with Pairwise Distances (2017). Z + noise is a mixture of n Gaussians,
one per sample; its entropy lies between two averages over all pairs of samples (their section 4). The noise is not in
the network: its variance belongs to the definition, as bins do (Saxe et al. 2018).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.entropy import entropy_of_counts

TILE = 512
"""Samples of either side of a block of pairs: 2 MiB in float64, so that it stays in the processor's cache."""

ROUNDING = 1e-4
"""Distances are float32 only where their rounding changes no exponent by more than that; else float64."""

NEGLIGIBLE = 4.7e-10
"""Weights of the lower bound below this count as 0: their fourth power is no normal float32, and slow to compute."""


@dataclass(frozen=True)
class KdeInformation:
    """What holds of the samples' mixture, nats.

    ixz_upper, ixz_lower: I(X;Z) lies between. izy_upper, izy_lower: I(Z;Y) lies between, from the bounds on H(Z) and on
    H(Z|Y) that are farthest apart. izy_of_uppers, izy_of_lowers: what the field calls its bounds, H(Z) - H(Z|Y) of two
    upper (lower) bounds, which need not bound I(Z;Y). alone: share of samples that none of the others comes near, whose
    kernels add up to less than 1/2; when it is 1, I(X;Z) is log n and says nothing of Z. variance: of the noise.
    """

    ixz_upper: float
    ixz_lower: float
    izy_upper: float
    izy_lower: float
    izy_of_uppers: float
    izy_of_lowers: float
    alone: float
    variance: float


def noise_variance(z: Tensor, variance: float, relative: bool) -> float:
    """The noise's variance per unit: as given, or that many times the mean variance of a unit of z (n, ...)."""
    return variance * float(z.flatten(1).double().var(0, correction=0).mean()) if relative else variance


def kde_information(
    z: Tensor, labels: Tensor, variance: float = 1e-3, relative: bool = False, tile: int = TILE
) -> KdeInformation:
    """Bounds on I(X;Z) and I(Z;Y), nats, of z (n, ...) with integer labels (n,); cost n^2 d, memory n d.

    Two samples at squared distance r have the weights exp(-r / 2 s) (upper) and exp(-r / 8 s) (lower), s the variance;
    the first is the fourth power of the second. relative: as in `noise_variance`. Raises `UserError` for NaN, infinity
    and distances that overflow.
    """
    flat = z.flatten(1)
    if not bool(torch.isfinite(flat).all()):
        raise UserError("the activations hold NaN or infinity, and have no distances.")
    n = len(flat)
    variance = noise_variance(flat, variance, relative)
    _, labels, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    if not variance > 0:
        return KdeInformation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, alone=0.0, variance=0.0)
    order = labels.argsort(stable=True)
    everyone, own = pair_sums(flat[order], labels[order], variance, tile)
    # (1/n) sum_i log sum_j: rows upper, lower; columns of all samples, of the own class
    means = torch.stack([everyone, own]).log().mean(2)
    upper, lower = (math.log(n) - float(mean) for mean in means[0])
    class_part = float((sizes.double() * sizes.double().log()).sum()) / n
    upper_given, lower_given = (class_part - float(mean) for mean in means[1])
    h_y = entropy_of_counts(sizes)
    return KdeInformation(
        ixz_upper=max(0.0, upper),
        ixz_lower=max(0.0, lower),
        izy_upper=max(0.0, min(h_y, upper, upper - lower_given)),
        izy_lower=max(0.0, lower - upper_given),
        izy_of_uppers=upper - upper_given,
        izy_of_lowers=lower - lower_given,
        alone=float((everyone[0] < 1.5).double().mean()),
        variance=variance,
    )


def pair_sums(z: Tensor, labels: Tensor, variance: float, tile: int = TILE) -> tuple[Tensor, Tensor]:
    """Sums over j of exp(-r_ij / 2 s) and of exp(-r_ij / 8 s): float64, each (2, n), over all j and over i's own class.

    z: (n, d), sorted by label. Only pairs i <= j are computed, a tile at a time; exp in float32, sums over tiles in
    float64: the sums are right to about 1e-6.
    """
    n = len(z)
    left, right = _exponent_factors(z, variance)
    everyone = torch.zeros(2, n, dtype=torch.float64, device=z.device)
    own = torch.zeros_like(everyone)
    classes = labels.tolist()
    for top in range(0, n, tile):
        rows = slice(top, min(n, top + tile))
        for start in range(top, n, tile):
            columns = slice(start, min(n, start + tile))
            kernel = _kernel(left[rows] @ right[columns].T, diagonal=start == top)
            apart = classes[rows.stop - 1] < classes[start]
            alike = classes[top] == classes[columns.stop - 1]
            same = None if apart or alike else labels[rows, None] == labels[columns]
            for bound in (1, 0):
                if bound == 0:
                    kernel.square_().square_()
                sums = _sums(kernel)
                _add(everyone[bound], sums, rows, columns)
                if not apart:
                    _add(own[bound], sums if same is None else _sums(kernel * same), rows, columns)
    return everyone, own


def _kernel(exponents: Tensor, diagonal: bool) -> Tensor:
    """exp in float32, with 0 for what is negligible; on the diagonal of all pairs, exactly 1."""
    kernel = exponents.float().clamp_(min=math.log(NEGLIGIBLE) - 0.1).exp_()
    if diagonal:
        kernel.fill_diagonal_(1.0)
    return torch.nn.functional.threshold(kernel, NEGLIGIBLE, 0.0, inplace=True)


def _sums(kernel: Tensor) -> tuple[Tensor, Tensor]:
    return kernel.sum(1), kernel.sum(0)


def _add(total: Tensor, sums: tuple[Tensor, Tensor], rows: slice, columns: slice) -> None:
    total[rows] += sums[0]
    if rows != columns:
        total[columns] += sums[1]


def _exponent_factors(z: Tensor, variance: float) -> tuple[Tensor, Tensor]:
    """Two matrices (n, d + 2) whose product is -r_ij / 8 s: the squared norms ride along as two more columns."""
    z = z.double()
    z = (z - z.mean(0)) / (8 * variance) ** 0.5
    norms = z.square().sum(1, keepdim=True)
    if not bool(torch.isfinite(norms).all()):
        raise UserError(f"the activations are too large beside noise of variance {variance:g} to have distances.")
    # eight roundings of eps/2 each of the greatest term, 2 |z|^2, of the exponent of the upper bound
    exact = float(norms.max()) * 8 * torch.finfo(torch.float32).eps * 4 < ROUNDING
    one = torch.ones_like(norms)
    left, right = torch.cat([2 * z, -norms, -one], 1), torch.cat([z, one, norms], 1)
    return (left.float(), right.float()) if exact else (left, right)

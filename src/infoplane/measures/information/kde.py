"""Bounds on I(X;Z) and I(Z;Y) of a deterministic representation with Gaussian noise added to it, nats.

Kolchinsky & Tracey, Estimating Mixture Entropy with Pairwise Distances (2017). Z + noise is a mixture of n Gaussians,
one per sample; its entropy lies between two averages over all pairs of samples (their section 4). The noise is not in
the network: its variance belongs to the definition, as bins do (Saxe et al. 2018).
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.entropy import entropy_of_counts

TILE = 512
"""Samples of either side of a block of pairs: 2 MiB in float64, so that it stays in the processor's cache."""

ROUNDING = 1e-4
"""By what rounding may change an exponent: inner products are float32 where it is less, else float64; where that is
not enough either (values of 1e7 beside noise of 0.03), differences are squared in place of them."""

MOST_RATE = 1e300
"""The values' unit over the noise, at most: at that, whatever is apart at all is out of every kernel's reach."""

NEGLIGIBLE = 4.7e-10
"""Weights of the lower bound below this count as 0: their fourth power is no normal float32, and slow to compute."""


@dataclass(frozen=True)
class KdeInformation:
    """Bounds and estimates for the mixture of the samples, nats.

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


def in_own_unit(z: Tensor) -> tuple[Tensor, float]:
    """Centred values of at most about 2, float64, (n, d), and the power of two that they were divided by.

    The first row is taken off before the mean, so that units that do not vary are exactly 0 whatever their value is.
    """
    most = float(z.abs().max())
    unit = 2.0 ** min(math.frexp(most)[1], 1023)
    z = z.double() / unit
    z = z - z[0]
    return z - z.mean(0), unit


def kde_information(
    z: Tensor, labels: Tensor, variance: float = 1e-3, relative: bool = False, tile: int = TILE
) -> KdeInformation:
    """Bounds on I(X;Z) and I(Z;Y), nats, of z (n, ...) with integer labels (n,); cost n^2 d, memory n d.

    Two samples at squared distance r have the weights exp(-r / 2 s) (upper) and exp(-r / 8 s) (lower), s the variance;
    the first is the fourth power of the second. relative: the variance is that many times the mean variance of a unit
    of z. Neither an offset of z nor, with a relative variance, its unit changes anything. Raises `UserError` for NaN
    and infinity.
    """
    flat = z.flatten(1)
    if not bool(torch.isfinite(flat).all()):
        raise UserError("the activations hold NaN or infinity, so distances between them are not defined.")
    n = len(flat)
    points, unit = in_own_unit(flat)
    deviation = math.sqrt(variance * float(points.square().mean()) if relative else variance)
    if relative:
        variance = min(deviation * unit * (deviation * unit), sys.float_info.max)
    else:
        deviation /= unit
    _, labels, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    if not bool(points.any()):
        return KdeInformation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, alone=0.0, variance=0.0 if relative else variance)
    order = labels.argsort(stable=True)
    everyone, own = pair_sums(points[order], labels[order], deviation, tile)
    # (1/n) sum_i log sum_j: rows upper, lower; columns of all samples, of the own class
    means = torch.stack([everyone, own]).log().mean(2)
    upper, lower = (math.log(n) - float(mean) for mean in means[0])
    class_part = float((sizes.double() * sizes.double().log()).sum()) / n
    upper_given, lower_given = (class_part - float(mean) for mean in means[1])
    h_y = entropy_of_counts(sizes)
    lower = min(lower, upper)  # equal but for rounding where no samples are near one another
    izy_upper = max(0.0, min(h_y, upper, upper - lower_given))
    return KdeInformation(
        ixz_upper=max(0.0, upper),
        ixz_lower=max(0.0, lower),
        izy_upper=izy_upper,
        izy_lower=min(izy_upper, max(0.0, lower - upper_given)),
        izy_of_uppers=upper - upper_given,
        izy_of_lowers=lower - lower_given,
        alone=float((everyone[0] < 1.5).double().mean()),
        variance=variance,
    )


def pair_sums(z: Tensor, labels: Tensor, deviation: float, tile: int = TILE) -> tuple[Tensor, Tensor]:
    """Sums over j of exp(-r_ij / 2 s) and of exp(-r_ij / 8 s): float64, each (2, n), over all j and over i's own class.

    z: (n, d), float64, near 0, sorted by label; s is the square of the noise's deviation. Only pairs i <= j are
    computed, a tile at a time; exp in float32, sums over tiles in float64: the sums are right to about 1e-6.
    """
    n = len(z)
    exponents = _exponents(z, deviation)
    everyone = torch.zeros(2, n, dtype=torch.float64, device=z.device)
    own = torch.zeros_like(everyone)
    classes = labels.tolist()
    for top in range(0, n, tile):
        rows = slice(top, min(n, top + tile))
        for start in range(top, n, tile):
            columns = slice(start, min(n, start + tile))
            kernel = _kernel(exponents(rows, columns), diagonal=start == top)
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
    """exp in float32, with 0 for what is negligible, and at most 1; on the diagonal of all pairs, exactly 1."""
    kernel = exponents.float().clamp_(math.log(NEGLIGIBLE) - 0.1, 0.0).exp_()
    if diagonal:
        kernel.fill_diagonal_(1.0)
    return torch.nn.functional.threshold(kernel, NEGLIGIBLE, 0.0, inplace=True)


def _sums(kernel: Tensor) -> tuple[Tensor, Tensor]:
    return kernel.sum(1), kernel.sum(0)


def _add(total: Tensor, sums: tuple[Tensor, Tensor], rows: slice, columns: slice) -> None:
    total[rows] += sums[0]
    if rows != columns:
        total[columns] += sums[1]


def _exponents(z: Tensor, deviation: float) -> Callable[[slice, slice], Tensor]:
    """The function from rows and columns to -r_ij / 8 s, (rows, columns).

    By inner products, the squared norms as two more columns, where their cancellation is harmless; else by differences,
    which cost about ten times as much.
    """
    rate = 1 / (math.sqrt(8) * deviation) if deviation * MOST_RATE > 1 else MOST_RATE
    norms = z.square().sum(1, keepdim=True)
    # eight roundings of eps/2 each of the greatest term, 2 |z|^2, of the exponent of the upper bound
    rounding = float(norms.max()) * rate * rate * 8 * 4
    if not rounding * torch.finfo(torch.float64).eps < ROUNDING:
        return lambda rows, columns: (
            torch.cdist(z[rows], z[columns], compute_mode="donot_use_mm_for_euclid_dist").mul_(rate).square_().neg_()
        )
    z, norms, one = z * rate, norms * rate * rate, torch.ones_like(norms)
    factors = (torch.cat([2 * z, -norms, -one], 1), torch.cat([z, one, norms], 1))
    if rounding * torch.finfo(torch.float32).eps < ROUNDING:
        factors = (factors[0].float(), factors[1].float())
    return lambda rows, columns: factors[0][rows] @ factors[1][columns].T

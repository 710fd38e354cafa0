"""What stands before a neighbour estimator: checked columns, injective changes of coordinates, a little noise."""

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.decoding.gram import varying_features

KNOTS = 64
"""Quantiles through which `smooth_scores` passes: few, so that it does not regulate the gaps between neighbours."""


def as_columns(x: Tensor, name: str) -> Tensor:
    """Samples as float64 of shape (n, d), from shape (n,) or (n, ...).

    Raises `UserError` when they hold NaN or infinity.
    """
    columns = (x[:, None] if x.ndim == 1 else x.flatten(1)).double()
    if not bool(torch.isfinite(columns).all()):
        raise UserError(f"{name} holds NaN or infinity: nothing can be estimated from it.")
    return columns


def varying(x: Tensor) -> Tensor:
    """The columns of (n, d) that vary by more than rounding; possibly none."""
    return x[:, varying_features(x)]


def smooth_scores(x: Tensor, knots: int = KNOTS) -> Tensor:
    """Columns of (n, d) made nearly standard normal, each by a piecewise linear increasing map through its quantiles.

    Mutual information does not change under it, and neighbour estimators are at their best on normal margins. (Ranks
    would do the same, but evenly spaced ranks keep points apart that belong together: at 5 nats in 1 + 1 dimensions
    they put the Kozachenko-Leonenko estimate 0.5 nats off.) Equal values stay equal.
    """
    n, knots = len(x), max(2, min(knots, len(x) // 4))
    middles = (torch.arange(knots, dtype=x.dtype, device=x.device) + 0.5) / knots
    ends = torch.tensor([0.5 / n, 1 - 0.5 / n], dtype=x.dtype, device=x.device)
    shares = torch.cat([ends[:1], middles, ends[1:]])
    positions = shares * n - 0.5
    below = positions.floor().long().clamp(0, n - 2)
    ordered = x.sort(0).values
    quantiles = torch.lerp(ordered[below], ordered[below + 1], (positions - below)[:, None])
    scores = torch.special.ndtri(shares)
    return torch.stack([_through(x[:, j], quantiles[:, j], scores) for j in range(x.shape[1])], 1)


def _through(values: Tensor, points: Tensor, heights: Tensor) -> Tensor:
    """Linear interpolation between (points, heights), both ascending; of equal points the first counts."""
    first = torch.cat([points.new_ones(1, dtype=torch.bool), points.diff() > 0])
    points, heights = points[first], heights[first]
    if len(points) < 2:
        return torch.zeros_like(values)
    after = torch.searchsorted(points, values.contiguous()).clamp(1, len(points) - 1)
    share = (values - points[after - 1]) / (points[after] - points[after - 1])
    return torch.lerp(heights[after - 1], heights[after], share)


def whiten(x: Tensor) -> tuple[Tensor, float]:
    """Columns of (n, d) with covariance 1, and the log-determinant of what they were divided by, nats.

    Directions of no variance cannot be whitened: raises `UserError` when the covariance is singular.
    """
    centred = x - x.mean(0)
    factor, failed = torch.linalg.cholesky_ex(centred.T @ centred / len(x))
    diagonal = factor.diagonal()
    scale = centred.square().mean(0).sqrt()
    if int(failed) or not bool((diagonal > 1e-7 * scale).all()):
        raise UserError(
            "the columns depend on each other linearly, so that their density is not one of their dimension: "
            "add noise, or compress to fewer dimensions."
        )
    return torch.linalg.solve_triangular(factor, centred.T, upper=False).T, float(diagonal.log().sum())


def deviation(z: Tensor) -> float:
    """Root mean square deviation of the columns of (n, d)."""
    return float(z.float().var(0, correction=0).double().mean().sqrt()) if z.numel() else 0.0


def add_noise(z: Tensor, relative: float, seed: int) -> Tensor:
    """Samples of shape (n, d) plus normal noise, its deviation relative to `deviation`; float64.

    The same noise for the same seed and shape. Butakov et al. 2023 put such noise into a deterministic network, whose
    I(X;Z) is otherwise infinite.
    """
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z.double() + relative * deviation(z) * noise.to(z.device) if relative else z.double()

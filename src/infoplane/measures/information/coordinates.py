"""Prepare samples for a neighbour estimator: checked columns, injective changes of coordinates, a little noise."""

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.decoding.gram import varying_features
from infoplane.streams import own_seed

REPEATED = 0.1
"""Share of a column's values that come several times from which it is no density, but (also) single values."""

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


def whiten(x: Tensor, residuals: Tensor | None = None) -> tuple[Tensor, float]:
    """Columns of (n, d) with covariance 1, and the log-determinant of what they were divided by, nats.

    residuals: (n, d), whose covariance becomes 1 instead, such as the differences from the class's mean. Directions of
    no variance cannot be whitened: raises `UserError` when the covariance is singular.
    """
    centred = x - x.mean(0)
    residuals = centred if residuals is None else residuals
    factor, failed = torch.linalg.cholesky_ex(residuals.T @ residuals / len(x))
    diagonal = factor.diagonal()
    scale = residuals.square().mean(0).sqrt()
    if int(failed) or not bool((diagonal > 1e-7 * scale).all()):
        raise UserError(
            "the columns depend on each other linearly, so they have no density in that many dimensions: "
            "add noise, or compress to fewer dimensions."
        )
    return torch.linalg.solve_triangular(factor, centred.T, upper=False).T, float(diagonal.log().sum())


def normal_columns(x: Tensor) -> Tensor:
    """Columns of (n, d) made nearly normal, uncorrelated and of variance 1, by an injective map.

    Every column through `smooth_scores`, then `whiten`. Where the columns as they are depend on each other more
    linearly, they are whitened before as well: an affine image of normals has thin directions, which columns that are
    bent one by one would blur. Columns that cannot be whitened are left with their scores.
    """
    scores = smooth_scores(x)
    if x.shape[1] == 1:
        return scores
    try:
        (plain, volume), (white, volume_of_scores) = whiten(x), whiten(scores)
    except UserError:
        return scores
    apart = [
        size - float(part.std(0, correction=0).log().sum()) for size, part in ((volume, x), (volume_of_scores, scores))
    ]
    return whiten(smooth_scores(plain))[0] if apart[0] < apart[1] else white


def add_noise(x: Tensor, deviation: float, seed: int, name: str) -> Tensor:
    """`normal_columns` plus normal noise of this deviation: noise relative to every direction's own spread.

    name: of the variable; X and Z never get the same noise. Butakov et al. 2023 put such noise into a deterministic
    network, whose I(X;Z) is otherwise infinite.
    """
    generator = torch.Generator().manual_seed(own_seed(seed, "noise", name))
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return x + deviation * noise.to(x.device)


def of_values(x: Tensor) -> bool:
    """Whether some column of (n, d) has no density: more than `REPEATED` of its values come several times."""
    for column in x.T.cpu().numpy():
        sizes = np.unique(column, return_counts=True)[1]
        if sizes[sizes > 1].sum() > REPEATED * len(column):
            return True
    return False

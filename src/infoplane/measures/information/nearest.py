"""Exact nearest neighbours in the maximum or Euclidean norm, and how many points lie within a distance of each.

The way depends on dimension, number and device, the answer does not: a k-d tree or blocks of distances to search;
sorted values (1 dimension), a wavelet matrix (2), a k-d tree or blocks of distances among those near in the first
coordinate to count.
"""

import math
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

TREE, LARGE_TREE = 12, 20
"""Dimensions up to which a k-d tree is the faster search on a CPU: of few points, and of `MANY`."""

COUNTING_TREE = 8
"""Dimensions up to which a k-d tree is the faster way to count among `MANY` points on a CPU."""

MANY = 2000
"""Points from which scikit-learn's tree, faster than SciPy's but slow to import, is worth it."""

LEAF = 24
"""Points in a leaf of that tree; between 16 and 32 the times are the same."""

BLOCK = 1 << 22
"""Distances that are held at a time."""

ROWS = 64
"""Points whose distances are computed at once when counting on a CPU: as many as stay in its cache."""


def nearest(points: Tensor, k: int, norm: float = math.inf) -> tuple[Tensor, Tensor]:
    """Distances and positions of the k nearest other points, ascending; shape (n, k) each, points (n, d).

    norm: 2 or infinity. Needs k < n.
    """
    if _many(points) and points.shape[1] <= LARGE_TREE:
        return _search_tree(points, k, norm)
    if points.device.type == "cpu" and points.shape[1] <= TREE:
        distances, positions = cKDTree(points.numpy()).query(points.numpy(), k + 1, p=norm)
        return torch.from_numpy(distances[:, 1:].copy()), torch.from_numpy(positions[:, 1:].astype(np.int64))
    blocks = points.split(max(1, BLOCK // len(points)))
    found = [_distances(rows, points, norm).topk(k + 1, largest=False) for rows in blocks]
    distances, positions = (torch.cat(parts) for parts in zip(*found, strict=True))
    return distances[:, 1:], positions[:, 1:]


def count_within(points: Tensor, radii: Tensor, *, strict: bool) -> Tensor:
    """How many other points lie nearer than the radius of each (strict) or as near, in the maximum norm.

    points: (n, d); radii: (n,); returns float64, shape (n,). A radius of 0 finds, even if strict, the equal points.
    """
    d = points.shape[1]
    if d > 2:
        if strict:
            radii = torch.nextafter(radii, torch.zeros_like(radii))
        if _many(points) and d <= COUNTING_TREE:
            return (_count_by_tree(points, radii) - 1).double()
        return (_count_blocks(points, radii) - 1).double()
    bounds = [_bounds(points[:, j].contiguous(), radii, strict) for j in range(d)]
    if d == 1:
        ordered = points[:, 0].sort().values
        counts = torch.searchsorted(ordered, bounds[0][1], right=True) - torch.searchsorted(ordered, bounds[0][0])
    else:
        counts = _count_rectangles(points, bounds)
    return (counts - 1).double()


def intrinsic_dimension(points: Tensor, k: int = 10) -> float | None:
    """The dimension of the neighbourhoods of points (n, d), from distances to 1 to k neighbours.

    Levina, Bickel, "Maximum likelihood estimation of intrinsic dimension" (2004), averaged as MacKay and Ghahramani
    advise. Of points that repeat, each counts once. None where it is not known: fewer than k + 2 of them.
    """
    points = torch.unique(points, dim=0)
    if len(points) < k + 2 or k < 2:
        return None
    logs = nearest(points, k, norm=2)[0].log()
    spread = float((logs[:, -1:] - logs[:, :-1]).mean())
    return 1 / spread if math.isfinite(spread) and spread > 0 else None


def _many(points: Tensor) -> bool:
    return points.device.type == "cpu" and len(points) >= MANY


def _tree(points: Tensor, norm: float) -> tuple[Any, np.ndarray]:
    """scikit-learn's k-d tree, and the order of the points in it: asked in this order, its nodes stay in the cache."""
    from sklearn.neighbors import KDTree

    tree = KDTree(points.numpy(), leaf_size=LEAF, metric="chebyshev" if math.isinf(norm) else "euclidean")
    return tree, np.asarray(tree.idx_array)


def _search_tree(points: Tensor, k: int, norm: float) -> tuple[Tensor, Tensor]:
    tree, order = _tree(points, norm)
    found = tree.query(points.numpy()[order], k + 1)
    distances, positions = (np.empty_like(one) for one in found)
    distances[order], positions[order] = found
    return torch.from_numpy(distances[:, 1:].copy()), torch.from_numpy(positions[:, 1:].astype(np.int64))


def _count_by_tree(points: Tensor, radii: Tensor) -> Tensor:
    """Points within each radius, themselves included."""
    tree, order = _tree(points, math.inf)
    counts = np.empty(len(points), np.int64)
    counts[order] = tree.query_radius(points.numpy()[order], radii.numpy()[order], count_only=True)
    return torch.from_numpy(counts)


def _bounds(values: Tensor, radii: Tensor, strict: bool) -> tuple[Tensor, Tensor]:
    # value +- radius is rounded, and the neighbour that gave the radius lies exactly there
    rounding = 4 * torch.finfo(values.dtype).eps * (values.abs() + radii)
    radii = (radii - rounding).clamp(min=0) if strict else radii + rounding
    return values - radii, values + radii


def _count_rectangles(points: Tensor, bounds: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Points within each rectangle, by a wavelet matrix (Claude, Navarro, Ordóñez 2015) of the second ranks.

    With the points in order of their first coordinate, a rectangle is a run of positions and a range of ranks.
    """
    n = len(points)
    order = points[:, 0].argsort()
    first, second = points[order, 0], points[:, 1].sort().values
    low, high = torch.searchsorted(first, bounds[0][0]), torch.searchsorted(first, bounds[0][1], right=True)
    below = torch.searchsorted(second, bounds[1][0]), torch.searchsorted(second, bounds[1][1], right=True)
    ranks = torch.empty_like(order)
    ranks[points[order, 1].argsort()] = torch.arange(n, device=points.device)
    # how many ranks are under the upper bound, and under the lower one
    limit, low, high = torch.cat([below[1], below[0]]), low.repeat(2), high.repeat(2)
    counts = torch.zeros_like(limit)
    for bit in reversed(range(n.bit_length())):
        one = (ranks >> bit & 1).bool()
        zeros = torch.nn.functional.pad((~one).cumsum(0), (1, 0))
        to_low, to_high = zeros[low], zeros[high]
        takes = (limit >> bit & 1).bool()
        counts += torch.where(takes, to_high - to_low, 0)
        low = torch.where(takes, zeros[-1] + low - to_low, to_low)
        high = torch.where(takes, zeros[-1] + high - to_high, to_high)
        ranks = torch.cat([ranks[~one], ranks[one]])
    return counts[:n] - counts[n:]


def _count_blocks(points: Tensor, radii: Tensor) -> Tensor:
    """Points within each radius, themselves included; each distance is computed once and serves both its ends."""
    n = len(points)
    order = points[:, 0].argsort()
    points, radii = points[order], radii[order]
    size = ROWS if points.device.type == "cpu" else max(1, BLOCK // n)
    # in the order of the first coordinate, nothing beyond the largest radius is near
    first = points[:, 0].contiguous()
    limits = first + radii.max() * (1 + 1e-9) + 1e-9 * first.abs()
    ends = torch.searchsorted(first, limits, right=True).tolist()
    counts = torch.zeros(n, dtype=torch.int64, device=points.device)
    for start in range(0, n, size):
        stop = min(start + size, n)
        end = ends[stop - 1]
        distances = _distances(points[start:stop], points[start:end], math.inf)
        counts[start:stop] += (distances <= radii[start:stop, None]).sum(1)
        counts[stop:end] += (distances[:, stop - start :] <= radii[stop:end]).sum(0)
    found = torch.empty_like(counts)
    found[order] = counts
    return found


def _distances(rows: Tensor, points: Tensor, norm: float) -> Tensor:
    # by differences, not by inner products: near neighbours are what counts, and those would cancel
    return torch.cdist(rows, points, p=norm, compute_mode="donot_use_mm_for_euclid_dist")

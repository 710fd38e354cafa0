"""Repair curves before they are read: replace single checkpoints that stand out, and fill gaps.

The lowest point of a curve is where one bad checkpoint does most harm: half of the data chooses it, the other half
is read there. So a checkpoint that does not fit its neighbours is replaced first (in the manner of Hampel 1974, Journal
of the American Statistical Association 69, 383). A missing checkpoint is filled in from the other seeds, moved by how
far this seed lies from them around the gap; of a single seed, by a straight line.

Axes throughout: curve (any number, each mended alone), seed, checkpoint, block.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ALONE, AMONG = 3.0, 4.0
"""Distance, in standard deviations of a curve's noise, from which on a checkpoint stands out: for a single
seed, and for one seed among several."""
FEWEST = 6
"""Checkpoints below which a curve says too little of its own noise."""
SWEEPS = 5
MOST_DECIMALS = 6


def roughness(curves: Array) -> Array:
    """Standard deviation of the noise of curves (..., checkpoints), by the median of their second differences.

    0 below `FEWEST` checkpoints, where it cannot be known; too small where neighbouring checkpoints share noise.
    """
    if curves.shape[-1] < FEWEST:
        return np.zeros(curves.shape[:-1])
    return np.asarray(np.median(np.abs(np.diff(curves, 2)), -1) * 1.4826 / np.sqrt(6))


def grain(values: Array) -> float:
    """What values are rounded to: 0.01 for two decimals; 0 for more than `MOST_DECIMALS`."""
    known = values[np.isfinite(values)]
    for decimals in range(MOST_DECIMALS + 1):
        scaled = known * 10**decimals
        if np.abs(scaled - np.round(scaled)).max(initial=0.0) < 1e-9:
            return float(10.0**-decimals)
    return 0.0


def beyond_neighbours(curves: Array) -> Array:
    """How far each checkpoint of (..., checkpoints) lies from all that its neighbours lead to, with its sign.

    Neighbours lead to their own values and, where there are two on a side, to the straight line through them: so a
    sharp turn does not stand out, and a single spike does. 0 at both ends, where nothing can be said.
    """
    found = np.zeros(curves.shape)
    if curves.shape[-1] < 4:
        return found
    before, here, after = curves[..., :-2], curves[..., 1:-1], curves[..., 2:]
    line_before = np.concatenate([before[..., :1], 2 * before[..., 1:] - before[..., :-1]], -1)
    line_after = np.concatenate([2 * after[..., :-1] - after[..., 1:], after[..., -1:]], -1)
    low = np.minimum(np.minimum(before, after), np.minimum(line_before, line_after))
    high = np.maximum(np.maximum(before, after), np.maximum(line_before, line_after))
    found[..., 1:-1] = here - np.clip(here, low, high)
    return found


def outliers(values: Array, stderr: Array) -> NDArray[np.bool_]:
    """Checkpoints of one seed that stand out, (curves, seeds, checkpoints); none of a spike that other seeds share.

    stderr: (seeds, checkpoints), NaN where it is not known. The noise is the smaller one of it and the roughness.
    """
    curves = values.mean(-1)
    seeds, count = curves.shape[1:]
    if count < FEWEST:
        return np.zeros(curves.shape, bool)
    noise = np.fmin(np.median(roughness(curves), -1)[:, None, None], stderr)
    apart = beyond_neighbours(curves)
    found = np.abs(apart) > (ALONE if seeds == 1 else AMONG) * np.maximum(noise, max(grain(values), 1e-9))
    if seeds > 1 and found.any():
        for seed in range(seeds):
            of_others = beyond_neighbours(np.median(np.delete(curves, seed, 1), 1))
            found[:, seed] &= of_others * np.sign(apart[:, seed]) < np.abs(apart[:, seed]) / 2
    return np.asarray(found)


def mend(values: Array, stderr: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Values without gaps and outliers, and which seeds' checkpoints were outliers, (curves, seeds, checkpoints).

    values: a missing checkpoint of a seed is NaN in all its blocks; every checkpoint has one seed at least.
    """
    missing = np.asarray(np.isnan(values).any(-1))
    filled = _filled(values, missing)
    odd = np.asarray(outliers(filled, stderr) & ~missing)
    return (_filled(values, np.asarray(missing | odd)) if odd.any() else filled), odd


def _filled(values: Array, missing: NDArray[np.bool_]) -> Array:
    """Two-way: what all seeds share at a checkpoint, and each seed's distance from it along a straight line."""
    if not missing.any():
        return values
    gaps = missing[..., None]
    filled = np.where(gaps, _along(values, missing), values)
    if values.shape[1] > 1:
        for _ in range(SWEEPS):
            shared = filled.mean(1, keepdims=True)
            filled = np.where(gaps, shared + _along(filled - shared, missing), values)
    return filled


def _along(values: Array, missing: NDArray[np.bool_]) -> Array:
    """Gaps filled by straight lines between the nearest known checkpoints, at the ends by the nearest alone."""
    count = values.shape[2]
    at = np.arange(count)
    before = np.maximum.accumulate(np.where(missing, -1, at), -1)
    after = np.minimum.accumulate(np.where(missing, count, at)[..., ::-1], -1)[..., ::-1]
    first, last = np.where(before < 0, after, before), np.where(after >= count, before, after)
    share = np.where(last > first, (at - first) / np.maximum(last - first, 1), 0.0)[..., None]
    low, high = (np.take_along_axis(values, each[..., None], 2) for each in (first, last))
    return np.asarray(low + share * (high - low))

"""Notes for values whose unit of measurement comes from a few far samples: the range for bins, the spread for noise."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

FEW = 0.01
"""Share of the samples, or of the values, that may lie far from all others."""

MOST = 0.99
"""Share of the squared distances to the centre that a few samples have to make up for a note."""

NARROW = 0.1
"""Share of the bins into which nearly all values have to fall for a note."""

LOOKED_AT = 10_000
"""About how many values are looked at to see where nearly all lie."""


def spread_note(z: Tensor) -> str:
    """A note where a few samples of z (n, d) make nearly all of the spread that noise is relative to; else ''.

    z: float64, finite, of squares that do not overflow. Distances are to the mean of all other samples.
    """
    few = max(1, int(FEW * len(z)))
    order = (z - z.mean(0)).square().sum(1).argsort()
    far = (z[order] - z[order[:-few]].mean(0)).square().sum(1)
    share = float(far[-few:].sum() / far.sum()) if float(far.sum()) > 0 else 0.0
    return f"outliers: {few} of {len(far)} samples make {share:.1%} of the spread of Z" if share > MOST else ""


def empty_note(indices: Callable[[np.ndarray], np.ndarray], z: np.ndarray, count: int, per_unit: bool = False) -> str:
    """A note where nearly all values fall into few of the bins, as when one outlier makes the range; else ''.

    indices: values (rows, d) -> the numbers of their bins, 0 to count - 1; z: (n, d), of which evenly spaced rows are
    looked at. Counted are the bins between those of the `FEW` / 2 lowest and highest values. per_unit: bins over the
    range of each unit, of which those are counted where values fall into one bin that differ (unlike those of a unit
    that is mostly 0).
    """
    rows = z[:: max(1, z.size // LOOKED_AT)]
    found, most = indices(rows), max(1, int(NARROW * count))
    low, high = np.quantile(found, [FEW / 2, 1 - FEW / 2], axis=0 if per_unit else None, method="nearest")
    narrow = high - low < most
    if not narrow.any():
        return ""
    if not per_unit:
        used = int(high - low) + 1
        return f"outliers: {1 - FEW:.0%} of the values lie in {used} of {count} bins, the others set the range"
    within = (low <= found) & (found <= high)
    differ = np.where(within, rows, np.inf).min(0) < np.where(within, rows, -np.inf).max(0)
    units = int((narrow & differ).sum())
    told = (
        f"outliers: in {units} of {z.shape[1]} units {1 - FEW:.0%} of the values lie in at most {most} of {count} bins"
    )
    return f"{told}, the others set the range" if units else ""

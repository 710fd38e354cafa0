"""Notes for values whose unit of measurement comes from a few far samples: the range for bins, the spread for noise."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

FEW = 0.01
"""Share of the samples, or of the values, that may lie far from all others."""

MOST = 0.99
"""Of the squared distance to the centre: what a few samples have to make for the spread to be theirs."""

NARROW = 0.1
"""Share of the bins into which nearly all values have to fall for a note."""

LOOKED_AT = 10_000
"""Values, about, from which it is told where nearly all lie."""


def spread_note(z: Tensor) -> str:
    """A note where a few samples of z (n, d) make nearly all of the spread that noise is relative to; else ''.

    z: float64, finite, of squares that do not overflow. Distances are to the mean of all other samples.
    """
    few = max(1, int(FEW * len(z)))
    order = (z - z.mean(0)).square().sum(1).argsort()
    far = (z[order] - z[order[:-few]].mean(0)).square().sum(1)
    share = float(far[-few:].sum() / far.sum()) if float(far.sum()) > 0 else 0.0
    return f"outliers: {few} of {len(far)} samples make {share:.1%} of the spread of Z" if share > MOST else ""


def empty_note(indices: Callable[[np.ndarray], np.ndarray], z: np.ndarray, count: int) -> str:
    """A note where nearly all values fall into few of the bins, as when one outlier makes the range; else ''.

    indices: values (rows, d) -> the numbers of their bins, 0 to count - 1; z: (n, d), of which evenly spaced rows are
    looked at. Counted are the bins between those of the `FEW` / 2 lowest and highest values.
    """
    found = indices(z[:: max(1, z.size // LOOKED_AT)])
    low, high = np.quantile(found, [FEW / 2, 1 - FEW / 2], method="nearest")
    used = int(high - low) + 1
    if used > max(1, NARROW * count):
        return ""
    return f"outliers: {1 - FEW:.0%} of the values lie in {used} of {count} bins, the others make the range"

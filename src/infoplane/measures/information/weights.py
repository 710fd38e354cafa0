"""Weights over 1 to k neighbours that cancel the leading bias of an estimate from neighbour distances."""

from functools import lru_cache

import numpy as np
from scipy.special import gammaln

GUARD = 20.0
"""Largest weight that is used: in a trial weights of 238 and 11,520 (joint dimension 12 and 16) exploded."""


@lru_cache(maxsize=256)
def neighbour_weights(d: int, k: int) -> tuple[tuple[float, ...], bool]:
    """The weights w_1 ... w_k, and whether they were refused; refused weights are replaced by 0 ... 0, 1.

    The least-norm solution of sum w = 1 and sum_j w_j Gamma(j + 2 l / d) / Gamma(j) = 0 for l = 1 ... floor(d / 4):
    equation 2 of Berrett, Samworth, Yuan, "Efficient multivariate entropy estimation via k-nearest neighbour
    distances" (2019), over all of 1 ... k. Below 4 dimensions there is nothing to cancel. Refused where k is too
    small for that many conditions, or a weight exceeds `GUARD`.
    """
    plain = (0.0,) * (k - 1) + (1.0,)
    conditions = d // 4
    if not conditions:
        return plain, False
    if k <= conditions:
        return plain, True
    j = np.arange(1, k + 1)
    rows = [np.ones(k)] + [np.exp(gammaln(j + 2 * order / d) - gammaln(j)) for order in range(1, conditions + 1)]
    wanted = np.zeros(conditions + 1)
    wanted[0] = 1.0
    found = np.linalg.lstsq(np.stack(rows), wanted, rcond=None)[0]
    if np.abs(found).max() > GUARD:
        return plain, True
    return tuple(float(weight) for weight in found), False

"""What a known distribution is: a way to draw from it, and the values that are known of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import norm

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Z of shape (n, ...), X of shape (n, ...), labels of shape (n,)."""

Draw = Callable[[np.random.Generator, int], Sample]
"""(generator, n) -> a sample; the same generator state gives the same sample."""

Optimal = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]
"""A sample -> what the best decoder of the distribution scores on this very sample, by measure."""

Floor = Callable[[int], dict[str, float]]
"""n -> by how much an estimate from n samples is off in the median whatever is done, by measure."""

Again = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""(generator, Z) -> Z at the next checkpoint."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A distribution of (Z, X, Y) and what is known of it.

    values: measure -> true value; ``zx`` as a share of the variance of X, all others in nats. linear: the measures
    whose value a linear decoder attains; of the others it only has an upper bound. multiple: samples come in multiples
    of this number, and their empirical distribution is then the distribution itself, to the last count. optimal: what
    sampling alone does to Z-X and Z-Y, where the best decoder is known. floor: what a formula says of the error that
    is left to a good estimator, where one is known. again: for a network that does not learn; what
    is known is then that no measure changes from one checkpoint to the next. continuous: Z has a density, and so has X
    where I(X;Z) is known; dimension: the larger number of columns of X and Z. These say where an interval that is meant
    for densities of few dimensions can be compared with the truth.
    """

    name: str
    group: str
    values: Mapping[str, float]
    draw: Draw
    linear: tuple[str, ...] = ()
    multiple: int = 1
    optimal: Optimal | None = None
    floor: Floor | None = None
    again: Again | None = None
    continuous: bool = False
    dimension: int = 0

    def truth_of(self, measure: str) -> float | None:
        """The true value of what this measure estimates, or None where it is not known.

        ``ixz_upper`` and ``ixz_lower`` are compared with ``ixz``, and so on; a frozen network changes by 0 in all.
        """
        if self.again is not None:
            return 0.0
        return self.values.get(measure.removesuffix("_upper").removesuffix("_lower"))


def unexplained_error(squared_correlation: float, pairs: int) -> float:
    """Median absolute error of the maximum-likelihood estimate 1 - r^2 of 1 - rho^2 from independent normal pairs.

    Its variance is the Cramer-Rao bound 4 rho^2 (1 - rho^2)^2 / pairs, and a normal error is below 0.674 deviations
    half of the time.
    """
    deviation = 2 * np.sqrt(squared_correlation / pairs) * (1 - squared_correlation)
    return float(norm.ppf(0.75) * deviation)


def counting_excess(counts: np.ndarray) -> float:
    """By how much left-out cross-entropy exceeds H(Y|Z) in the best rule of counting, nats; counts: (z, y) of a sample.

    The rule is p(y|z) = (c_zy + b) / (c_z + K b) from the counts of all other samples (leave-one-out, which leaves more
    than any folds), b one constant chosen with the result in view. Where cells are rare this is no small matter: a cell
    that has 2 samples has 1 when it is asked for.
    """
    occupied = counts > 0
    share = counts[occupied] / counts.sum()
    of_z = np.broadcast_to(counts.sum(1, keepdims=True), counts.shape)[occupied]

    def loss(constant: float) -> float:
        others = counts[occupied] - 1 + constant
        return float(-share @ np.log(others / (of_z - 1 + counts.shape[1] * constant)))

    best = minimize_scalar(loss, bounds=(1e-6, 100.0), method="bounded").fun
    return float(best + share @ np.log(counts[occupied] / of_z))


def two_classes(n: int) -> np.ndarray:
    """Labels without information, for distributions that are about X and Z."""
    return np.arange(n) % 2


def remaining_error(x: np.ndarray, decoded: np.ndarray) -> float:
    """The squared error of a reconstruction as a share of the sample's variance; both of shape (n, D_x)."""
    return float(((x - decoded) ** 2).sum() / ((x - x.mean(0)) ** 2).sum())


def entropy(probabilities: np.ndarray) -> float:
    """-sum p log p of a table of probabilities, nats."""
    p = probabilities[probabilities > 0]
    return float(-(p * np.log(p)).sum())


def density_entropy(density: np.ndarray, step: float) -> float:
    """-int p log p of a density on an even grid, nats."""
    p = density[density > 0]
    return float(-(p * np.log(p)).sum() * step)


def normal_density(z: np.ndarray, mean: float | np.ndarray, deviation: float) -> np.ndarray:
    """The density of N(mean, deviation^2)."""
    density: np.ndarray = np.exp(-(((z - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
    return density


def normal_entropy(deviation: float) -> float:
    """h of N(., deviation^2), nats."""
    return float(0.5 * np.log(2 * np.pi * np.e * deviation**2))

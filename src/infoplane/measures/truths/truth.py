"""What a known distribution is: a way to draw from it, and the values that are known of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Z of shape (n, ...), X of shape (n, ...), labels of shape (n,)."""

Draw = Callable[[np.random.Generator, int], Sample]
"""(generator, n) -> a sample; the same generator state gives the same sample."""

Optimal = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]
"""A sample -> what the best decoder of the distribution scores on this very sample, by measure."""

Again = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""(generator, Z) -> Z at the next checkpoint."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A distribution of (Z, X, Y) and what is known of it.

    values: measure -> true value; ``zx`` as a share of the variance of X, all others in nats. linear: the measures
    whose value a linear decoder attains; of the others it only has an upper bound. multiple: samples come in multiples
    of this number, and their empirical distribution is then the distribution itself, to the last count. optimal: what
    sampling alone does to Z-X and Z-Y, where the best decoder is known. again: for a network that does not learn; what
    is known is then that no measure changes from one checkpoint to the next.
    """

    name: str
    group: str
    values: Mapping[str, float]
    draw: Draw
    linear: tuple[str, ...] = ()
    multiple: int = 1
    optimal: Optimal | None = None
    again: Again | None = None

    def truth_of(self, measure: str) -> float | None:
        """The true value that an estimate of this measure is held against, or None where it is not known.

        ``ixz_upper`` and ``ixz_lower`` are held against ``ixz``, and so on; a frozen network changes by 0 in all.
        """
        if self.again is not None:
            return 0.0
        return self.values.get(measure.removesuffix("_upper").removesuffix("_lower"))


def two_classes(n: int) -> np.ndarray:
    """Labels that tell nothing, for distributions that are about X and Z."""
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


def normal_density(z: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """The density of N(mean, deviation^2)."""
    density: np.ndarray = np.exp(-(((z - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
    return density


def normal_entropy(deviation: float) -> float:
    """h of N(., deviation^2), nats."""
    return float(0.5 * np.log(2 * np.pi * np.e * deviation**2))

"""Deterministic Z to which the estimator itself adds Gaussian noise: the information of T = Z + noise.

Kernel-density bounds and the conditional information of stochastic layers are estimators of this kind: without the
noise I(X;Z) would be infinite, and what they state is I(X;T). The noise may be given in units of Z's own spread, so
the distribution is made to measure: its scale is chosen to let the noise matter.
"""

from collections.abc import Callable

import numpy as np

from infoplane.measures.truths.discrete import enumerated
from infoplane.measures.truths.truth import (
    Sample,
    Truth,
    density_entropy,
    normal_density,
    normal_entropy,
    two_classes,
)

GROUP = "added noise"

Noise = Callable[[float, int], float]
"""(root mean square distance of Z to its mean, number of units) -> deviation of the noise on each unit."""


def scaled(noise: Noise, spread: float, d: int, ratio: float) -> tuple[float, float]:
    """A scale for data of this spread and the noise that it then gets: ``ratio`` apart where noise is absolute."""
    scale = ratio * noise(spread, d)
    return scale, noise(scale * spread, d)


def noisy_grid(noise: Noise, d: int, levels: int) -> Truth:
    """Z, a function of X, is on an even grid, so that T is a mixture of overlapping Gaussians.

    I(X;T) = h(T) - h(noise), and I(T;Y) = h(T) - h(T|Y) for Y the parity of the first coordinate's level; the
    coordinates are independent, so both come from one-dimensional quadrature. I(X;T|Y) is their difference.
    """
    spread = float(np.sqrt(d * (levels**2 - 1) / 12))
    apart, deviation = scaled(noise, spread, d, ratio=2)
    places = apart * (np.arange(levels) - (levels - 1) / 2)
    t = np.linspace(places[0] - 12 * deviation, places[-1] + 12 * deviation, 100_001)
    step = t[1] - t[0]
    each = [normal_density(t, place, deviation) for place in places]
    whole = density_entropy(np.mean(each, axis=0), step)
    halves = [each[0::2], each[1::2]]
    given_y = sum(len(half) / levels * density_entropy(np.mean(half, axis=0), step) for half in halves)
    about_x, about_y = d * (whole - normal_entropy(deviation)), float(whole - given_y)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*[places] * d, indexing="ij")], axis=1)
    counts = np.ones(levels**d, np.int64)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        (cell,) = enumerated(counts, rng, n)
        x = grid[cell] + apart / 4 * rng.uniform(-1, 1, (n, d))
        return grid[cell], x, cell // levels ** (d - 1) % 2

    values = {"ixz": about_x, "izy": about_y, "ixz_given_y": about_x - about_y}
    return Truth(f"Gaussian mixture by added noise, d = {d}", GROUP, values, draw, multiple=levels**d)


def noisy_copy(noise: Noise, d: int) -> Truth:
    """Z = X normal in d dimensions: I(X;T) = d log(1 + variance of Z / variance of the noise) / 2."""
    scale, deviation = scaled(noise, float(np.sqrt(d)), d, ratio=4)
    information = float(d / 2 * np.log(1 + (scale / deviation) ** 2))

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = scale * rng.normal(size=(n, d))
        return x, x, two_classes(n)

    return Truth(f"Gaussian by added noise, d = {d}", GROUP, {"ixz": information}, draw)

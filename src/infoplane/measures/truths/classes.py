"""Labels of Gaussian classes: H(Y|Z) and I(Z;Y) from the exact posterior, averaged over a million draws."""

from functools import cache

import numpy as np
from scipy.special import logsumexp

from infoplane.measures.truths.truth import Sample, Truth, density_entropy, normal_density, normal_entropy

GROUP = "classes"
GRID = 40_001
DRAWS = 1_000_000
"""Their standard error is about 0.001 nats."""


@cache
def means(classes: int, d: int, spread: float) -> np.ndarray:
    """The classes' centres, (classes, d), drawn once and for all."""
    return np.random.default_rng(11).normal(size=(classes, d)) * spread


def posterior_losses(z: np.ndarray, labels: np.ndarray, centres: np.ndarray, deviation: float) -> np.ndarray:
    """-log p(y | z) of classes of equal weight and standard deviation, nats, shape (n,)."""
    logits = (z @ centres.T - (centres**2).sum(1) / 2) / deviation**2
    losses: np.ndarray = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return losses


@cache
def label_uncertainty(classes: int, d: int, spread: float, deviation: float) -> float:
    """H(Y|Z) for Z = the class's centre + N(0, deviation^2), nats, by Monte Carlo over the exact posterior."""
    rng = np.random.default_rng(12)
    centres = means(classes, d, spread)
    y = rng.integers(0, classes, DRAWS)
    z = centres[y] + deviation * rng.normal(size=(DRAWS, d))
    return float(posterior_losses(z, y, centres, deviation).mean())


def mixture(classes: int, d: int, spread: float, permuted: bool = False) -> Truth:
    """Y one of several unit Gaussians in d dimensions, X = Z a draw from it; its logits are linear in Z.

    permuted: the labels are shuffled, so that nothing is left to find.
    """
    centres = means(classes, d, spread)
    whole = float(np.log(classes))
    left = whole if permuted else label_uncertainty(classes, d, spread, 1.0)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        y = rng.integers(0, classes, n)
        z = centres[y] + rng.normal(size=(n, d))
        return z, z, rng.permutation(y) if permuted else y

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zy": whole if permuted else float(posterior_losses(z, labels, centres, 1.0).mean())}

    name = f"{classes} Gaussian classes, d = {d}{', labels permuted' if permuted else ''}"
    values = {"zy": left, "izy": whole - left}
    return Truth(name, GROUP, values, draw, ("zy",), optimal=optimal, continuous=True, dimension=d)


def noisy_classes(classes: int = 4, d: int = 2, spread: float = 1.5, noise: float = 0.5) -> Truth:
    """X one of several unit Gaussians, Z = X + noise N.

    Within a class this is a linear-Gaussian channel, I(X;Z|Y) = d log(1 + 1/noise^2) / 2; Y - X - Z is a Markov
    chain, so I(X;Z) = I(Z;Y) + I(X;Z|Y).
    """
    deviation = float(np.hypot(1, noise))
    centres = means(classes, d, spread)
    left = label_uncertainty(classes, d, spread, deviation)
    about_y, given_y = float(np.log(classes)) - left, float(d / 2 * np.log(1 + noise**-2))
    values = {"zy": left, "izy": about_y, "ixz_given_y": given_y, "ixz": about_y + given_y}

    def draw(rng: np.random.Generator, n: int) -> Sample:
        y = rng.integers(0, classes, n)
        x = centres[y] + rng.normal(size=(n, d))
        return x + noise * rng.normal(size=(n, d)), x, y

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zy": float(posterior_losses(z, labels, centres, deviation).mean())}

    name = f"{classes} classes through noise, d = {d}"
    return Truth(name, GROUP, values, draw, ("zy",), optimal=optimal, continuous=True, dimension=d)


def uncertainty_on_a_line(classes: int, apart: float) -> float:
    """H(Y|Z) of unit Gaussians with means 0, apart, 2 apart, ... on a line, nats: log K + h(N) - h(Z), by quadrature.

    Beyond 40 deviations between neighbours nothing overlaps in float64.
    """
    apart = min(apart, 40.0)
    z = np.linspace(-12, apart * (classes - 1) + 12, GRID)
    density = np.mean([normal_density(z, apart * one, 1.0) for one in range(classes)], axis=0)
    return max(0.0, float(np.log(classes)) + normal_entropy(1.0) - density_entropy(density, z[1] - z[0]))


def on_a_grid(classes: int, d: int, apart: float, axes: int = 1) -> Truth:
    """Classes whose means lie ``apart`` from one another on a line, or in more axes on a grid; d unit normal units.

    classes: along each axis; every class is equally often. The axes are independent, so that H(Y|Z) is a sum of
    one-dimensional quadratures, and units beyond the axes tell nothing. A linear decoder attains it.
    """
    whole, left = float(axes * np.log(classes)), axes * uncertainty_on_a_line(classes, apart)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        y = rng.permutation(np.arange(n) % classes**axes)
        z = rng.normal(size=(n, d))
        z[:, :axes] += apart * (y[:, None] // classes ** np.arange(axes) % classes)
        return z, z, y

    where = "line" if axes == 1 else "grid"
    name = f"{classes**axes} classes on a {where}, {apart:g} apart, d = {d}"
    values = {"zy": left, "izy": whole - left}
    return Truth(name, GROUP, values, draw, ("zy",), classes**axes, continuous=True, dimension=d)

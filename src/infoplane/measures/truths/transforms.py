"""Student-t pairs, and pairs under injective maps, which leave the mutual information as it is.

The family of tests is that of Czyz et al., "Beyond normal: on the evaluation of mutual information estimators", 2023.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import digamma, gammaln, ndtr

from infoplane.measures.truths.gaussian import correlated, correlated_pair, rotations
from infoplane.measures.truths.truth import Sample, Truth, two_classes

Map = Callable[[np.ndarray], np.ndarray]
"""(n, d) -> (n, d), injective."""


def student(d: int, information: float, freedom: int) -> Truth:
    """Multivariate Student-t X and Z in d dimensions each, from correlated Gaussians and one common chi-squared scale.

    I(X;Z) exceeds that of the Gaussians by f(v) + f(v + 2d) - 2 f(v + d), f(u) = log Gamma(u/2) - (u/2) digamma(u/2),
    v degrees of freedom (Arellano-Valle et al., "Shannon entropy and mutual information for multivariate
    skew-elliptical distributions", 2013).
    """

    def f(u: float) -> float:
        return float(gammaln(u / 2) - u / 2 * digamma(u / 2))

    value = information + f(freedom) + f(freedom + 2 * d) - 2 * f(freedom + d)
    turn_x, turn_z = rotations(d)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x, z = correlated_pair(rng, n, d, information)
        scale = np.sqrt(rng.chisquare(freedom, size=(n, 1)) / freedom)
        return z @ turn_z / scale, x @ turn_x / scale, two_classes(n)

    name = f"Student-t, {freedom} degrees of freedom, d = {d}, {value:.2f} nats"
    return Truth(name, "Student-t", {"ixz": float(value)}, draw, continuous=True, dimension=d)


def affine(base: Truth) -> Truth:
    """Another distribution with Z and X in other units and far from 0: 1e-3 Z + 10 and 1e3 X - 1e9.

    No value changes. Float32, in which activations are stored, keeps nearly all values of Z apart at this offset.
    """

    def draw(rng: np.random.Generator, n: int) -> Sample:
        z, x, labels = base.draw(rng, n)
        return 1e-3 * z + 10, 1e3 * x - 1e9, labels

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return base.optimal((z - 10) * 1e3, (x + 1e9) * 1e-3, labels) if base.optimal else {}

    # in float32 some values of Z come twice, so that it has no density any more
    moved = replace(base, group="affine images", draw=draw, optimal=optimal, continuous=False)
    return replace(moved, name=f"{base.name}, other units and offsets")


def asinh(x: np.ndarray) -> np.ndarray:
    """Shortens tails."""
    mapped: np.ndarray = np.arcsinh(x)
    return mapped


def half_cube(x: np.ndarray) -> np.ndarray:
    """sign(x) |x|^1.5: lengthens tails, and crowds what is near 0."""
    mapped: np.ndarray = x * np.sqrt(np.abs(x))
    return mapped


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Gaussian coordinates become uniform on [0, 1]."""
    mapped: np.ndarray = ndtr(x)
    return mapped


def spiral(x: np.ndarray, speed: float = 0.5) -> np.ndarray:
    """Turns each point (n, 2) about the origin by an angle that grows with the square of its distance."""
    angle = speed * (x**2).sum(1)
    first = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
    second = np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]
    return np.stack([first, second], axis=1)


def transformed(base: Truth, name: str, change: Map) -> Truth:
    """X and Z of another distribution, both under an injective map: I(X;Z) stays, Z-X is not known any more."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        z, x, labels = base.draw(rng, n)
        return change(z), change(x), labels

    known = {"ixz": base.values["ixz"]}
    return Truth(f"{base.name}, {name}", "injective maps", known, draw, continuous=True, dimension=base.dimension)


def injective_maps() -> list[Truth]:
    """Every map on one and on two dimensions, and a heavy tail that a map cures."""
    maps: dict[str, Map] = {"asinh": asinh, "half-cube": half_cube, "normal-cdf": normal_cdf}
    return [
        *(transformed(correlated(1, 1), name, change) for name, change in maps.items()),
        *(transformed(correlated(2, 3), name, change) for name, change in maps.items()),
        *(transformed(correlated(2, information), "spiral", spiral) for information in (1, 3)),
        transformed(student(1, 1, 2), "asinh", asinh),
    ]

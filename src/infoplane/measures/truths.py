"""Distributions whose Z-X or Z-Y is known: what every measure family has to meet.

Values are closed forms, one-dimensional quadrature, or the exact posterior averaged over a million draws.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""(generator, n) -> Z of shape (n, d), X of shape (n, D_x), labels of shape (n,)."""


@dataclass(frozen=True)
class Truth:
    """A distribution and the one value that is known of it.

    linear: whether a linear decoder attains the value; otherwise only an upper bound holds for one.
    """

    name: str
    measure: str
    value: float
    linear: bool
    draw: Draw


def linear_gaussian(d: int, mixed: bool = False) -> Truth:
    """Z = A X + N, X and N standard normal: Z-X is tr (1 + A'A)^-1 / d."""
    a = np.random.default_rng(7).normal(size=(d, d)) / np.sqrt(d) if mixed else np.eye(d)
    value = float(np.trace(np.linalg.inv(np.eye(d) + a.T @ a)) / d)

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, d))
        return x @ a.T + rng.normal(size=(n, d)), x, np.arange(n) % 2

    return Truth(f"linear-Gaussian, d = {d}{', mixed' if mixed else ''}", "zx", value, True, draw)


def sign_channel(noise: float = 0.5) -> Truth:
    """Z = sign(X) + noise N, X standard normal: E[X|Z] = sqrt(2/pi) tanh(Z / noise^2), squared by quadrature."""
    z = np.linspace(-1 - 12 * noise, 1 + 12 * noise, 200_001)
    density = np.exp(-((z - 1) ** 2) / (2 * noise**2)) + np.exp(-((z + 1) ** 2) / (2 * noise**2))
    value = 1 - 2 / np.pi * float((density * np.tanh(z / noise**2) ** 2).sum() / density.sum())

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 1))
        return np.sign(x) + noise * rng.normal(size=(n, 1)), x, np.arange(n) % 2

    return Truth("sign channel", "zx", value, False, draw)


def copy(d: int) -> Truth:
    """Z = X: nothing is lost."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, d))
        return x, x, np.arange(n) % 2

    return Truth(f"Z = X, d = {d}", "zx", 0.0, True, draw)


def independent_noise(measure: str, d: int, classes: int = 10) -> Truth:
    """Z independent of X and Y: nothing can be decoded."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return rng.normal(size=(n, d)), rng.normal(size=(n, 16)), rng.permutation(np.arange(n) % classes)

    value = 1.0 if measure == "zx" else float(np.log(classes))
    return Truth(f"independent noise, d = {d}", measure, value, True, draw)


def mixture(classes: int, d: int, spread: float, permuted: bool = False) -> Truth:
    """Y one of several unit Gaussians in d dimensions, Z a draw from it; their logits are linear in Z."""
    means = np.random.default_rng(11).normal(size=(classes, d)) * spread

    def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, classes, n)
        return means[y] + rng.normal(size=(n, d)), y

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z, y = sample(rng, n)
        return z, z, rng.permutation(y) if permuted else y

    z, y = sample(np.random.default_rng(12), 1_000_000)
    logits = z @ means.T - (means**2).sum(1) / 2
    top = logits.max(1)
    posterior = np.log(np.exp(logits - top[:, None]).sum(1)) + top - logits[np.arange(len(y)), y]
    value = float(np.log(classes)) if permuted else float(posterior.mean())
    name = f"{classes} Gaussians, d = {d}"
    return Truth(f"{name}, labels permuted" if permuted else name, "zy", value, True, draw)


def exclusive_or(flip: float = 0.1) -> Truth:
    """Z two bits, slightly blurred; Y their exclusive or, flipped with probability ``flip``: H(Y|Z) = h(flip)."""
    value = float(-flip * np.log(flip) - (1 - flip) * np.log(1 - flip))

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bits = rng.integers(0, 2, (n, 2))
        y = (bits.sum(1) % 2) ^ (rng.random(n) < flip)
        return bits + 0.05 * rng.normal(size=(n, 2)), bits.astype(float), y

    return Truth("exclusive or of two bits", "zy", value, False, draw)


def all_truths() -> list[Truth]:
    """Every distribution of the accuracy table."""
    return [
        *(linear_gaussian(d) for d in (1, 8, 64)),
        linear_gaussian(8, mixed=True),
        sign_channel(),
        *(copy(d) for d in (1, 8, 64)),
        *(independent_noise(measure, d) for measure in ("zx", "zy") for d in (8, 4000)),
        mixture(4, 4, 0.6),
        mixture(10, 10, 0.6),
        mixture(10, 10, 0.6, permuted=True),
        exclusive_or(),
    ]

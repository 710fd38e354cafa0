"""A reversible random network on real images: nothing is lost, however hard it is to read."""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from infoplane.data.sets.digits import Options, load
from infoplane.measures.truths.truth import Sample, Truth

HALF = 32
"""Pixels in either half of an 8x8 digit."""

WIDTH = 64


def weights(steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the two layers of each half-step's branch, drawn once and for all."""
    rng = np.random.default_rng(31)
    shapes = ((HALF, WIDTH), (WIDTH, HALF))
    return [(rng.normal(size=shapes[0]) / HALF**0.5, rng.normal(size=shapes[1]) / WIDTH**0.5) for _ in range(steps)]


def branch(x: np.ndarray, step: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A two-layer network with GELU, of half a state, (n, 32)."""
    hidden = x @ step[0]
    found: np.ndarray = (hidden * ndtr(hidden)) @ step[1]
    return found


def forward(x: np.ndarray, steps: int) -> np.ndarray:
    """A half of the state is added a branch of the other, in turns; (n, 64)."""
    first, second = x[:, :HALF], x[:, HALF:]
    for step in weights(steps):
        first, second = second, first + branch(second, step)
    return np.hstack([first, second])


def backward(z: np.ndarray, steps: int) -> np.ndarray:
    """Undo `forward`."""
    first, second = z[:, :HALF], z[:, HALF:]
    for step in reversed(weights(steps)):
        first, second = second - branch(first, step), first
    return np.hstack([first, second])


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The images with mean 0 and variance 1 over all pixels, (1797, 64), and their labels."""
    found = load(Options(), Path())
    images = np.asarray(found["x"], dtype=np.float64).reshape(-1, 2 * HALF)
    return (images - images.mean()) / images.std(), np.asarray(found["y"])


def reversible_digits(steps: int = 12) -> Truth:
    """X the 8x8 digits, standardised as a whole, Z their state in a random reversible network: Z-X is 0.

    A draw is n of the 1,797 images, all of them where n is larger. (Gomez et al., "The reversible residual network",
    2017, is the construction.)
    """
    images, labels = digits()

    def draw(rng: np.random.Generator, n: int) -> Sample:
        rows = rng.permutation(len(images))[:n]
        return forward(images[rows], steps), images[rows], labels[rows]

    return Truth(f"reversible network of {steps} half-steps on digits", "hard cases", {"zx": 0.0}, draw)

"""Pairs of 16x16 pictures whose only content is a latent of two numbers with known information.

A picture is an injective map of its latent, so the information of the pictures is that of the latents (Butakov et al.,
"Information bottleneck analysis of deep neural networks via lossy compression", 2023, whose two kinds of pictures
these are).
"""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from infoplane.measures.truths.gaussian import correlated_pair
from infoplane.measures.truths.truth import Sample, Truth, two_classes

SIDE = 16

Picture = Callable[[np.ndarray], np.ndarray]
"""Latents in [0, 1], (n, 2) -> pictures, (n, 1, 16, 16)."""


def blobs(latent: np.ndarray) -> np.ndarray:
    """A Gaussian blob of deviation 2 pixels, whose centre is the latent's place in the middle half of the picture."""
    centre = SIDE / 4 + SIDE / 2 * latent
    pixels = np.arange(SIDE) + 0.5
    down, across = (np.exp(-((pixels - centre[:, [axis]]) ** 2) / 8) for axis in (0, 1))
    return (down[:, :, None] * across[:, None, :])[:, None]


def rectangles(latent: np.ndarray) -> np.ndarray:
    """A rectangle with a fixed corner, whose sides of 4 to 12 pixels are the latent; a cut pixel is grey."""
    end = SIDE - 2
    start = end - 4 - 8 * latent
    pixels = np.arange(SIDE)
    inside = pixels < end
    down, across = (np.clip(pixels + 1 - start[:, [axis]], 0, 1) * inside for axis in (0, 1))
    return (down[:, :, None] * across[:, None, :])[:, None]


def pictures(name: str, draw_picture: Picture, information: float) -> Truth:
    """X and Z pictures of two correlated latents: normal, then uniform by the normal distribution function."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x, z = correlated_pair(rng, n, 2, information)
        return draw_picture(ndtr(z)), draw_picture(ndtr(x)), two_classes(n)

    return Truth(f"pictures of {name}, {information:g} nats", "pictures", {"ixz": float(information)}, draw)

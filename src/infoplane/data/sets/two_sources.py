"""Short sounds of two sources, a steady tone with overtones and a series of clicks, and their sum; drawn from a seed.

x: the mixture; y: the tone and the clicks, equally loud. Nothing is scaled, so that x is the sum of y.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.samples import Samples
from infoplane.options import Field, Fields, require

RATE = 4000
"""Samples a second."""
PITCH = 150, 400
"""Of a tone, Hz."""
OVERTONES = 3
"""Beside the tone itself, each half as strong as the one before."""
CLICKS = 15, 60
"""A second."""
FADING = 0.001
"""Seconds until a click has faded to 1/e."""


@dataclass(frozen=True)
class Options:
    size: Annotated[int, "number of sounds"] = 1000
    length: Annotated[int, "samples of a sound, 4,000 a second"] = 256
    seed: Annotated[int, "of the draw"] = 0

    def __post_init__(self) -> None:
        require(self.size >= 1, f"size must be at least 1, got {self.size}")
        require(self.length >= 64, f"length must be at least 64 samples, got {self.length}")
        require(self.seed >= 0, f"seed must be at least 0, got {self.seed}")

    @property
    def fields(self) -> Fields:
        return {
            "x": Field((1, self.length), "ct", "float32", scale="none"),
            "y": Field((2, self.length), "ct", "float32", scale="none"),
        }


def load(options: Options, folder: Path) -> Samples:
    """Draw pitch and phases of every tone, rate and times of its clicks."""
    random = np.random.default_rng(options.seed)
    both = np.stack([tones(random, options), clicks(random, options)], 1)
    both -= both.mean(2, keepdims=True)
    both /= both.std(2, keepdims=True)
    sources = both.astype(np.float32)
    return Samples(
        {"x": sources.sum(1, keepdims=True), "y": sources},
        "two_sources: sums of a tone and of clicks, drawn at random.",
    )


def tones(random: np.random.Generator, options: Options) -> np.ndarray:
    """Shape (size, length)."""
    time = np.arange(options.length) / RATE
    pitch = random.uniform(*PITCH, (options.size, 1))
    phases = random.uniform(0, 2 * np.pi, (OVERTONES + 1, options.size, 1))
    parts = [np.sin(2 * np.pi * (n + 1) * pitch * time + phase) / 2**n for n, phase in enumerate(phases)]
    return np.sum(parts, 0)


def clicks(random: np.random.Generator, options: Options) -> np.ndarray:
    """Shape (size, length); at even distances, each a pulse that fades."""
    fading = np.exp(-np.arange(options.length) / (FADING * RATE))
    distance = RATE / random.uniform(*CLICKS, options.size)
    made = np.zeros((options.size, options.length))
    for row, apart in enumerate(distance):
        first = random.uniform(0, min(apart, options.length / 2))
        made[row, np.arange(first, options.length, apart).astype(int)] = 1
    return np.stack([np.convolve(one, fading)[: options.length] for one in made])

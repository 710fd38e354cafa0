"""Words of three tones in noise, as log-mel spectra: what keyword spotting reads, drawn from a seed.

A word is a melody: each of its tones is low, middle or high, and no two that follow one another are equal. Pitch, pace,
loudness and noise differ from sample to sample. Stevens, Volkmann and Newman 1937 gave the mel scale; the formula is
that of O'Shaughnessy 1987, 2595 log10(1 + f / 700).
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.samples import Samples
from infoplane.options import Field, Fields, label, require

BANDS = 20
"""Of mel, in a spectrum."""
FRAMES = 32
"""Windows in a spectrum."""
RATE, WINDOW, HOP = 4000, 256, 128
"""Samples a second, in a window, and from one window to the next."""
LENGTH = WINDOW + HOP * (FRAMES - 1)
TONES = {"low": 300.0, "middle": 600.0, "high": 1200.0}
"""Hz, before a speaker's own factor."""
FLOOR = 1e-3
"""Added to energies before the logarithm is taken."""
WORDS = tuple("-".join(word) for word in product(TONES, repeat=3) if word[0] != word[1] != word[2])


@dataclass(frozen=True)
class Options:
    size: Annotated[int, "number of words"] = 1200
    classes: Annotated[int, "number of different words, at most 12"] = 6
    noise: Annotated[float, "standard deviation of the noise; a tone has the amplitude 0.5 to 1"] = 0.5
    seed: Annotated[int, "of the draw"] = 0

    def __post_init__(self) -> None:
        require(self.size >= 1, f"size must be at least 1, got {self.size}")
        require(2 <= self.classes <= 12, f"classes must be from 2 to 12, got {self.classes}")
        require(self.noise >= 0, f"noise must be at least 0, got {self.noise}")
        require(self.seed >= 0, f"seed must be at least 0, got {self.seed}")

    @property
    def fields(self) -> Fields:
        return {"x": Field((1, BANDS, FRAMES), "cft", "float32"), "y": label(self.classes)}


def load(options: Options, folder: Path) -> Samples:
    """Draw the words, equally many of each, up to one."""
    random, words = np.random.default_rng(options.seed), np.arange(options.size) % options.classes
    spectra = np.stack([log_mel(spoken(random, WORDS[word], options.noise)) for word in words])
    return Samples(
        {"x": spectra[:, None].astype(np.float32), "y": words},
        "tone_words: words of three tones in noise, drawn at random, as log-mel spectra.",
        {"y": WORDS[: options.classes]},
    )


def spoken(random: np.random.Generator, word: str, noise: float) -> np.ndarray:
    """One word as sound, shape (LENGTH,)."""
    speaker, loudness = 2 ** random.uniform(-0.25, 0.25), random.uniform(0.5, 1)
    lengths = random.integers(LENGTH // 8, LENGTH // 4, 3)
    start = random.integers(0, LENGTH - lengths.sum() + 1)
    sound = noise * random.normal(size=LENGTH)
    for tone, length in zip(word.split("-"), lengths, strict=True):
        time = np.arange(length)
        wave = np.sin(2 * np.pi * speaker * TONES[tone] * time / RATE + random.uniform(0, 2 * np.pi))
        sound[start : start + length] += loudness * np.sin(np.pi * time / length) * wave
        start += length
    return sound


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Logarithm of the energies in mel bands, shape (BANDS, FRAMES), of a sound of shape (LENGTH,)."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    energies = np.abs(np.fft.rfft(windows)) ** 2 / WINDOW
    return np.log(energies @ mel_bands().T + FLOOR).T


def mel_bands() -> np.ndarray:
    """Triangles that are even in mel, shape (BANDS, WINDOW / 2 + 1)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)

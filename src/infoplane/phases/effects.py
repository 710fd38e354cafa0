"""Sums and differences of measured values over seeds, with intervals that know of samples and of seeds.

Every run is measured on the same held-out samples, so their error does not shrink with more seeds: it is added to the
spread between seeds, not averaged with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from infoplane.phases import resample
from infoplane.phases.mending import Array
from infoplane.phases.resample import Mean


@dataclass(frozen=True)
class Reading:
    """One measured value: its standard error over samples, its values on parts of the images, how many samples."""

    value: float
    stderr: float | None = None
    parts: tuple[float, ...] | None = None
    n: int | None = None


Readings = Mapping[str, Mapping[int, Reading]]
"""Quantity -> seed -> value, all at one site and checkpoint."""


@dataclass(frozen=True)
class Effect:
    """An estimate with its uncertainty, infinite where there is one seed and nothing is known of the images."""

    mean: Mean
    seeds: int
    basis: str

    @property
    def value(self) -> float:
        return float(self.mean.value[0])

    def interval(self, level: float) -> tuple[float | None, float | None]:
        """Two Nones where nothing is known of the error."""
        if not self.basis:
            return None, None
        low, high = self.mean.interval(level)
        return float(low[0]), float(high[0])

    def draws(self, random: np.random.Generator, count: int) -> Array:
        """Draws of the true value, shape (count,); the estimate itself where nothing is known of its error."""
        return self.mean.draws(random, count) if self.basis else np.full(count, self.value)


def effect(readings: Readings, terms: Mapping[str, float]) -> Effect | None:
    """Mean over seeds of a weighted sum of quantities; None where no seed has them all.

    With parts of the held-out images for all values it is the mean over seeds and parts of `resample.mean`, which
    knows that they were taken on the same samples. Else the error over samples is that of the standard errors, as if
    they were not, and is added to that between seeds (a little too large: the seeds' spread holds some of it).
    """
    seeds = sorted(set.intersection(*(set(readings.get(name, {})) for name in terms)))
    if not seeds:
        return None
    used = [[(readings[name][seed], weight) for name, weight in terms.items()] for seed in seeds]
    sums = np.array([[sum(weight * reading.value for reading, weight in row)] for row in used])
    every = [reading for row in used for reading, _ in row]
    counts = {len(reading.parts) if reading.parts else 0 for reading in every}
    between = ["seeds"] if len(seeds) > 1 else []
    if len(counts) == 1 and counts.pop() > 1:
        crossed = [np.sum([weight * np.array(reading.parts) for reading, weight in row], 0) for row in used]
        mean = replace(resample.mean(np.array([crossed])), value=sums.mean(0))
        return Effect(mean, len(seeds), " and ".join(["samples", *between]))
    of_seeds = resample.mean(sums[None]) if between else Mean.student(sums[0], np.zeros(1), 1.0)
    if any(reading.stderr is None for reading in every):
        return Effect(of_seeds, len(seeds), "".join(between))
    errors = [np.sqrt(sum((weight * (reading.stderr or 0.0)) ** 2 for reading, weight in row)) for row in used]
    known = [reading.n for reading in every if reading.n]
    mean = of_seeds.together(float(np.mean(errors)), max(1.0, min(known, default=2) - 1.0))
    return Effect(mean, len(seeds), " and ".join(["samples", *between]))

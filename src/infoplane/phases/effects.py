"""Sums and differences of measured values over seeds, with intervals that know of probes and of seeds.

Every run is measured on the same probe samples, so their error does not shrink with more seeds: it is added to the
spread between seeds, not averaged with it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

MOST = 1e6
"""Degrees of freedom from which on Student's t is the normal distribution."""


@dataclass(frozen=True)
class Reading:
    """One measured value: its standard error over samples, its values on parts of the probe, how many samples."""

    value: float
    stderr: float | None = None
    parts: tuple[float, ...] | None = None
    n: int | None = None


Readings = Mapping[str, Mapping[int, Reading]]
"""Quantity -> seed -> value, all at one site and checkpoint."""


@dataclass(frozen=True)
class Effect:
    """An estimate with its standard error (None: one seed, and nothing known of the probe) and degrees of freedom."""

    value: float
    error: float | None
    freedom: float
    seeds: int
    basis: str

    def interval(self, level: float) -> tuple[float | None, float | None]:
        """Student's t interval; two Nones where there is no standard error."""
        if self.error is None:
            return None, None
        half = self.error * float(stdtrit(self.freedom, (1 + level) / 2))
        return self.value - half, self.value + half

    def draws(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Values that the truth may have, shape (count,); the estimate itself where nothing is known of its error."""
        return self.value + (self.error or 0.0) * random.standard_t(self.freedom, count)


def effect(readings: Readings, terms: Mapping[str, float]) -> Effect | None:
    """Mean over seeds of a weighted sum of quantities; None where no seed has them all.

    The variance is that over probes plus that between seeds over their number (a little too large, for the seeds'
    spread holds some of the probes'), with degrees of freedom after Welch and Satterthwaite (1946). Over probes: of
    the mean over parts where all values have parts, which knows that they were taken on the same samples; else from
    the standard errors as if they were not.
    """
    seeds = sorted(set.intersection(*(set(readings.get(name, {})) for name in terms)))
    if not seeds:
        return None
    sums = np.array([sum(weight * readings[name][seed].value for name, weight in terms.items()) for seed in seeds])
    variances: list[tuple[float, float]] = []
    basis = []
    over_probes = _over_probes(readings, terms, seeds)
    if over_probes is not None:
        variances.append(over_probes)
        basis.append("probes")
    if len(seeds) > 1:
        variances.append((float(sums.var(ddof=1)) / len(seeds), len(seeds) - 1.0))
        basis.append("seeds")
    total = sum(variance for variance, _ in variances)
    parts = sum(variance**2 / freedom for variance, freedom in variances)
    freedom = min(MOST, total**2 / parts) if parts > 0 else MOST
    error = math.sqrt(total) if variances else None
    return Effect(float(sums.mean()), error, freedom, len(seeds), " and ".join(basis))


def _over_probes(readings: Readings, terms: Mapping[str, float], seeds: list[int]) -> tuple[float, float] | None:
    """Variance of the mean over seeds that is owed to the choice of probes, and its degrees of freedom."""
    used = [[(readings[name][seed], weight) for name, weight in terms.items()] for seed in seeds]
    every = [reading for row in used for reading, _ in row]
    counts = {len(reading.parts) if reading.parts else 0 for reading in every}
    if len(counts) == 1 and (count := counts.pop()) > 1:
        together = np.mean([[weight * np.array(reading.parts) for reading, weight in row] for row in used], 0).sum(0)
        return float(together.var(ddof=1)) / count, count - 1.0
    if any(reading.stderr is None for reading in every):
        return None
    errors = [math.sqrt(sum((weight * (reading.stderr or 0.0)) ** 2 for reading, weight in row)) for row in used]
    known = [reading.n for reading in every if reading.n]
    return float(np.mean(errors)) ** 2, max(1.0, min(known, default=2) - 1.0)

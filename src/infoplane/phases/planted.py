"""Curves with a known turn, fit depth, compression height and noise, to see how often the analysis is right.

A planted value is  shape(checkpoint) + block effect + noise, and the noise has four parts: of the samples (shared by
seeds), of the seed (shared by the samples), of each seed and block, and of the size of a seed's phases; the first three
are correlated over checkpoints (an autoregression of order 1). On the scale of Z-X, 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.phases import labels, mending, resample, turn
from infoplane.phases.curves import Array, Curve
from infoplane.phases.resample import Mean

SHAPES: dict[str, tuple[float, float, float]] = {
    "two-phase": (0.12, 0.10, 0.5),
    "two-phase, early": (0.04, 0.10, 0.2),
    "compression-only": (0.0, 0.15, 0.0),
    "fitting-only": (0.15, 0.0, 0.5),
    "flat": (0.0, 0.0, 0.0),
    "drift up": (0.0, 0.03, 0.0),
    "drift down": (0.03, 0.0, 1.0),
    "step": (0.12, 0.0, 0.09),
}
"""Fit depth, compression height, and the turn as a share of the way; a step falls between the first two checkpoints."""
STRAIGHT = ("drift up", "drift down")
"""Shapes of straight lines; the others start, turn and end level."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations at one block of one seed, and the correlation of neighbouring checkpoints."""

    samples: float = 0.02
    seed: float = 0.005
    both: float = 0.01
    size: float = 0.1
    """Of a seed's phases, as a share of them."""
    correlation: float = 0.7
    difficulty: float = 0.1
    """Between blocks, the same at all checkpoints."""
    growth: float = 1.0
    """How many times larger the noise is at the last checkpoint than at the first; the mean stays."""
    outlier: float = 0.0
    """How far one checkpoint of the first seed, neither the first nor the last, lies off: up or down, by chance."""
    missing: float = 0.0
    """Share of the checkpoints between the first and the last that each seed lacks."""


NOISES: dict[str, Noise] = {
    "none (frozen)": Noise(0.0, 0.0, 0.0, 0.0),
    "low": Noise(0.01, 0.002, 0.005, 0.05),
    "middle": Noise(),
    "high": Noise(0.06, 0.015, 0.03, 0.2),
    "independent": Noise(0.0, 0.0, 0.05, 0.0, 0.0),
    "jumpy seeds": Noise(0.01, 0.01, 0.005, 0.1, 0.0),
    "slow": Noise(correlation=0.95),
    "growing": Noise(growth=10.0),
    "outlier": Noise(outlier=0.2),
    "missing": Noise(missing=0.2),
}
QUANTITIES = ("fit_depth", "compression_height", "turn")


@dataclass(frozen=True)
class Planted:
    """values: (count, seeds, checkpoints, blocks); own: each seed's curve at endless samples; curve: over all seeds."""

    values: Array
    own: Array
    curve: Array

    def truth(self, name: str) -> Array:
        """A quantity's true value: of the one network where there is one, else of networks in general; (count,)."""
        curves = self.own[:, 0] if self.own.shape[1] == 1 else np.broadcast_to(self.curve, self.own[:, 0].shape)
        lowest = curves.min(-1)
        return {"fit_depth": curves[:, 0] - lowest, "compression_height": curves[:, -1] - lowest, "turn": lowest}[name]


def shape(
    fit_depth: float, height: float, turn: float, checkpoints: int, start: float = 0.5, straight: bool = False
) -> Array:
    """A curve that falls by fit_depth to its turn (a share of the way) and rises by height after it."""
    time = np.linspace(0, 1, checkpoints)
    at = time[round(turn * (checkpoints - 1))]
    down = np.clip(time / at, 0, 1) if at > 0 else np.zeros_like(time)
    up = np.clip((time - at) / (1 - at), 0, 1) if at < 1 else np.zeros_like(time)
    down, up = (each if straight else np.sin(np.pi / 2 * each) ** 2 for each in (down, up))
    return np.asarray(start - fit_depth * down + height * up)


def curve(kind: str, checkpoints: int) -> Array:
    """The curve of a shape in `SHAPES`."""
    return shape(*SHAPES[kind], checkpoints, straight=kind in STRAIGHT)


def _growing(noise: Noise, checkpoints: int) -> Array:
    """Factors of the noise along the checkpoints, of mean 1."""
    factors = np.geomspace(1, noise.growth, checkpoints)
    return np.asarray(factors / factors.mean())


def plant(
    curve: Array,
    noise: Noise,
    count: int,
    seeds: int,
    blocks: int,
    generator: np.random.Generator,
    stderr: Array | None = None,
) -> Planted:
    """Noisy values around a curve of shape (checkpoints,), with gaps filled and outliers replaced.

    stderr: (seeds, checkpoints), what is known of the noise.
    """
    checkpoints = len(curve)
    growing = _growing(noise, checkpoints)

    def wander(scale: float, *axes: int) -> Array:
        steps = generator.standard_normal((checkpoints, *axes))
        for place in range(1, checkpoints):
            kept = noise.correlation * steps[place - 1]
            steps[place] = kept + np.sqrt(1 - noise.correlation**2) * steps[place]
        return np.asarray(scale * growing[:, None] * np.moveaxis(steps, 0, 2))

    sizes = 1 + noise.size * generator.standard_normal((count, seeds, 1, 1))
    own = curve[0] + sizes * (curve - curve[0])[:, None] + wander(noise.seed, count, seeds, 1)
    values = own + wander(noise.samples, count, 1, blocks) + wander(noise.both, count, seeds, blocks)
    values = values + noise.difficulty * generator.standard_normal((count, 1, 1, blocks))
    known = np.full((seeds, checkpoints), np.nan) if stderr is None else stderr
    return Planted(mending.mend(_spoilt(values, noise, generator), known)[0], own[..., 0], curve)


def _spoilt(values: Array, noise: Noise, generator: np.random.Generator) -> Array:
    """Values (count, seeds, checkpoints, blocks) with outliers and gaps."""
    count, seeds, checkpoints, _ = values.shape
    between = checkpoints - 2
    if noise.outlier:
        values = values.copy()
        side = noise.outlier * generator.choice([-1, 1], (count, 1))
        values[np.arange(count), 0, 1 + generator.integers(0, between, count)] += side
    if noise.missing:
        gone = np.zeros((count, seeds, checkpoints), bool)
        gone[..., 1:-1] = generator.random((count, seeds, between)) < noise.missing
        gone[:, 0] &= ~gone.all(1)
        values = np.where(gone[..., None], np.nan, values)
    return values


def study(
    count: int,
    seeds: int,
    checkpoints: int = 12,
    blocks: int = 20,
    margin: float = 0.01,
    level: float = 0.95,
    shapes: Mapping[str, tuple[float, float, float]] = SHAPES,
    noises: Mapping[str, Noise] = NOISES,
) -> list[dict[str, Any]]:
    """One row per noise and shape: how often labels are right, wrong or withheld, and intervals hold the truth.

    count: curves of each. `claims`: the share of labels that claim a phase.
    """
    generator = np.random.default_rng(seeds)
    rows = []
    for name, noise in noises.items():
        for kind in shapes:
            each = plant(curve(kind, checkpoints), noise, count, seeds, blocks, generator)
            like = Curve("zx", 1, each.values[0], np.full((seeds, checkpoints), np.nan), True, 1.0)
            sure = labels.quantities(each.values, like)
            rows.append({"noise": name, "shape": kind, "seeds": seeds} | _judged(each, sure, margin, level))
    return rows


def _bare(spread: float, correlation: float = 0.0, **more: float) -> Noise:
    return Noise(0.0, 0.0, spread, 0.0, correlation, 0.0, **more)


BARE: dict[str, Noise] = {
    "0.003": _bare(0.003),
    "0.01": _bare(0.01),
    "0.03": _bare(0.03),
    "slow": _bare(0.01, 0.7),
    "growing": _bare(0.01, growth=10.0),
    "outlier": _bare(0.01, outlier=0.2),
    "missing": _bare(0.01, missing=0.2),
}
"""Noise of curves without parts of the held-out images."""


def study_bare(
    count: int, seeds: int, noise: Noise, known: bool = False, checkpoints: int = 12, level: float = 0.95
) -> list[dict[str, Any]]:
    """The same without parts of the held-out images, one row per shape.

    known: one seed's noise is given as its standard error; else it is guessed from its curve.
    """
    generator = np.random.default_rng(seeds)
    spread = noise.both * _growing(noise, checkpoints) if known else np.full(checkpoints, np.nan)
    stderr = np.broadcast_to(spread, (seeds, checkpoints))
    rows = []
    for kind in SHAPES:
        each = plant(curve(kind, checkpoints), noise, count, seeds, 1, generator, stderr)
        sure = labels.quantities(each.values, Curve("zx", 1, each.values[0], stderr, False, 1.0))
        keys = {"basis": sure.basis, "shape": kind, "seeds": seeds}
        rows.append(keys | _judged(each, sure, 0.01, level))
    return rows


def _judged(planted: Planted, sure: labels.Sure, margin: float, level: float) -> dict[str, Any]:
    said = [labels.label(*pair, level)[0] for pair in zip(*sure.phases(margin), strict=True)]
    true = [
        labels.label(float(fit > margin), float(rise > margin), level)[0]
        for fit, rise in zip(planted.truth("fit_depth"), planted.truth("compression_height"), strict=True)
    ]
    count = len(said)
    told = {"count": count, "right": sum(map(str.__eq__, said, true)) / count}
    told["ambiguous"] = said.count(labels.AMBIGUOUS) / count
    told["wrong"] = 1 - told["right"] - told["ambiguous"]
    told["claims"] = 1 - told["ambiguous"] - said.count(labels.FLAT) / count
    for name in QUANTITIES:
        mean: Mean = getattr(sure, name)
        low, high = mean.interval(level)
        truth = planted.truth(name)
        slack = resample.ROUNDING
        told[f"{name}_coverage"] = float(((low - slack <= truth) & (truth <= high + slack)).mean())
        told[f"{name}_bias"] = float((mean.value - truth).mean())
        told[f"{name}_width"] = float((high - low).mean())
    return told


def turn_coverage(
    experiments: int, seeds: int, noise: Noise, resamples: int = 1000, level: float = 0.95, checkpoints: int = 12
) -> float:
    """How often the interval of the turn's step holds the true turn of a two-phase curve."""
    generator = np.random.default_rng(seeds)
    planted = plant(shape(*SHAPES["two-phase"], checkpoints), noise, experiments, seeds, 20, generator)
    held = 0
    for values, own in zip(planted.values, planted.own, strict=True):
        drawn = resample.turning_places(values, resamples)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        true = (own[0] if seeds == 1 else planted.curve).argmin()
        held += int(low <= true <= high)
    return held / experiments


def pigeonhole_coverage(
    experiments: int, seeds: int, noise: Noise, resamples: int = 500, level: float = 0.95, checkpoints: int = 12
) -> dict[str, float]:
    """The plain bootstrap that this analysis does not use, for comparison, on two-phase and on flat curves.

    Seeds and blocks are drawn with replacement, the turn is the lowest smoothed point of each resample, and the
    interval is that of percentiles. Gives the coverage of the fit depth, and how often flat curves fit or compress.
    """
    found = {}
    for kind in ("two-phase", "flat"):
        generator = np.random.default_rng(seeds)
        planted = plant(shape(*SHAPES[kind], checkpoints), noise, experiments, seeds, 20, generator)
        truth = planted.truth("fit_depth")
        held = claimed = 0
        for values, true in zip(planted.values, truth, strict=True):
            fits, rises = _pigeonholes(values, resamples, generator)
            low, high = np.quantile(fits, [(1 - level) / 2, (1 + level) / 2])
            held += int(low <= true <= high)
            claimed += int((fits > 0.01).mean() >= level or (rises > 0.01).mean() >= level)
        found[f"{kind} coverage"], found[f"{kind} claims"] = held / experiments, claimed / experiments
    return found


def _pigeonholes(values: Array, resamples: int, generator: np.random.Generator) -> tuple[Array, Array]:
    seeds, checkpoints, blocks = values.shape
    drawn: NDArray[np.float64] = np.empty((resamples, checkpoints))
    of_seeds = generator.integers(0, seeds, (resamples, seeds))
    of_blocks = generator.integers(0, blocks, (resamples, blocks))
    for row in range(resamples):
        drawn[row] = values[of_seeds[row]].mean(0)[:, of_blocks[row]].mean(-1)
    lowest = np.take_along_axis(drawn, turn.turning_point(drawn)[:, None], -1)[:, 0]
    return drawn[:, 0] - lowest, drawn[:, -1] - lowest

"""Curves with a known turn, fit depth, compression height and noise, to see how often the analysis is right.

A planted value is  shape(checkpoint) + block effect + noise, and the noise has four parts: of the probe (shared by
seeds), of the seed (shared by the probe), of each seed and block, and of the size of a seed's phases; the first three
are correlated over checkpoints (an autoregression of order 1). On the scale of Z-X, 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.phases import labels, resample, turn
from infoplane.phases.curves import Array, Curve
from infoplane.phases.resample import Mean

SHAPES: dict[str, tuple[float, float, float]] = {
    "two-phase": (0.12, 0.10, 0.5),
    "two-phase, early": (0.04, 0.10, 0.2),
    "compression-only": (0.0, 0.15, 0.0),
    "fitting-only": (0.15, 0.0, 0.5),
    "flat": (0.0, 0.0, 0.0),
}
"""Fit depth, compression height, and the turn as a share of the way."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations at one block of one seed, and the correlation of neighbouring checkpoints."""

    probe: float = 0.02
    seed: float = 0.005
    both: float = 0.01
    size: float = 0.1
    """Of a seed's phases, as a share of them."""
    correlation: float = 0.7
    difficulty: float = 0.1
    """Between blocks, the same at all checkpoints."""


NOISES: dict[str, Noise] = {
    "none (frozen)": Noise(0.0, 0.0, 0.0, 0.0),
    "low": Noise(0.01, 0.002, 0.005, 0.05),
    "middle": Noise(),
    "high": Noise(0.06, 0.015, 0.03, 0.2),
    "independent": Noise(0.0, 0.0, 0.05, 0.0, 0.0),
    "jumpy seeds": Noise(0.01, 0.01, 0.005, 0.1, 0.0),
}
QUANTITIES = ("fit_depth", "compression_height", "turn")


@dataclass(frozen=True)
class Planted:
    """values: (count, seeds, checkpoints, blocks); own: each seed's curve at endless probes; curve: over all seeds."""

    values: Array
    own: Array
    curve: Array

    def truth(self, name: str) -> Array:
        """A quantity's true value: of the one network where there is one, else of networks in general; (count,)."""
        curves = self.own[:, 0] if self.own.shape[1] == 1 else np.broadcast_to(self.curve, self.own[:, 0].shape)
        lowest = curves.min(-1)
        return {"fit_depth": curves[:, 0] - lowest, "compression_height": curves[:, -1] - lowest, "turn": lowest}[name]


def shape(fit_depth: float, height: float, turn: float, checkpoints: int, start: float = 0.5) -> Array:
    """A curve that falls by fit_depth to its turn (a share of the way) and rises by height after it."""
    time = np.linspace(0, 1, checkpoints)
    at = time[round(turn * (checkpoints - 1))]
    down = np.clip(time / at, 0, 1) if at > 0 else np.zeros_like(time)
    up = np.clip((time - at) / (1 - at), 0, 1) if at < 1 else np.zeros_like(time)
    return np.asarray(start - fit_depth * np.sin(np.pi / 2 * down) ** 2 + height * np.sin(np.pi / 2 * up) ** 2)


def plant(
    curve: Array, noise: Noise, count: int, seeds: int, blocks: int, generator: np.random.Generator
) -> Planted:  # fmt: skip
    """Noisy values around a curve of shape (checkpoints,)."""
    checkpoints = len(curve)

    def wander(scale: float, *axes: int) -> Array:
        steps = generator.standard_normal((checkpoints, *axes))
        for place in range(1, checkpoints):
            kept = noise.correlation * steps[place - 1]
            steps[place] = kept + np.sqrt(1 - noise.correlation**2) * steps[place]
        return np.asarray(scale * np.moveaxis(steps, 0, 2))

    sizes = 1 + noise.size * generator.standard_normal((count, seeds, 1, 1))
    own = curve[0] + sizes * (curve - curve[0])[:, None] + wander(noise.seed, count, seeds, 1)
    values = own + wander(noise.probe, count, 1, blocks) + wander(noise.both, count, seeds, blocks)
    values = values + noise.difficulty * generator.standard_normal((count, 1, 1, blocks))
    return Planted(values, own[..., 0], curve)


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
    keys = [(noise, kind) for noise in noises for kind in shapes]
    rows = []
    for noise, kind in keys:
        each = plant(shape(*shapes[kind], checkpoints), noises[noise], count, seeds, blocks, generator)
        reading = turn.read(each.values)
        means = {
            name: resample.mean(getattr(reading, name)).wider(labels.CROSSED if name in labels.CHOSEN else 1.0)
            for name in QUANTITIES
        }
        rows.append({"noise": noise, "shape": kind, "seeds": seeds} | _judged(each, means, margin, level))
    return rows


def study_bare(
    count: int, seeds: int, spread: float, known: bool = False, checkpoints: int = 12, level: float = 0.95
) -> list[dict[str, Any]]:
    """The same without parts of the probe: noise of this standard deviation, new at every checkpoint.

    One row per shape. known: one seed's noise is told as its standard error; else it is guessed from its curve.
    """
    generator = np.random.default_rng(seeds)
    rows = []
    for kind, numbers in SHAPES.items():
        curve = shape(*numbers, checkpoints)
        values = curve[:, None] + spread * generator.standard_normal((count, seeds, checkpoints, 1))
        stderr = np.full((seeds, checkpoints), spread if known else np.nan)
        like = Curve("zx", 1, values[0], stderr, False, 1.0)
        sure = labels.quantities(values, like)
        means = {name: getattr(sure, name) for name in QUANTITIES}
        planted = Planted(values, np.broadcast_to(curve, (count, seeds, checkpoints)), curve)
        keys = {"basis": sure.basis, "spread": spread, "shape": kind, "seeds": seeds}
        rows.append(keys | _judged(planted, means, 0.01, level))
    return rows


def _judged(planted: Planted, means: Mapping[str, Mean], margin: float, level: float) -> dict[str, Any]:
    fits, compresses = (means[name].above(margin).tolist() for name in QUANTITIES[:2])
    said = [labels.label(*pair, level)[0] for pair in zip(fits, compresses, strict=True)]
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
        low, high = means[name].interval(level)
        truth = planted.truth(name)
        slack = resample.ROUNDING
        told[f"{name}_coverage"] = float(((low - slack <= truth) & (truth <= high + slack)).mean())
        told[f"{name}_bias"] = float((means[name].value - truth).mean())
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

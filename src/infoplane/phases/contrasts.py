"""Does the shortcut cause it: the reference shortcut less each other one, paired by seed and part of the images.

Seeds share their data order and the held-out images, so a paired difference is surer than the difference of two
intervals. At the last block p-values are adjusted (Holm 1979, Scandinavian Journal of Statistics 6, 65): fit depth and
compression height are one family of tests over all architectures and shortcuts, every other quantity is a
family of its own. Elsewhere they stay as they are, and `p_adjusted` is null: those rows explore.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.phases import labels, resample, turn
from infoplane.phases.curves import Array, Cell
from infoplane.phases.resample import Mean

HEADLINE = ("fit_depth", "compression_height")
READ = (*HEADLINE, "start", "end")
Learned = Mapping[tuple[str, str, int], float]
"""(architecture, shortcut, seed) -> the task's metric on validation samples."""

METRIC = "metric"
"""The quantity that this is called."""


@dataclass(frozen=True)
class Pair:
    """A reference cell and another of the same architecture and site, both with the seeds that both have."""

    reference: Cell
    other: Cell

    @property
    def is_crossed(self) -> bool:
        """Whether values of the same seeds and parts of the held-out images can be subtracted one by one."""
        one, two = self.reference.x.values.shape, self.other.x.values.shape
        return (one[0], one[2]) == (two[0], two[2]) and one[0] * one[2] > 1

    @property
    def basis(self) -> str:
        one, two = labels.basis(self.reference.x), labels.basis(self.other.x)
        return one if one == two else f"{one}; {two}"


def pairs(cells: Sequence[Cell], reference: str) -> list[Pair]:
    """Every comparison that has at least one seed on both sides."""
    of = {(cell.architecture, cell.site, cell.shortcut): cell for cell in cells if len(cell.steps) > 1}
    found = []
    for cell in cells:
        held = of.get((cell.architecture, cell.site, reference))
        if held is None or cell.shortcut == reference or len(cell.steps) < 2:
            continue
        common = [seed for seed in held.seeds if seed in cell.seeds]
        if common:
            found.append(Pair(held.of(common), cell.of(common)))
    return found


def differences(
    found: Sequence[Pair],
    last_blocks: Mapping[str, str | None],
    learned: Learned,
    level: float,
    resamples: int,
) -> list[dict[str, Any]]:
    """The rows of the table, in the order of the pairs."""
    rows: list[dict[str, Any]] = []
    for pair, of_pair in zip(found, means(found, learned), strict=True):
        cell = pair.other
        measured = {name: _row(each, level) for name, each in of_pair.items() if each is not None}
        measured["turn_step"] = _steps(pair, level, resamples)
        for name in (*READ, "turn_step", "label_gain", METRIC):
            if name not in measured:
                continue
            basis = {METRIC: "seeds" if len(cell.seeds) > 1 else None}.get(name, pair.basis)
            note = "one seed" if name == METRIC and len(cell.seeds) < 2 else ""
            rows.append(
                {"architecture": cell.architecture, "family": cell.family, "measure": cell.x.measure}
                | {"site": cell.site, "depth": cell.depth, "quantity": name}
                | {"reference": pair.reference.shortcut, "shortcut": cell.shortcut}
                | measured[name]
                | {"p_adjusted": None, "seeds": len(cell.seeds), "basis": basis, "note": note}
            )
    _adjust(rows, last_blocks)
    return rows


def means(found: Sequence[Pair], learned: Learned) -> list[dict[str, Mean | None]]:
    """Of every pair, quantity -> the paired difference; None where there is none."""
    return [_means(pair, _crossed(pair)) | {METRIC: _learned(pair, learned)} for pair in found]


def _crossed(pair: Pair) -> dict[str, Array]:
    """Quantity -> paired differences (seeds, blocks); empty where they cannot be paired."""
    if not pair.is_crossed:
        return {}
    one, two = (turn.read(cell.x.values[None]) for cell in (pair.reference, pair.other))
    sign = {"start": pair.other.x.sign, "end": pair.other.x.sign}
    found = {name: sign.get(name, 1) * (getattr(one, name) - getattr(two, name))[0] for name in READ}
    if pair.reference.y is not None and pair.other.y is not None:
        gains = [cell.y.values[:, 0] - cell.y.values[:, -1] for cell in (pair.reference, pair.other) if cell.y]
        if gains[0].shape == gains[1].shape and gains[0].size > 1:
            found["label_gain"] = gains[0] - gains[1]
    return found


def _means(pair: Pair, values: Mapping[str, Array]) -> dict[str, Mean | None]:
    sides = [cell.x.values[None] for cell in (pair.reference, pair.other)]
    one, two = (labels.plain(each) for each in sides)
    plain = {name: one[name] - two[name] for name in HEADLINE}
    found: dict[str, Mean] = {}
    for name, each in values.items():
        of_two = labels.wider(name, len(each)) if name in HEADLINE else 1.0
        found[name] = resample.mean(each[None]).wider(of_two)
    grain = float(np.hypot(pair.reference.x.grain, pair.other.x.grain))
    if values:
        return {**labels.bracketed(found, plain, grain)}
    left, right = (labels.quantities(cell.x.values[None], cell.x) for cell in (pair.reference, pair.other))
    for name in READ:
        sign = pair.other.x.sign if name in ("start", "end") else 1
        this, that = getattr(left, name), getattr(right, name)
        spread = np.hypot(this.stderr, that.stderr)
        found[name] = Mean.student(sign * (this.value - that.value), spread, np.minimum(this.df, that.df))
    return {**labels.bracketed(found, plain, 0.0)}


def _learned(pair: Pair, learned: Learned) -> Mean | None:
    seeds = pair.other.seeds
    one, two = (
        np.array([learned.get((cell.architecture, cell.shortcut, seed), np.nan) for seed in seeds])
        for cell in (pair.reference, pair.other)
    )
    apart = one - two
    if not np.isfinite(apart).all():
        return None
    if len(apart) == 1:
        return Mean.student(apart, np.array([np.nan]), 1.0)
    return resample.mean(apart[None, :, None])


def _row(mean: Mean, level: float) -> dict[str, float | None]:
    value = float(mean.value[0])
    if not np.isfinite(mean.stderr[0]):
        return {"difference": value, "difference_low": None, "difference_high": None, "p": None}
    low, high = mean.interval(level)
    told = {"difference": value, "difference_low": float(low[0]), "difference_high": float(high[0])}
    return {**told, "p": float(mean.p()[0])}


def _steps(pair: Pair, level: float, resamples: int) -> dict[str, float | None]:
    """The same draws of seeds and blocks on either side, so that they are paired."""
    drawn, point = [], []
    for cell in (pair.reference, pair.other):
        steps = np.array(cell.steps, float)
        point.append(float(steps[turn.turning_point(cell.x.values.mean((0, 2)))]))
        places = resample.turning_places(cell.x.values, resamples)
        drawn.append(steps[places])
    if not pair.is_crossed:
        return {"difference": point[0] - point[1], "difference_low": None, "difference_high": None, "p": None}
    apart = drawn[0] - drawn[1]
    low, high = np.quantile(apart, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    beyond = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (resamples + 1))
    return {"difference": point[0] - point[1], "difference_low": float(low), "difference_high": float(high), "p": p}


def _adjust(rows: list[dict[str, Any]], last_blocks: Mapping[str, str | None]) -> None:
    families: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["site"] == last_blocks.get(row["architecture"]) and row["p"] is not None:
            family = "headline" if row["quantity"] in HEADLINE else row["quantity"]
            families.setdefault(family, []).append(row)
    for family in families.values():
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True):
            row["p_adjusted"] = adjusted


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, stepped)
    return [float(value) for value in out]

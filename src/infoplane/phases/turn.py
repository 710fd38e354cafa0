"""Where a curve turns, chosen on one part of the data and judged on another.

The lowest of several noisy points is too low: choosing it and reading it on the same data shows a fit in a curve that
never moves. So the parts of the held-out images, and the seeds where there are four or more, are halved, the turn is
chosen on one half of both and read on the other half of both, all ways round, over several fixed halvings; every value
is read equally often. This is cross-fitting (Chernozhukov et al. 2018, Econometrics Journal 21, C1) of an argmin. Where
a single curve is all there is, but its noise is known, it is thinned: y + e and y - e are independent when e is drawn
like the noise of y (Oliveira, Lei and Tibshirani 2021, arXiv:2111.09447).

Axes throughout: curve (any number, analysed alike), seed, checkpoint, block.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from infoplane.phases.curves import Array

MIDDLE = 4
HALVED = 4
"""From this many seeds on, seeds are halved too. Half of two or three seeds would be a single network, which may turn
sooner or later than the others; with so few, their intervals are wide enough to cover what they share by chance."""
ROUNDS = 8
THINNINGS = 64


@dataclass(frozen=True)
class Reading:
    """Curves read at places that were chosen on other data; all (curves, seeds, blocks).

    later_fall: how far a curve falls again after its turn; earlier_rise: how far it rises before it.
    """

    start: Array
    turn: Array
    end: Array
    later_fall: Array
    earlier_rise: Array

    @property
    def fit_depth(self) -> Array:
        return self.start - self.turn

    @property
    def compression_height(self) -> Array:
        return self.end - self.turn


def smooth(curves: Array, axis: int) -> Array:
    """Weights 1, 4, 1 over neighbouring checkpoints (4, 1 at either end): for choosing only.

    More smoothing would find broad turns in noise somewhat better, and miss a turn at a single checkpoint.
    """
    moved = np.moveaxis(curves, axis, -1)
    if moved.shape[-1] < 3:
        return curves
    out = np.empty_like(moved)
    out[..., 1:-1] = (moved[..., :-2] + MIDDLE * moved[..., 1:-1] + moved[..., 2:]) / (MIDDLE + 2)
    out[..., 0] = (MIDDLE * moved[..., 0] + moved[..., 1]) / (MIDDLE + 1)
    out[..., -1] = (MIDDLE * moved[..., -1] + moved[..., -2]) / (MIDDLE + 1)
    return np.moveaxis(out, -1, axis)


def turning_point(curves: Array) -> NDArray[np.intp]:
    """The place of the smoothed minimum along the last axis."""
    return smooth(curves, -1).argmin(-1)


@cache
def halvings(seeds: int, blocks: int, rounds: int = ROUNDS) -> tuple[Array, Array]:
    """What the turn is chosen on, and what it is read on: weights and masks of shape (choices, seeds, blocks).

    The weights of a choice sum to 1; each seed and block is read `rounds` times. Always the same halvings.
    """
    generator = np.random.default_rng(0)
    halved = seeds >= HALVED or (seeds > 1 and blocks == 1)
    choose, judge = [], []
    for place in range(rounds):
        of_seeds, of_blocks = _half(generator, seeds, place), _half(generator, blocks, place)
        every_seed, every_block = np.ones(seeds, bool), np.ones(1, bool)
        for chosen, read_seeds in ((of_seeds, ~of_seeds), (~of_seeds, of_seeds)) if halved else ((every_seed,) * 2,):
            for side, read_blocks in (
                ((of_blocks, ~of_blocks), (~of_blocks, of_blocks)) if blocks > 1 else ((every_block,) * 2,)
            ):
                chosen_on = np.outer(chosen, side).astype(float)
                choose.append(chosen_on / chosen_on.sum())
                judge.append(np.outer(read_seeds, read_blocks).astype(float))
    return np.array(choose), np.array(judge)


def _half(generator: np.random.Generator, count: int, place: int) -> NDArray[np.bool_]:
    """A random half; of an odd count the smaller half, turning so that all are in it equally often."""
    half = np.zeros(count, bool)
    order = generator.permutation(count) if count > 5 else np.roll(np.arange(count), place)
    half[order[: max(1, count // 2)]] = True
    return half


def read(values: Array, rounds: int = ROUNDS) -> Reading:
    """Curves of shape (curves, seeds, checkpoints, blocks) with more than one seed or block."""
    count, seeds, checkpoints, blocks = values.shape
    choose, judge = halvings(seeds, blocks, rounds)
    by_time = np.ascontiguousarray(values.transpose(0, 2, 1, 3))
    chosen_on = by_time.reshape(count, checkpoints, -1) @ choose.reshape(len(choose), -1).T
    places = _places(np.ascontiguousarray(np.moveaxis(chosen_on, 1, -1)))
    curve = np.arange(count)
    total = np.zeros((len(places), count, seeds, blocks))
    for choice, mask in enumerate(judge):
        for at, place in zip(total, places, strict=True):
            at += by_time[curve, place[:, choice]] * mask
    turn, top, bottom, low, high = total / rounds
    return Reading(by_time[:, 0], turn, by_time[:, -1], top - bottom, high - low)


def thin(curves: Array, stderr: Array, thinnings: int = THINNINGS) -> Reading:
    """Single curves and the standard error of each point, both (curves, checkpoints); the reading is (curves, 1, 1)."""
    count, checkpoints = curves.shape
    noise = np.random.default_rng(0).standard_normal((thinnings // 2, checkpoints))
    noise = np.concatenate([noise, -noise]) * stderr[:, None]
    chosen_on, read_on = curves[:, None] + noise, curves[:, None] - noise
    places = _places(chosen_on)
    found = (np.take_along_axis(read_on, place[..., None], -1).mean((1, 2)) for place in places)
    turn, top, bottom, low, high = (each.reshape(count, 1, 1) for each in found)
    return Reading(curves[:, :1, None], turn, curves[:, -1:, None], top - bottom, high - low)


def _places(curves: Array) -> tuple[NDArray[np.intp], ...]:
    """Along the last axis: the turn; top and bottom of the greatest fall after it; of the greatest rise before."""
    at = np.arange(curves.shape[-1])
    turn = turning_point(curves)
    after, before = at >= turn[..., None], at <= turn[..., None]
    highest = np.maximum.accumulate(np.where(after, curves, -np.inf), -1)
    bottom = np.where(after, highest - curves, -np.inf).argmax(-1)
    top = np.where(after & (at <= bottom[..., None]), curves, -np.inf).argmax(-1)
    lowest = np.minimum.accumulate(curves, -1)
    high = np.where(before, curves - lowest, -np.inf).argmax(-1)
    low = np.where(at <= high[..., None], curves, np.inf).argmin(-1)
    return turn, top, bottom, low, high

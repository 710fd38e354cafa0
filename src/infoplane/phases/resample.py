"""How sure a mean over seeds and parts of the held-out images is: crossed variances, few seeds allowed for.

A value is a mean over seeds x blocks, d[s, b]. Resampling both (the pigeonhole bootstrap of Owen 2007, Annals of
Applied Statistics 1, 386) has a variance that can be written down, so it is written down: no resample is drawn, the
bootstrap's known errors at few seeds (too narrow by (S - 1) / S, the interaction counted three times) are corrected,
and the same rule can be run on thousands of planted curves. docs/phases.md has both, side by side.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infoplane.phases.curves import Array
from infoplane.phases.turn import turning_point

ROUNDING = 1e-12


@dataclass(frozen=True)
class Mean:
    """Means with their standard errors, arrays of one shape, and how heavy the tails of their uncertainty are.

    What is known of a mean is a mixture of two Student's t: of `df` degrees of freedom with weight `weight`, and of
    `df_blocks` with the rest. On crossed normal data its intervals keep what they promise from two seeds on, where
    Satterthwaite's degrees of freedom do not (docs/phases.md). An infinite standard error means that nothing is known.

    too_far: a second reading, whose error is on the other side than that of `value`; the interval holds it too.
    """

    value: Array
    stderr: Array
    df: Array
    df_blocks: Array
    weight: Array
    too_far: Array | None = None

    def __post_init__(self) -> None:
        """Set values below rounding error to 0: a frozen network moves by exactly 0."""
        for name in ("value", "stderr", "too_far"):
            if (found := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.where(np.abs(found) < ROUNDING, 0.0, found))

    @classmethod
    def student(cls, value: Array, stderr: Array, df: float | Array) -> "Mean":
        """With the uncertainty of a single Student's t."""
        same = np.broadcast_to(np.asarray(df, float), value.shape)
        return cls(value, stderr, same, same, np.ones(value.shape))

    def wider(self, factor: float) -> "Mean":
        """The same, with standard errors that are wider by a factor."""
        return self if factor == 1 else replace(self, stderr=self.stderr * factor)

    def blurred(self, stderr: float | Array) -> "Mean":
        """The same, with an error of its own besides, which more seeds and blocks do not make smaller."""
        return replace(self, stderr=np.hypot(self.stderr, stderr))

    def together(self, stderr: float, df: float) -> "Mean":
        """With the error of the held-out images besides that of seeds, of so many degrees of freedom."""
        both = self.stderr**2 + stderr**2
        weight = np.divide(self.stderr**2, both, out=np.zeros_like(both), where=both > 0)
        return replace(self, stderr=np.sqrt(both), df_blocks=np.full(self.value.shape, df), weight=weight)

    def draws(self, random: np.random.Generator, count: int) -> Array:
        """Draws of the true value of a single mean, shape (count,)."""
        of_seeds = random.random(count) < self.weight
        tails = np.where(of_seeds, random.standard_t(self.df, count), random.standard_t(self.df_blocks, count))
        return np.asarray(self.value + self.stderr * tails)

    def _below(self, distance: Array) -> Array:
        """Probability that the truth lies less than so many standard errors above the value."""
        shares = self.weight * special.stdtr(self.df, distance)
        return np.asarray(shares + (1 - self.weight) * special.stdtr(self.df_blocks, distance))

    def interval(self, level: float) -> tuple[Array, Array]:
        """The interval that holds the truth with this probability, equally often too high and too low."""
        ends = [special.stdtrit(df, (1 + level) / 2) for df in (self.df, self.df_blocks)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        while (high - low > 1e-9 * high).any():
            middle = (low + high) / 2
            enough = self._below(middle) >= (1 + level) / 2
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        other = self.value if self.too_far is None else self.too_far
        low_end, high_end = np.minimum(self.value, other), np.maximum(self.value, other)
        return low_end - high * self.stderr, high_end + high * self.stderr

    def less(self, number: float, sign: int = 1) -> "Mean":
        """This, with its sign turned if so asked, less a number."""
        other = None if self.too_far is None else sign * self.too_far - number
        return replace(self, value=sign * self.value - number, too_far=other)

    def nearest(self) -> Array:
        """What both readings agree on: the one nearer to 0, and 0 where they differ in sign."""
        if self.too_far is None:
            return self.value
        nearer = np.minimum(np.abs(self.value), np.abs(self.too_far))
        return np.where(self.value * self.too_far > 0, np.sign(self.value) * nearer, 0.0)

    def above(self, margin: float) -> Array:
        """How sure it is that the truth is beyond the margin, 0 to 1."""
        distance = self.less(margin).nearest()
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = self._below(distance / self.stderr)
        return np.where(self.stderr > 0, shares, (distance > 0).astype(float))

    def p(self) -> Array:
        """Two-sided p-value of no effect."""
        distance = np.abs(self.nearest())
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = 2 * self._below(-distance / self.stderr)
        return np.where(self.stderr > 0, shares, (distance == 0).astype(float))


def mean(values: Array) -> Mean:
    """Of values (..., seeds, blocks), over both; either axis may have length 1, not both."""
    seeds, blocks = values.shape[-2:]
    total = values.mean((-2, -1))
    if seeds == 1 or blocks == 1:
        count = seeds * blocks
        return Mean.student(total, np.sqrt(values.var((-2, -1), ddof=1) / count), count - 1.0)
    by_seed = values.mean(-1).var(-1, ddof=1) / seeds
    by_block = values.mean(-2).var(-1, ddof=1) / blocks
    rest = values - values.mean(-1, keepdims=True) - values.mean(-2, keepdims=True) + total[..., None, None]
    shared = (rest**2).sum((-2, -1)) / ((seeds - 1) * (blocks - 1)) / (seeds * blocks)
    variance = np.maximum(by_seed + by_block - shared, np.maximum(by_seed, by_block))
    both = by_seed + by_block
    weight = np.divide(by_seed, both, out=np.zeros_like(both), where=both > 0)
    every = np.ones_like(total)
    return Mean(total, np.sqrt(variance), (seeds - 1) * every, (blocks - 1) * every, weight)


def turning_places(values: Array, resamples: int) -> NDArray[np.intp]:
    """Places of the turn in curves drawn around the mean of (seeds, checkpoints, blocks), shape (resamples,).

    A draw weighs seeds and blocks at random, with the spread and the tails of Student's t; for a place along the
    curve there is no formula.
    """
    generator = np.random.default_rng(0)
    middle = values.mean((0, 2))
    drawn = np.broadcast_to(middle, (resamples, len(middle))).copy()
    for curves in (values.mean(2), values.mean(0).T):
        count = len(curves)
        if count > 1:
            weights = generator.standard_normal((resamples, count))
            weights -= weights.mean(1, keepdims=True)
            tails = np.sqrt((count - 1) / generator.chisquare(count - 1, (resamples, 1)))
            drawn += weights * tails / np.sqrt(count * (count - 1)) @ (curves - middle)
    return turning_point(drawn)

"""Axes: training steps on a logarithmic scale that has a place for step 0, and measures on a square-root scale.

A square root spreads the small values of layers that keep almost everything without hiding zero, which a logarithm
would; for Z-X it shows the root-mean-square error in proportion.
"""

import math
from collections.abc import Sequence
from typing import Literal

import altair as alt
import polars as pl

STEP = "training step"
STEP_SCHEME = alt.SchemeParams(name="viridis", extent=[0.0, 0.93])

FORMAT = ".3~g"
"""Of tick labels: 0.05, 0.5, 2."""

Kind = Literal["sqrt", "linear"]


class Steps:
    """A logarithmic axis of training steps on which step 0 has a place: a little left of the first positive step."""

    def __init__(self, steps: Sequence[int]) -> None:
        positive = [step for step in steps if step > 0]
        self.first, self.last = (min(positive), max(positive)) if positive else (1, 10)
        self.has_zero = 0 in steps
        self.zero = self.first / 2.5
        decades = range(math.ceil(math.log10(self.first) - 1e-9), math.floor(math.log10(self.last) + 1e-9) + 1)
        ticks: list[float] = [10**decade for decade in decades] or [self.first]
        if self.last > 2.5 * ticks[-1]:
            ticks.append(self.last)
        self.ticks = [self.zero, *ticks] if self.has_zero else ticks
        self.low = self.zero if self.has_zero else self.first

    def placed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with a column ``at``: the step's place on the axis."""
        return frame.with_columns(pl.max_horizontal(pl.col("step").cast(pl.Float64), pl.lit(self.zero)).alias("at"))

    @property
    def label(self) -> str:
        """A Vega expression for tick labels."""
        return f"datum.value < {self.first * 0.9} ? '0' : format(datum.value, '.3~s')"

    @property
    def scale(self) -> alt.Scale:
        return alt.Scale(type="log", domain=[self.low, self.last * 1.02], nice=False)

    def axis(self, shown: bool = True) -> alt.Axis:
        """The x axis; hidden labels keep its ticks."""
        return alt.Axis(
            values=self.ticks, labelExpr=self.label, labels=shown, title=STEP if shown else None, labelFlush=True
        )

    def x(self, shown: bool = True) -> alt.X:
        return alt.X("at:Q", scale=self.scale, axis=self.axis(shown))

    def colour(self) -> alt.Color:
        return alt.Color(
            "at:Q",
            title=STEP,
            scale=alt.Scale(type="log", domain=[self.low, self.last], scheme=STEP_SCHEME),
            legend=alt.Legend(values=self.ticks, labelExpr=self.label, orient="bottom", direction="horizontal"),
        )


class Span:
    """The common range of a measure over several cells, starting at 0 (or near the smallest value) with some air."""

    def __init__(self, kind: Kind, *values: pl.Series, zero: bool = True, margin: float = 0.06) -> None:
        finite = [x for series in values for x in series.drop_nulls().to_list() if math.isfinite(x)]
        self.kind: Kind = kind
        least, most = (min(finite), max(finite)) if finite else (0.0, 1.0)
        low, high = self._warp(least), self._warp(most)
        near = zero or low < 0.35 * high
        low = min(0.0, low) if near else low
        air = margin * ((high - low) or abs(high) or 1.0)
        self.low = low if zero else low - air
        self.high = high + air
        if self.high <= self.low:  # one value, 0 or below, and no air: a range of some width all the same
            self.high = self.low + 1.0

    def _warp(self, value: float) -> float:
        return value if self.kind == "linear" else math.copysign(math.sqrt(abs(value)), value)

    def _unwarp(self, place: float) -> float:
        return place if self.kind == "linear" else math.copysign(place * place, place)

    def share(self, value: float) -> float:
        """Where a value stands: 0 at the low end, 1 at the high end."""
        return (self._warp(value) - self.low) / (self.high - self.low)

    @property
    def scale(self) -> alt.Scale:
        domain = [self._unwarp(self.low), self._unwarp(self.high)]
        return alt.Scale(type=self.kind, domain=domain, nice=False, zero=False)

    def ticks(self, pixels: int, gap: int) -> list[float]:
        """Round values at least ``gap`` pixels apart."""
        if self.kind == "linear":
            return _even(self._unwarp(self.low), self._unwarp(self.high), max(2, pixels // (2 * gap)))
        kept: list[float] = []
        for value in [0.0, *(m * 10.0**e for m in (1, 5, 2, 3, 7) for e in range(3, -7, -1))]:  # the roundest first
            apart = all(abs(self.share(value) - self.share(other)) * pixels >= gap for other in kept)
            if apart and -1e-9 <= self.share(value) <= 1.0:
                kept.append(round(value, 6))
        return sorted(kept)


def _even(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round values from low to high."""
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 9) for i in range(first, math.floor(high / step + 1e-9) + 1)]

"""Declare by what a task judges answers: pure Python, so that a plug-in's ``Options`` may stand on it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """Declare one number by which a task judges answers; the mean over samples is what is shown.

    name: of the column; title: for readers. better: 1 where more is better, -1 where less is. margin: a network that
    is not better than the trivial answer by this much has not learned; relative: the margin is a share of the trivial
    answer's value. low, high: its bounds, where it has some.
    """

    name: str
    title: str
    unit: str
    better: Literal[-1, 1]
    margin: float
    low: float | None = None
    high: float | None = None
    relative: bool = False

    def is_learned(self, value: float, trivial: float) -> bool:
        """Whether a network with this value has learned, where the trivial answer has that one."""
        margin = self.margin * abs(trivial) if self.relative else self.margin
        return self.better * (value - trivial) >= margin

    def written(self, value: float | None) -> str:
        """A value with its unit: shares as percentages."""
        if value is None:
            return "–"
        return (
            f"{100 * value:.3g}%"
            if self.unit == "share"
            else f"{value:.4g}{'' if self.unit == '1' else f' {self.unit}'}"
        )

    @property
    def axis(self) -> str:
        """Title and unit, as an axis says them; percentages stand at its ticks."""
        return self.title if self.unit in ("share", "1") else f"{self.title} ({self.unit})"


def accuracy(classes: int) -> Metric:
    """Declare the share of right answers; its margin is what guessing gives, at most ten points.

    Of ten or more equally frequent classes a network has learned from twice the accuracy of guessing on. Of two classes
    twice that would be 1, which no network reaches.
    """
    return Metric("accuracy", "accuracy", "share", better=1, margin=min(0.1, 1 / classes), low=0.0, high=1.0)

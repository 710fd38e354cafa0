"""List how far an estimate may lie from the truth, read from the top; larger errors are shown in red."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Tolerance:
    """The largest median absolute error of what the patterns match, in the measure's unit.

    extrapolated: the same for the value at unlimited n, where it is stricter.
    """

    limit: float
    measure: str = "*"
    distribution: str = "*"
    kind: str = "*"
    extrapolated: float | None = None

    def matches(self, measure: str, distribution: str, kind: str) -> bool:
        """Whether it speaks of this measure, distribution and family plug-in."""
        asked = ((measure, self.measure), (distribution, self.distribution), (kind, self.kind))
        return all(fnmatchcase(name, pattern) for name, pattern in asked)


EXACTLY_COUNTED = ("confused corners", "ten symbols", "corner of the input", "erased letters", "merged letters")

TOLERANCES = (
    Tolerance(0.005, distribution="frozen network*"),
    *(Tolerance(1e-12, "i*", name, kind="binned") for name in EXACTLY_COUNTED),
    Tolerance(0.001, "zx", "Z = X*"),
    Tolerance(0.02, "z*", "independent noise*"),
    Tolerance(0.02, "zy", "*permuted"),
    Tolerance(0.05, "zx", "linear-Gaussian, d = 64*", extrapolated=0.02),
    Tolerance(0.015, "zx", "linear-Gaussian*"),
    Tolerance(0.015, "zx", "correlated Gaussians*"),
    Tolerance(0.06, "zy", "10 *"),
    Tolerance(0.06, "zy", "ten *"),
    Tolerance(0.03, "z*"),
    Tolerance(0.1),
)
"""Ours: shares of a variance for Z-X, nats for all else. Ten classes have the wider tolerance of Z-Y."""


def tolerance(measure: str, distribution: str, kind: str) -> Tolerance:
    """The first of `TOLERANCES` that speaks of this measure, distribution and family plug-in."""
    return next(one for one in TOLERANCES if one.matches(measure, distribution, kind))

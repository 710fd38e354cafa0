"""Kernel-density bounds on mutual information, in bits: I(X;Z) and I(Z;Y) with Gaussian noise added to Z."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from infoplane.measures.estimate import Estimate
from infoplane.measures.information.kde import in_own_unit, kde_information
from infoplane.measures.information.outliers import spread_note
from infoplane.measures.targets import Targets
from infoplane.options import require
from infoplane.specs import canonical

INPUTS = "identity"
GROUPS = "ignored"
ABOUT = {"ixz_*": "x", "izy": "y of classes", "izy_*": "y of classes"}

SATURATED = 0.9
"""From this share of samples alone on, a value gets a note: it then depends on n, not on Z."""

MEASURES = ("ixz_upper", "ixz_lower", "izy_upper", "izy_lower", "izy")


@dataclass(frozen=True)
class Options:
    variance: Annotated[
        float, "variance of the Gaussian noise that is added to every unit; 0.1 gives values closer to those of bins"
    ] = 1e-3
    noise: Annotated[
        Literal["absolute", "relative"],
        "absolute: the variance as it is; relative: in units of the layer's mean variance per unit",
    ] = "absolute"

    def __post_init__(self) -> None:
        require(self.variance > 0, f"variance must be above 0, got {self.variance}")
        kinds = ("absolute", "relative")
        require(self.noise in kinds, f"noise must be one of {', '.join(kinds)}, got {self.noise}")


def added_noise(options: Options, spread: float, d: int) -> float:
    """Standard deviation of the noise on each of d units, where Z's root mean square distance to its mean is spread."""
    deviation = math.sqrt(options.variance)
    return deviation if options.noise == "absolute" else deviation * spread / math.sqrt(d)


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Bounds on I(X;Z) and I(Z;Y), and the field's own I(Z;Y) (a difference of two upper bounds), of z (n, ...)."""
    flat = z.flatten(1)
    n, d = flat.shape
    rows = [Estimate(measure=name, unit="bits", value=None, reference=0.0, n=n, d=d) for name in MEASURES]
    if not bool(torch.isfinite(flat).all()):
        return [replace(row, note="non-finite") for row in rows]
    if not bool((flat != flat[:1]).any()):
        return [replace(row, value=0.0, note="constant") for row in rows]
    found = kde_information(flat, targets.y_classes.labels, options.variance, options.noise == "relative")
    about = canonical(
        {
            "alone": found.alone,
            "izy_of_lowers": found.izy_of_lowers / math.log(2),
            "variance": found.variance,
        }
    )
    outliers = spread_note(in_own_unit(flat)[0]) if options.noise == "relative" else ""
    saturated = f"saturated: {found.alone:.0%} of the samples are alone" if found.alone >= SATURATED else ""
    one_class = "one class only" if targets.y_classes.count == 1 else ""
    values = (found.ixz_upper, found.ixz_lower, found.izy_upper, found.izy_lower, found.izy_of_uppers)
    about_x, about_y = [saturated, outliers], [saturated, outliers, one_class]
    notes = ["; ".join(filter(None, about_x))] * 2 + ["; ".join(filter(None, about_y))] * 3
    return [
        replace(row, value=value / math.log(2), note=note, detail=about)
        for row, value, note in zip(rows, values, notes, strict=True)
    ]

"""I(X;Z) and I(X;Z|Y) in nats of the layer made stochastic: z plus normal noise, whose density is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from infoplane.measures.estimate import Estimate
from infoplane.measures.information.conditional import draw_layer, informations
from infoplane.measures.information.neighbours import Information
from infoplane.measures.information.outliers import spread_note
from infoplane.measures.information.reported import in_nats
from infoplane.measures.targets import Targets, rotate_to_rank
from infoplane.options import require
from infoplane.specs import canonical

INPUTS = "identity"
GROUPS = "ignored"
ABOUT = {"ixz": "x", "ixz_given_y": "y of classes"}

BLOCK = 1 << 22
"""Elements of Z that are widened to float64 at a time."""

ROWS = 1024
"""Rows of inner products that are computed at a time."""


@dataclass(frozen=True)
class Options:
    noise: Annotated[
        float,
        "standard deviation of the noise in each direction, over the root mean square distance of Z to its mean",
    ] = 0.2
    draws: Annotated[int, "how many times noise is drawn; the values are averaged"] = 1
    seed: Annotated[int, "random seed of the noise"] = 0

    def __post_init__(self) -> None:
        require(self.noise > 0, f"noise must be above 0: without it I(X;Z) is infinite; got {self.noise}")
        require(self.draws >= 1, f"draws must be at least 1, got {self.draws}")


def added_noise(options: Options, spread: float, d: int) -> float:
    """Standard deviation of the noise on each of d units, where Z's root mean square distance to its mean is spread."""
    return options.noise * spread


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """I(X;Z) and I(X;Z|Y) of activations of shape (n, ...), X being the samples themselves.

    Noise outside the directions in which the samples differ has no information on X, so that those directions suffice.
    """
    flat = z.flatten(1)
    n, d = flat.shape
    if not bool(torch.isfinite(flat).all()):
        return [in_nats(name, n, d, None, "non-finite") for name in ("ixz", "ixz_given_y")]
    if not bool((flat != flat[:1]).any()):
        return [in_nats(name, n, d, Information(0.0, 0.0), "constant") for name in ("ixz", "ixz_given_y")]
    mu, spread = root(flat)
    sigma = torch.tensor(options.noise * spread, dtype=torch.float64, device=mu.device)
    drawn = (draw_layer(mu, sigma, options.seed, draw) for draw in range(options.draws))
    draws = [informations(mu, sigma, targets.y_classes.labels, z=z) for z in drawn]
    about = "; ".join(filter(None, [spread_note(mu), f"of Z with noise {options.noise:g}"]))
    detail = canonical({"noise": options.noise, "sigma": float(sigma), "draws": options.draws})
    return [
        in_nats(name, n, d, mean(several), "; ".join(filter(None, [several[0].note, about])), detail)
        for name, several in zip(("ixz", "ixz_given_y"), zip(*draws, strict=True), strict=True)
    ]


def root(z: Tensor) -> tuple[Tensor, float]:
    """Points of at most n - 1 coordinates at the same distances as (n, d), and their root mean square distance to
    their mean; float64.

    For d < n the centred points themselves. Else the Cholesky factor of the inner products of the differences from the
    last point, which costs a small part of an eigendecomposition; where it does not exist (points that repeat or
    depend on one another), `rotate_to_rank`.
    """
    n, d = z.shape
    if d < n:
        points = rotate_to_rank(z)
        return points, float(points.square().sum(1).mean().sqrt())
    products, spread = torch.zeros(n - 1, n - 1, dtype=torch.float64, device=z.device), 0.0
    for columns in z.split(max(1, BLOCK // n), 1):
        values = columns.double()
        spread += float((values - values.mean(0)).square_().sum())
        values = values[:-1] - values[-1]
        for first in range(0, n - 1, ROWS):  # the lower triangle is all that is read
            until = min(first + ROWS, n - 1)
            products[first:until, :until].addmm_(values[first:until], values[:until].T)
    factor, failed = torch.linalg.cholesky_ex(products)
    del products
    if int(failed):
        return rotate_to_rank(z), math.sqrt(spread / n)
    return torch.nn.functional.pad(factor, (0, 0, 0, 1)), math.sqrt(spread / n)


def mean(several: Sequence[Information]) -> Information:
    """The mean of estimates from several draws; its standard error is that over samples, which the draws share."""
    value = math.fsum(one.value for one in several) / len(several)
    stderr = math.fsum(one.stderr for one in several) / len(several)
    return Information(value, stderr)

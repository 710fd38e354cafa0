"""I(X;Z) and I(X;Z|Y) in nats of the layer made stochastic: z plus normal noise, whose density is known."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from infoplane.measures.estimate import Estimate
from infoplane.measures.information.conditional import conditional_information, stochastic_information
from infoplane.measures.information.coordinates import varying
from infoplane.measures.information.neighbours import Information
from infoplane.measures.information.reported import in_nats
from infoplane.measures.targets import Targets, rotate_to_rank
from infoplane.options import require
from infoplane.specs import canonical

WIDE = 1 << 24
"""Elements of Z up to which its rotation is computed in float64."""


@dataclass(frozen=True)
class Options:
    noise: Annotated[
        float, "deviation of the noise in every direction, relative to the root mean square distance of Z to its mean"
    ] = 0.2
    draws: Annotated[int, "noise is drawn so many times, and the values are averaged"] = 1
    seed: Annotated[int, "of the noise"] = 0

    def __post_init__(self) -> None:
        require(self.noise > 0, f"noise must be above 0: without it I(X;Z) is infinite; got {self.noise}")
        require(self.draws >= 1, f"draws must be at least 1, got {self.draws}")


def added_noise(options: Options, spread: float, d: int) -> float:
    """Standard deviation of the noise on each of d units, where Z's root mean square distance to its mean is spread."""
    return options.noise * spread


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """I(X;Z) and I(X;Z|Y) of activations of shape (n, ...), X being the probes themselves.

    Noise outside the directions in which the probes differ tells nothing of X, so that a rotation to those loses
    nothing.
    """
    flat = z.flatten(1)
    n, d = flat.shape
    if not bool(torch.isfinite(flat).all()):
        return [in_nats(name, n, d, None, "non-finite") for name in ("ixz", "ixz_given_y")]
    if not varying(flat).shape[1]:
        return [in_nats(name, n, d, Information(0.0, 0.0), "constant") for name in ("ixz", "ixz_given_y")]
    # wide activations stay in float32 here: the noise is far above its rounding
    mu = rotate_to_rank(flat.double() if flat.numel() <= WIDE else flat.float()).double()
    sigma = options.noise * mu.square().sum(1).mean().sqrt()
    seeds = range(options.seed, options.seed + options.draws)
    found = {
        "ixz": [stochastic_information(mu, sigma, seed) for seed in seeds],
        "ixz_given_y": [conditional_information(mu, sigma, targets.labels, seed) for seed in seeds],
    }
    about = f"of Z with noise {options.noise:g}"
    detail = canonical({"noise": options.noise, "sigma": float(sigma), "draws": options.draws})
    return [
        in_nats(name, n, d, mean(several), "; ".join(filter(None, [several[0].note, about])), detail)
        for name, several in found.items()
    ]


def mean(several: list[Information]) -> Information:
    """The mean of estimates from several draws; its standard error is that over samples, which the draws share."""
    value = math.fsum(one.value for one in several) / len(several)
    stderr = math.fsum(one.stderr for one in several) / len(several)
    return Information(value, stderr)

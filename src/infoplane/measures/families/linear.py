"""Ridge regression (of numbers) and multinomial logistic regression (of classes) on standardised activations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.measures.decoding.decode import Decoder, Search, decode
from infoplane.measures.decoding.decode import footprint as exact_footprint
from infoplane.measures.decoding.ridge import decades
from infoplane.measures.decoding.views import AllFeatures, Kernel, Scale, SomeLandmarks, WholeGram, linear_view
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets
from infoplane.options import require


@dataclass(frozen=True)
class Options:
    folds: Annotated[int, "cross-validation folds of classes (numbers are left out one by one)"] = 5
    weakest_ridge: Annotated[float, "lower end of the ridge grid, in units of the mean squared norm of a sample"] = 1e-8
    strongest_ridge: Annotated[float, "upper end of the ridge grid; above it only the constant predictor is left"] = 1e3
    exact_up_to: Annotated[
        int, "up to this many samples or features nothing is approximated; with more of both, landmarks are used"
    ] = 3000
    landmarks: Annotated[int, "number of samples that span the decoder's weights, where landmarks are used"] = 1000
    extrapolate: Annotated[bool, "decode halves of the samples too, which gives the value at unlimited n"] = True
    seed: Annotated[int, "random seed of the folds, halves and landmarks"] = 0

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        require(
            0 < self.weakest_ridge < self.strongest_ridge,
            f"ridges must rise from above 0, got {self.weakest_ridge} to {self.strongest_ridge}",
        )
        require(
            8 <= self.landmarks <= self.exact_up_to,
            f"landmarks must be at least 8 and at most exact_up_to, got {self.landmarks} and {self.exact_up_to}",
        )


def footprint(z: Tensor, options: Options) -> float:
    """Bytes that `estimate` takes, for batches of activations that fit a GPU."""
    return exact_footprint(z, options.exact_up_to)


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...); the Gram matrix ZZ' makes D < n and D > n one case."""
    ridges = decades(options.weakest_ridge, options.strongest_ridge)
    scale = Scale(options.exact_up_to, options.landmarks, options.seed)

    def propose(view: WholeGram | AllFeatures | SomeLandmarks, decoders: Sequence[Decoder]) -> list[list[Kernel]]:
        return [[view.kernel(math.inf)]] * len(decoders)

    search = Search(ridges, options.folds, options.seed, options.extrapolate)
    return decode(z, targets, lambda flat: linear_view(flat, targets, scale), propose, search)

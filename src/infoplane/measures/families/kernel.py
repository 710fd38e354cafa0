"""Kernel ridge (of numbers) and kernel logistic regression (of classes), RBF or linear on standardised activations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor

from infoplane.measures.decoding.decode import Decoder, Search, decode
from infoplane.measures.decoding.decode import footprint as exact_footprint
from infoplane.measures.decoding.ridge import decades
from infoplane.measures.decoding.views import Kernel, Scale, SomeLandmarks, WholeGram, kernel_view
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets
from infoplane.options import require

CLOSE = 1.05
"""A bandwidth whose screened error of X is more than this times the least one is no finalist."""


@dataclass(frozen=True)
class Options:
    bandwidths: Annotated[
        tuple[float, ...],
        "ascending multiples of the median squared distance between two samples; their limit, the linear kernel, "
        "is always tried too",
    ] = (0.25, 1.0, 4.0, 16.0)
    screen: Annotated[
        int, "number of samples on which all bandwidths are compared first; with fewer samples, all of them"
    ] = 150
    finalists: Annotated[int, "number of bandwidths that are then compared by leave-one-out on all samples"] = 2
    folds: Annotated[int, "cross-validation folds of classes (numbers are left out one by one)"] = 5
    weakest_ridge: Annotated[float, "lower end of the ridge grid; the kernel of a sample with itself is 1"] = 1e-8
    strongest_ridge: Annotated[float, "upper end of the ridge grid; above it only the constant predictor is left"] = 1e3
    exact_up_to: Annotated[int, "up to this many samples nothing is approximated; with more, landmarks are used"] = 3000
    landmarks: Annotated[
        int, "number of samples that the kernel compares every sample with, where landmarks are used"
    ] = 1000
    extrapolate: Annotated[bool, "decode halves of the samples too, which gives the value at unlimited n"] = True
    seed: Annotated[int, "random seed of the compared samples, folds, halves and landmarks"] = 0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.bandwidths, self.bandwidths[1:], strict=False))
        require(
            len(self.bandwidths) > 0 and self.bandwidths[0] > 0 and rising,
            f"bandwidths must rise from above 0, got {list(self.bandwidths)}",
        )
        require(self.screen >= 8, f"screen must be at least 8 samples, got {self.screen}")
        require(self.finalists >= 1, f"finalists must be at least 1, got {self.finalists}")
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        require(
            0 < self.weakest_ridge < self.strongest_ridge,
            f"ridges must rise from above 0, got {self.weakest_ridge} to {self.strongest_ridge}",
        )
        require(
            self.screen <= self.landmarks <= self.exact_up_to,
            f"screen, landmarks and exact_up_to must rise, got {self.screen}, {self.landmarks} and {self.exact_up_to}",
        )


def footprint(z: Tensor, options: Options) -> float:
    """Bytes that `estimate` takes, for batches of activations that fit a GPU."""
    return exact_footprint(z, options.exact_up_to)


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), each with a bandwidth of its own.

    All bandwidths are screened by leave-one-out errors of ridge regression, of X and of the one-hot label. The linear
    kernel is a candidate whatever its score, and of the candidates the one with the least reported loss is taken: the
    screen's score for the label fails for classes in a row, where logistic regression works and regression of 0 and 1
    does not. Where Z-X and Z-Y agree, they share one eigendecomposition.
    """
    ridges = decades(options.weakest_ridge, options.strongest_ridge)
    widths = [*options.bandwidths, math.inf]
    scale = Scale(options.exact_up_to, options.landmarks, options.seed)

    def propose(view: WholeGram | SomeLandmarks, decoders: Sequence[Decoder]) -> list[list[Kernel]]:
        kernels = _Widths(view, widths)
        everyone = targets.n <= options.screen
        some = slice(None) if everyone else targets.subset(options.screen, options.seed)
        screens = [decoder.screen(some) for decoder in decoders]
        scores: list[list[float]] = [[] for _ in decoders]
        for width in widths:
            basis = kernels[width].basis if isinstance(some, slice) else view.some(width, some)
            for found, screen in zip(scores, screens, strict=True):
                found.append(screen(basis))
        proposed = []
        for found, decoder in zip(scores, decoders, strict=True):
            best, *others = sorted(range(len(widths)), key=found.__getitem__)
            others = others[: options.finalists - 1] if decoder.comparable else []
            finalists = [best, *(index for index in others if found[index] <= CLOSE * found[best])]
            proposed.append(_with_linear(kernels, [widths[index] for index in finalists]))
        return proposed

    search = Search(ridges, options.folds, options.seed, options.extrapolate)
    return decode(z, targets, lambda flat: kernel_view(flat, targets, scale), propose, search)


def _with_linear(kernels: "_Widths", widths: list[float]) -> list[Kernel]:
    """The kernels of these widths, and the linear one."""
    return [kernels[width] for width in dict.fromkeys([*widths, math.inf])]


class _Widths:
    """The kernels of one activation by their width, each decomposed once."""

    def __init__(self, view: WholeGram | SomeLandmarks, widths: list[float]) -> None:
        self.view, self.narrowest = view, widths[0]
        self._known: dict[float, Kernel] = {}

    def __getitem__(self, width: float) -> Kernel:
        """The kernel on all samples."""
        if width not in self._known:
            edge = "bandwidth:low" if width == self.narrowest else ""
            self._known[width] = replace(self.view.kernel(width), bandwidth=width, edge=edge)
        return self._known[width]

"""How a decoder gets to see Z: the whole Gram matrix, explicit features, or landmarks, by the number of samples."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from infoplane.measures.decoding.features import (
    Landmarks,
    feature_eigenbasis,
    nystroem,
    standardised_features,
    to_landmarks,
)
from infoplane.measures.decoding.gram import (
    Basis,
    centred_eigenbasis,
    median_distance,
    rbf,
    squared_distances,
    standardised_gram,
)
from infoplane.measures.targets import Targets


@dataclass(frozen=True)
class Scale:
    """From how many samples on a decoder is given landmarks, how many, and the seed that draws them."""

    exact_up_to: int
    landmarks: int
    seed: int


@dataclass(frozen=True)
class Kernel:
    """A kernel by its eigenbasis on all samples, and by those of some samples only.

    parts: positions of samples, one tensor per part, to their eigenbases. unseen: share of the kernel's trace that
    the landmarks do not reach. bandwidth: None where there is none to choose; edge: where it is in its grid.
    """

    basis: Basis
    parts: Callable[[Sequence[Tensor]], Iterator[Basis]]
    unseen: float = 0.0
    bandwidth: float | None = None
    edge: str = ""


class WholeGram:
    """All inner products: nothing is approximated, and the cost grows with the cube of the number of samples."""

    mode = "exact"

    def __init__(self, z: Tensor) -> None:
        self.gram = standardised_gram(z)
        self.features, self.constant = self.gram.features, self.gram.constant

    @cached_property
    def _distances(self) -> Tensor:
        return squared_distances(self.gram)

    @cached_property
    def _median(self) -> Tensor:
        return median_distance(self._distances)

    def kernel(self, width: float) -> Kernel:
        """The kernel of this width on all samples; an infinite width is the linear kernel."""
        return Kernel(self.some(width, slice(None)), lambda parts: (self.some(width, rows) for rows in parts))

    def some(self, width: float, rows: Tensor | slice) -> Basis:
        """Eigenbasis of the kernel on these samples."""
        if math.isinf(width):
            return centred_eigenbasis(self.gram.products[rows][:, rows])
        return centred_eigenbasis(rbf(self._distances[rows][:, rows], width * self._median))


class SomeLandmarks:
    """Inner products with landmarks drawn uniformly: the cost grows linearly with the number of samples."""

    mode = "landmarks"

    def __init__(self, z: Tensor, targets: Targets, scale: Scale) -> None:
        self.landmarks: Landmarks = to_landmarks(z, targets.subset(scale.landmarks, scale.seed))
        self.features, self.constant = self.landmarks.features, self.landmarks.constant
        # the linear kernel is that of `linear_view`, so that no linear decoder is better than this view's
        self._linear = (lambda: AllFeatures(z).kernel()) if z.shape[1] <= scale.exact_up_to else None

    @cached_property
    def _distances(self) -> Tensor:
        return self.landmarks.squared_distances()

    @cached_property
    def _median(self) -> Tensor:
        return median_distance(self._distances[self.landmarks.chosen])

    def _matrix(self, width: float, rows: Tensor | slice = slice(None)) -> Tensor:
        """The kernel between these samples and the landmarks."""
        if math.isinf(width):
            return self.landmarks.products[rows]
        return rbf(self._distances[rows], width * self._median)

    def kernel(self, width: float) -> Kernel:
        """The kernel of this width on all samples; an infinite width is the linear kernel, exact where it can be."""
        if math.isinf(width) and self._linear is not None:
            return self._linear()

        def parts(parts: Sequence[Tensor]) -> Iterator[Basis]:
            features = self._features(width)
            return (_eigenbasis(features[rows]) for rows in parts)

        features = self._features(width)
        own = self.landmarks.norms.sum() if math.isinf(width) else len(features)
        return Kernel(_eigenbasis(features), parts, max(0.0, 1 - float(features.square().sum() / own)))

    def _features(self, width: float) -> Tensor:
        return nystroem(self._matrix(width), self.landmarks.chosen)

    def some(self, width: float, rows: Tensor) -> Basis:
        """Eigenbasis of the kernel on these samples, all of them landmarks."""
        return centred_eigenbasis(self._matrix(width, rows)[:, torch.isin(self.landmarks.chosen, rows)])


class AllFeatures:
    """The features of Z themselves: exact for a linear decoder, for fewer features than samples."""

    mode = "features"

    def __init__(self, z: Tensor) -> None:
        self._values = standardised_features(z)
        self.features = self._values.shape[1]
        self.constant = z.flatten(1).shape[1] - self.features

    def kernel(self, width: float = math.inf) -> Kernel:
        """The linear kernel on all samples."""
        return Kernel(_eigenbasis(self._values), lambda parts: (_eigenbasis(self._values[rows]) for rows in parts))


def _eigenbasis(features: Tensor) -> Basis:
    n, m = features.shape
    return feature_eigenbasis(features) if m < n - 1 else centred_eigenbasis(features @ features.T)


def linear_view(z: Tensor, targets: Targets, scale: Scale) -> WholeGram | AllFeatures | SomeLandmarks:
    """Of activations of shape (n, d), for a linear decoder: exact while samples or features are few enough."""
    if len(z) <= scale.exact_up_to:
        return WholeGram(z)
    return AllFeatures(z) if z.shape[1] <= scale.exact_up_to else SomeLandmarks(z, targets, scale)


def kernel_view(z: Tensor, targets: Targets, scale: Scale) -> WholeGram | SomeLandmarks:
    """Of activations of shape (n, d), for a kernel decoder: exact while samples are few enough."""
    return WholeGram(z) if len(z) <= scale.exact_up_to else SomeLandmarks(z, targets, scale)

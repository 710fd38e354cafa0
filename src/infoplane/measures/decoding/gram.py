"""The n x n Gram matrix, through which alone a linear or kernel decoder sees Z, and its centred eigenbasis."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infoplane.measures.decoding.side_by_side import together

BLOCK = 1 << 24
"""Elements of Z that are widened to float64 at a time."""

ROUNDING = 4 * torch.finfo(torch.float32).eps
"""A feature whose range is below this share of its largest magnitude is constant up to float32's rounding."""

ROUNDING_OF_DOUBLES = 4 * torch.finfo(torch.float64).eps
"""The same of a feature whose values are no float32."""

SAME = 1e-12
"""Squared distance per feature below which two samples are the same point."""


@dataclass(frozen=True)
class Gram:
    """Inner products of standardised features, divided by their number: float64, shape (n, n)."""

    products: Tensor
    features: int
    """Features kept."""
    constant: int
    """Features dropped because they do not vary."""


def standardised_gram(z: Tensor) -> Gram:
    """Gram matrix of activations of shape (n, ...), every feature scaled to mean 0 and variance 1.

    Constant features are dropped and counted. Sums are float64 whatever the dtype of ``z``.
    """
    z = z.flatten(1)
    n, d = z.shape
    products = torch.zeros(n, n, dtype=torch.float64, device=z.device)
    kept = 0
    for values in standardised_blocks(z, BLOCK):
        products.addmm_(values, values.T)
        kept += values.shape[1]
    return Gram(products / max(kept, 1), kept, d - kept)


def standardised_blocks(z: Tensor, block: int) -> Iterator[Tensor]:
    """The features of activations of shape (n, d) that vary, with mean 0 and variance 1, some at a time.

    float64, shape (n, some), of about ``block`` elements before constant features are dropped.
    """
    for part in z.split(max(1, block // len(z)), dim=1):
        kept = varying_features(part)
        yield standardised(part if bool(kept.all()) else part[:, kept])


def standardised(z: Tensor) -> Tensor:
    """Features of shape (n, d), all of which vary, with mean 0 and variance 1; float64."""
    values = z.double()
    if _exact(z):
        # an offset or a unit that only float64 can hold costs no digits
        values = values - values[0]
        values /= values.abs().amax(0)
    values = values - values.mean(0)
    return values.div_(values.square().mean(0).sqrt())


def varying_features(z: Tensor) -> Tensor:
    """Which features of activations of shape (n, d) vary by more than rounding; bool, shape (d,).

    By float64's in float64, as a large offset leaves small deviations there; else by float32's, in which activations
    of fewer bits were computed too.
    """
    low, high = z.amin(0).double(), z.amax(0).double()
    rounding = 4 * torch.finfo(torch.float64).eps if _exact(z) else ROUNDING
    return high - low > rounding * torch.maximum(low.abs(), high.abs())


def _exact(z: Tensor) -> bool:
    return z.dtype == torch.float64 or not z.is_floating_point()


def squared_distances(gram: Gram) -> Tensor:
    """Squared Euclidean distances per feature between standardised samples, shape (n, n)."""
    norms = gram.products.diagonal()
    distances = (norms[:, None] + norms - 2 * gram.products).clamp_(min=0)
    return distances.fill_diagonal_(0)


def median_distance(distances: Tensor) -> Tensor:
    """Median squared distance over the pairs of samples that differ."""
    n = len(distances)
    upper = torch.ones(n, n, dtype=torch.bool, device=distances.device).triu_(1)
    pairs = distances[upper]
    return pairs[pairs > SAME].median()


def rbf(distances: Tensor, bandwidth: Tensor) -> Tensor:
    """The radial basis function kernel exp(-|z - z'|^2 / bandwidth)."""
    return torch.exp(distances / -bandwidth)


@dataclass(frozen=True)
class Beyond:
    """What no function of the features can reach: the projector P = 1 - 11'/n - UU' where U has fewer columns.

    share: the diagonal of P, shape (n,). near: positions of the samples with a share so small that a subtraction
    would leave few digits of it; rows: their rows of P, shape (len(near), n).
    """

    share: Tensor
    near: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Basis:
    """Eigenbasis of a kernel on the complement of the constant vector.

    values: ascending, shape (r,). vectors: U, orthonormal and orthogonal to 1, shape (n, r). beyond: None where U
    spans the whole complement, r = n - 1.
    """

    values: Tensor
    vectors: Tensor
    beyond: Beyond | None = None


def centred_eigenbasis(kernel: Tensor) -> Basis:
    """Eigendecompose Q'KQ = V w V', where Q (n x n-1) is an orthonormal basis of what is orthogonal to 1.

    float64. Of one kernel on the CPU whatever its device: at these sizes the eigendecomposition is not faster
    elsewhere; of the kernels of measurements that run side by side as one stack, on their device.
    """
    return together(_eigenbases, kernel)


def _eigenbases(kernels: list[Tensor]) -> list[Basis]:
    """Of kernels of any sizes, those of one size in one call."""
    found: list[Basis | None] = [None] * len(kernels)
    for size in dict.fromkeys(len(kernel) for kernel in kernels):
        places = [place for place, kernel in enumerate(kernels) if len(kernel) == size]
        if len(places) == 1:
            found[places[0]] = _decompose(kernels[places[0]], torch.device("cpu"))
            continue
        stacked = _decompose(torch.stack([kernels[place] for place in places]), kernels[places[0]].device)
        for place, values, vectors in zip(places, stacked.values, stacked.vectors, strict=True):
            found[place] = Basis(values, vectors)
    return [basis for basis in found if basis is not None]


def _decompose(kernel: Tensor, solver: torch.device) -> Basis:
    """Of kernels of shape (..., n, n); solver: the device of the eigendecomposition.

    Q is the last n - 1 columns of the Householder reflector that takes 1 to the first axis, so neither product
    with Q costs more than O(n^2).
    """
    n = kernel.shape[-1]
    reflector = torch.full((n,), n**-0.5, dtype=torch.float64, device=kernel.device)
    reflector[0] += 1
    reflector /= reflector.norm()
    image = kernel @ reflector
    # H K H = K - 2 v (Kv - (v'Kv) v)' - 2 (Kv - (v'Kv) v) v', with H = 1 - 2 v v'
    image -= (image @ reflector)[..., None] * reflector
    twice = reflector[:, None] * (image + image)[..., None, :]
    inner = (kernel - twice - twice.mT)[..., 1:, 1:]
    values, inner_vectors = _eigh(inner.to(solver))
    # what rounding alone can make of an eigenvalue 0, where D < n; a weak ridge would notice
    values[values < n * torch.finfo(values.dtype).eps * values[..., -1:]] = 0
    values, inner_vectors = values.to(kernel.device), inner_vectors.to(kernel.device)
    vectors = torch.cat([torch.zeros_like(inner_vectors[..., :1, :]), inner_vectors], -2)
    vectors -= 2 * reflector[:, None] * (reflector[1:] @ inner_vectors)[..., None, :]
    return Basis(values, vectors)


def _eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors; on the CPU by NumPy, which takes two thirds of PyTorch's time there."""
    if matrices.device.type != "cpu":
        values, vectors = torch.linalg.eigh(matrices)
        return values, vectors
    found = np.linalg.eigh(matrices.numpy())
    return torch.from_numpy(found.eigenvalues), torch.from_numpy(found.eigenvectors)

"""Kernels given by m features, for more samples than an n x n matrix can serve: landmarks and explicit features.

Nystroem's method (Williams & Seeger, "Using the Nystroem method to speed up kernel machines", NeurIPS 2000): with m of
the samples as landmarks, the decoder is sought among the functions sum_j a_j k(z, landmark_j), under its own norm. The
features are k(z, landmarks) L^(-1/2), L the landmarks' kernel matrix. What is fitted to them is fitted to all samples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis, Beyond, Gram, standardised_blocks

BLOCK = 1 << 22
"""Elements of Z that are widened to float64 at a time: a small part of what many samples take anyway."""

NEAR = 1e-3
"""A share of P below which a subtraction is not trusted with it."""

SMALLEST = 1e-12
"""Eigenvalues of the landmarks' kernel below this share of the largest are rounding errors."""


@dataclass(frozen=True)
class Landmarks:
    """Inner products of all samples with some of them, and with themselves.

    products: of standardised features, divided by their number; float64, shape (n, m). norms: shape (n,). chosen:
    positions of the landmarks, shape (m,). features: kept; constant: dropped.
    """

    products: Tensor
    norms: Tensor
    chosen: Tensor
    features: int
    constant: int

    @property
    def gram(self) -> Gram:
        """The Gram matrix of the landmarks, standardised by all samples."""
        return Gram(self.products[self.chosen], self.features, self.constant)

    def squared_distances(self) -> Tensor:
        """Squared Euclidean distances per feature from every sample to every landmark, shape (n, m)."""
        distances = (self.norms[:, None] + self.norms[self.chosen] - 2 * self.products).clamp_(min=0)
        distances[self.chosen, torch.arange(len(self.chosen), device=distances.device)] = 0
        return distances


def to_landmarks(z: Tensor, chosen: Tensor) -> Landmarks:
    """Inner products of activations of shape (n, ...) with those of the samples at positions ``chosen``."""
    z = z.flatten(1)
    n, d = z.shape
    products = torch.zeros(n, len(chosen), dtype=torch.float64, device=z.device)
    norms = products.new_zeros(n)
    kept = 0
    for values in standardised_blocks(z, BLOCK):
        products.addmm_(values, values[chosen].T)
        norms += values.square().sum(1)
        kept += values.shape[1]
    count = max(kept, 1)
    return Landmarks(products / count, norms / count, chosen, kept, d - kept)


def standardised_features(z: Tensor) -> Tensor:
    """The features of activations of shape (n, ...) that vary, with mean 0 and mean square 1 / number; float64."""
    values = torch.cat(list(standardised_blocks(z.flatten(1), BLOCK)), 1)
    return values / max(values.shape[1], 1) ** 0.5


def nystroem(kernel: Tensor, chosen: Tensor) -> Tensor:
    """Features, shape (n, at most m), of a kernel between all samples and the m landmarks ``chosen``, shape (n, m)."""
    values, vectors = torch.linalg.eigh(kernel[chosen].cpu())
    kept = values > SMALLEST * values[-1]
    return kernel @ (vectors[:, kept] / values[kept].sqrt()).to(kernel.device)


def feature_eigenbasis(features: Tensor) -> Basis:
    """Eigenbasis of the kernel FF', F of shape (n, m), on the complement of the constant vector, for m < n - 1.

    From a QR decomposition of F behind a constant column, so that U is orthonormal, and orthogonal to 1, to rounding
    error however unlike the features' sizes are.
    """
    n = len(features)
    constant = features.new_full((n, 1), n**-0.5)
    orthonormal, triangle = torch.linalg.qr(torch.cat([constant, features], 1))
    inner = triangle[1:, 1:]
    values, vectors = torch.linalg.eigh((inner @ inner.T).cpu())
    kept = values > n * torch.finfo(values.dtype).eps * values[-1]
    values, vectors = values[kept].to(features.device), vectors[:, kept].to(features.device)
    vectors = orthonormal[:, 1:] @ vectors
    return Basis(values, vectors, _beyond(vectors))


def _beyond(vectors: Tensor) -> Beyond:
    """The diagonal of P = 1 - 11'/n - UU'; for samples that have almost none of it, as the square of their row."""
    n = len(vectors)
    share = 1 - 1 / n - vectors.square().sum(1)
    near = torch.nonzero(share < NEAR)[:, 0]
    rows = (vectors[near] @ vectors.T).neg_() - 1 / n
    rows[torch.arange(len(near), device=rows.device), near] += 1
    share[near] = rows.square().sum(1)
    return Beyond(share, near, rows)

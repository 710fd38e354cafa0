"""What a residual addition z = s + f does: how large the branch f is, and whether it cancels or adds to the shortcut s.

All functions take s and f of shape (n, ...), samples first, both of one shape, and compute in float64. Norms and
cosines are those of the vectors as they are; the regression coefficient and the variance shares are of vectors centred
over the samples.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import centred_eigenbasis
from infoplane.measures.decoding.ridge import choose_ridge

NOTHING = 1e-12
"""Share of the total squared size below which a vector, or a direction, is rounding error."""

ROUNDING = 4.0
"""Rounding steps of the stored dtype by which a stored sum may differ from s + f."""


def rows(values: Tensor) -> Tensor:
    """One float64 vector per sample, shape (n, d)."""
    return values.flatten(1).double() if values.ndim > 1 else values[:, None].double()


def centred(values: Tensor) -> Tensor:
    """Vectors of shape (n, d) less their mean over the samples."""
    return values - values.mean(0)


def branch_ratios(s: Tensor, f: Tensor) -> Tensor:
    """||f|| / ||s|| of every sample whose s is not zero, shape (at most n,)."""
    s, f = rows(s), rows(f)
    norms = s.norm(dim=1)
    carried = norms > 0
    return f.norm(dim=1)[carried] / norms[carried]


def cosines(s: Tensor, f: Tensor) -> Tensor:
    """Cosine of s and f of every sample where neither is zero, shape (at most n,)."""
    s, f = rows(s), rows(f)
    sizes = s.norm(dim=1) * f.norm(dim=1)
    both = sizes > 0
    return (s * f).sum(1)[both] / sizes[both]


def regression_coefficient(s: Tensor, f: Tensor) -> float | None:
    """Least-squares coefficient of centred f on centred s, one number for all features; None where s does not vary.

    -1: the branch removes what the shortcut carries; 0: it writes elsewhere.
    """
    s, f = centred(rows(s)), centred(rows(f))
    size = s.square().sum()
    return float((s * f).sum() / size) if bool(size > 0) else None


def variance_shares(s: Tensor, f: Tensor) -> tuple[float, float, float] | None:
    """Shares of Var(s + f), summed over features, from s, from f and from the cross term 2 Cov(s, f).

    They sum to 1; a negative cross term with shares above 1 is cancellation. None where the sum does not vary.
    """
    s, f = centred(rows(s)), centred(rows(f))
    of_s, of_f, cross = s.square().sum(), f.square().sum(), 2 * (s * f).sum()
    total = of_s + of_f + cross
    if not bool(total > NOTHING * (of_s + of_f)):
        return None
    return float(of_s / total), float(of_f / total), float(cross / total)


def is_sum(s: Tensor, f: Tensor, z: Tensor) -> bool | None:
    """Whether z is s + f up to the rounding of its dtype: no norm or activation follows. None if shapes differ."""
    if not s.shape == f.shape == z.shape:
        return None
    error = (rows(z) - rows(s) - rows(f)).norm()
    return bool(error <= ROUNDING * torch.finfo(z.dtype).eps * (rows(s).norm() + rows(f).norm()))


def principal_basis(s: Tensor, share: float) -> Tensor:
    """Orthonormal directions of the leading principal components of s, shape (d, k).

    The fewest that hold ``share`` of the variance; none (k = 0) where s does not vary.
    """
    s = centred(rows(s))
    n, d = s.shape
    if d <= n:
        values, vectors = torch.linalg.eigh((s.T @ s).cpu())
        return _leading(values, vectors, share).to(s.device)
    values, vectors = torch.linalg.eigh((s @ s.T).cpu())
    return torch.linalg.qr(s.T @ _leading(values, vectors, share).to(s.device))[0]


def decoder_basis(
    s: Tensor, inputs: Tensor, share: float, ridges: Sequence[float], groups: Tensor | None = None
) -> Tensor:
    """Orthonormal directions of s that its ridge decoder of the inputs reads, shape (d, k).

    Those that make the leading principal components of the decoder's predictions, the fewest that hold ``share`` of
    their variance (reduced-rank regression; Izenman 1975). The ridge is chosen by leave-one-out, in units of the
    mean squared norm of centred s. inputs: shape (n, D_x); groups: ids of samples that belong
    together, shape (n,). None (k = 0) where nothing can be decoded.
    """
    s = centred(rows(s))
    size = s.square().sum() / len(s)
    if not bool(size > 0):
        return s.new_zeros(s.shape[1], 0)
    basis = centred_eigenbasis(s @ s.T / size)
    ridge = choose_ridge(basis, inputs, ridges, groups).ridge
    dual = basis.vectors @ ((basis.vectors.T @ inputs) / (basis.values + ridge)[:, None])  # 0 for an infinite ridge
    weights = s.T @ dual / size
    predictions = s @ weights
    if not bool(predictions.square().sum() > 0):
        return s.new_zeros(s.shape[1], 0)
    values, vectors = torch.linalg.eigh((predictions.T @ predictions).cpu())
    return torch.linalg.qr(weights @ _leading(values, vectors, share).to(s.device))[0]


def _leading(values: Tensor, vectors: Tensor, share: float) -> Tensor:
    """The last eigenvectors, values ascending, that hold a share of the trace; none of those that are rounding."""
    falling = values.flip(0).clamp(min=0)
    if not bool(falling[0] > 0):
        return vectors[:, :0]
    real = int((falling > NOTHING * falling[0]).sum())
    held = falling.cumsum(0) / falling.sum()
    count = min(int((held < share).sum()) + 1, real)
    return vectors.flip(1)[:, :count]


def restrict(values: Tensor, basis: Tensor) -> Tensor:
    """Coordinates of vectors (n, ...) in a subspace, shape (n, k); coordinates that are rounding errors are 0."""
    vectors = rows(values)
    inside = vectors @ basis
    size = vectors.square().sum(1).mean()
    inside[:, inside.square().mean(0) <= NOTHING * NOTHING * size] = 0
    return inside

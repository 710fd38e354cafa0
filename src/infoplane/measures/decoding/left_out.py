"""Kernel ridge regression, each group of samples judged by a decoder that was fitted without all of it.

Leave-one-out's formula (`decoding.ridge`) with a block in place of a number: M = U c U' (+ P) takes targets T to the
residuals of the fit on all samples, and the residuals of a group S by a refit without it are (M_SS)^-1 (M T)_S. With
M_SS = A A', A = U_S sqrt(c), they are also the least squares solution of A' e = sqrt(c) U'T: solved as such, by QR, as
copies of one sample make M_SS so ill-conditioned that its product would lose the digits of a weak ridge.
"""

import math

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import Basis


def batches(groups: Tensor) -> list[Tensor]:
    """Positions of the samples of every group, those of one size s as one tensor of shape (groups, s)."""
    order, sizes = groups.argsort(stable=True), torch.bincount(groups)
    starts = sizes.cumsum(0) - sizes
    return [
        order[starts[sizes == size][:, None] + torch.arange(size, device=order.device)]
        for size in sizes.unique().tolist()
        if size
    ]


def leave_groups_out(
    basis: Basis, projected: Tensor, ridge: float, groups: Tensor, rest: Tensor | None = None
) -> Tensor:
    """Residuals, shape (n, p), of targets T with ``projected`` = U'T, shape (r, p), by refits without their groups.

    groups: ids from 0 on, shape (n,). rest: P T, where the basis has fewer than n - 1 vectors.
    """
    shrunk = ridge / (basis.values + ridge) if math.isfinite(ridge) else torch.ones_like(basis.values)
    found = projected.new_empty(len(groups), projected.shape[1])
    for rows in batches(groups):
        part = basis.vectors[rows]
        if rest is None:
            orthonormal, triangle = torch.linalg.qr((part * shrunk.sqrt()).mT)
            wanted = orthonormal.mT @ (shrunk.sqrt()[:, None] * projected)
            found[rows] = torch.linalg.solve_triangular(triangle, wanted, upper=True)
        else:
            beyond = part @ basis.vectors.T
            beyond = -beyond - 1 / len(groups)
            beyond.scatter_add_(2, rows[:, :, None], torch.ones_like(beyond[:, :, :1]))
            block = (part * shrunk) @ part.mT + beyond @ beyond.mT
            found[rows] = torch.linalg.solve(block, part @ (shrunk[:, None] * projected) + rest[rows])
    return found


def constant_group_residuals(inputs: Tensor, groups: Tensor) -> Tensor:
    """Residuals of the mean of the samples of all other groups, shape (n, p)."""
    centred, sizes = inputs - inputs.mean(0), torch.bincount(groups).to(inputs.dtype)
    sums = centred.new_zeros(len(sizes), centred.shape[1]).index_add_(0, groups, centred)
    return centred + (sums / (len(inputs) - sizes)[:, None])[groups]

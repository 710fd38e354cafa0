"""Differential entropy from nearest-neighbour distances, and mutual information as a sum of such entropies.

Kozachenko, Leonenko (1987); weighted: Berrett, Samworth, Yuan (2019). All in nats, in the Euclidean norm, on whitened
samples, the log-determinant kept.
"""

import math

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.coordinates import as_columns, normal_columns, smooth_scores, whiten
from infoplane.measures.information.nearest import nearest
from infoplane.measures.information.neighbours import Information, averaged, prepared
from infoplane.measures.information.weights import GUARD, neighbour_weights

PER_DIMENSION = 5
"""Fewest samples of a class per dimension."""


def neighbour_entropy(x: Tensor, k: int = 3, weighted: bool = False) -> Information:
    """h(X) in nats of a continuous variable, from samples of shape (n,) or (n, d).

    weighted: over 1 to k neighbours with `neighbour_weights`; plain where they are refused, which is noted. Raises
    `UserError` for NaN or infinity, fewer than k + 2 samples, columns that are constant or depend linearly on each
    other, and more than k copies of a row (their density is infinite).
    """
    x = as_columns(x, "x")
    terms, note = _entropy_terms(x, k, weighted)
    return averaged(terms, [note])


def entropy_information(x: Tensor, z: Tensor, k: int = 3, weighted: bool = False, scores: bool = True) -> Information:
    """I(X;Z) = h(X) + h(Z) - h(X,Z) in nats; samples of shape (n,) or (n, d), each whitened by itself.

    scores: `normal_columns` first. Constant columns are left out; I is 0 where nothing else is left. Raises what
    `neighbour_entropy` raises.
    """
    x, z = prepared(x, z, k)
    if not x.shape[1] or not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    if scores:
        x, z = normal_columns(x), normal_columns(z)
    return averaged(*information_terms(x, z, k, weighted))


def information_terms(x: Tensor, z: Tensor, k: int, weighted: bool) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(X;Z), and notes; x, z: (n, d), as they are."""
    parts = [_entropy_terms(columns, k, weighted) for columns in (x, z, torch.cat([x, z], 1))]
    return parts[0][0] + parts[1][0] - parts[2][0], sorted({note for _, note in parts})


def entropy_class_information(
    z: Tensor, labels: Tensor, k: int = 3, weighted: bool = False, scores: bool = True
) -> Information:
    """I(Z;Y) = h(Z) - sum_y p(y) h(Z|y) in nats; samples of shape (n,) or (n, d), labels int64, shape (n,).

    A class uses at most a quarter of its samples as neighbours. scores and constants as in `entropy_information`.
    Raises what `neighbour_entropy` raises, of a class too, and for a class of fewer than `PER_DIMENSION` samples per
    dimension, whose covariance would be guessed.
    """
    z, _ = prepared(z, labels, k)
    if not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    if len(torch.unique(labels)) < 2:
        return Information(0.0, 0.0, "one class")
    return averaged(*class_terms(smooth_scores(z) if scores else z, labels, k, weighted))


def class_terms(z: Tensor, labels: Tensor, k: int, weighted: bool) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(Z;Y), and notes; z: (n, d), as it is."""
    residuals = z.clone()
    for label in torch.unique(labels):
        residuals[labels == label] -= z[labels == label].mean(0)
    # in units of the spread within classes: beside classes that lie far apart, all else would look thin
    terms, note = _density_terms(*whiten(z, residuals), k, weighted)
    notes = {note}
    for label in torch.unique(labels):
        rows = labels == label
        size = int(rows.sum())
        if size < PER_DIMENSION * z.shape[1]:
            raise UserError(f"a class of {size} samples is too small for an entropy in {z.shape[1]} dimensions.")
        inside, note = _entropy_terms(z[rows].contiguous(), min(k, size // 4), weighted)
        terms[rows] -= inside
        notes.add(note)
    return terms, sorted(notes)


def _entropy_terms(x: Tensor, k: int, weighted: bool) -> tuple[Tensor, str]:
    """One term per sample, of mean h(X), and a note."""
    n, d = x.shape
    if n < max(k + 2, d + 2):
        raise UserError(f"{n} samples are too few for {k} nearest neighbours in {d} dimensions.")
    return _density_terms(*whiten(x), k, weighted)


def _density_terms(white: Tensor, volume: float, k: int, weighted: bool) -> tuple[Tensor, str]:
    """`_entropy_terms` of columns divided by what has this log-determinant."""
    n, d = white.shape
    distances = nearest(white.contiguous(), k, norm=2)[0]
    if not bool((distances[:, -1] > 0).all()):
        raise UserError(f"a row occurs more than {k} times, so there is no density: add noise.")
    weights, refused = neighbour_weights(d, k) if weighted else ((0.0,) * (k - 1) + (1.0,), False)
    ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    share = torch.tensor(weights, dtype=white.dtype, device=white.device)
    used = share != 0
    if not bool((distances[:, used] > 0).all()):
        raise UserError("some rows occur twice, so weights over all neighbours have no meaning: add noise.")
    digamma = torch.digamma(torch.arange(1, k + 1, dtype=white.dtype, device=white.device))
    logs = d * distances[:, used].log() + ball + math.log(n - 1) - digamma[used]
    note = f"weights larger than {GUARD:g}: the unweighted estimate is used" if refused else ""
    return logs @ share[used] + volume, note

"""Mutual information from nearest neighbours by counting: Kraskov, Stoegbauer, Grassberger (2004) and Ross (2014).

All in nats, in the maximum norm, from samples: tensors of shape (n,) or (n, d).
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.coordinates import as_columns, smooth_scores, varying
from infoplane.measures.information.nearest import count_within, nearest

Variant = Literal["ksg1", "ksg2"]


class Information(NamedTuple):
    """An estimate in nats; stderr: over samples, neighbours held fixed; note: what a reader should know of it."""

    value: float
    stderr: float
    note: str = ""


def ksg_information(x: Tensor, z: Tensor, k: int = 1, variant: Variant = "ksg2", scores: bool = True) -> Information:
    """I(X;Z) of two continuous variables in nats; samples of shape (n,) or (n, d).

    ksg1, ksg2: equations 8 and 9 of Kraskov, Stoegbauer, Grassberger, "Estimating mutual information" (2004). The
    bias grows with k and the information: with one neighbour it is least. scores: put every column through
    `smooth_scores` first.

    Constant columns are left out; I is 0 where nothing else is left. Duplicate rows are noted. Raises `UserError`
    for NaN or infinity, different lengths, or fewer than k + 2 samples.
    """
    x, z = prepared(x, z, k)
    if not x.shape[1] or not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    if scores:
        x, z = smooth_scores(x), smooth_scores(z)
    joint = torch.cat([x, z], 1)
    distances, positions = nearest(joint, k)
    notes = ["duplicate rows"] if bool((distances[:, 0] == 0).any()) else []
    constant = _digamma(k) + _digamma(len(joint))
    if variant == "ksg1":
        radii = distances[:, -1].contiguous()
        counts = [count_within(part, radii, strict=True) + 1 for part in (x, z)]
    else:
        constant -= 1 / k
        counts = [count_within(part, _reach(part, positions), strict=False) for part in (x, z)]
    return averaged(constant - torch.digamma(counts[0]) - torch.digamma(counts[1]), notes)


def ross_information(z: Tensor, labels: Tensor, k: int = 3, scores: bool = True) -> Information:
    """I(Z;Y) of continuous Z and a label Y in nats; samples of shape (n,) or (n, d), labels int64, shape (n,).

    Ross, "Mutual information between discrete and continuous data sets" (2014), equation 2: neighbours within the
    class, counted among all. A class of no more than k samples uses as many neighbours as it has; the only sample of
    a class tells nothing and is left out. scores, constants, duplicates and errors as in `ksg_information`.
    """
    z, _ = prepared(z, labels, k)
    if not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    labels, counts = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    if len(counts) < 2:
        return Information(0.0, 0.0, "one class")
    notes = []
    if scores:
        z = smooth_scores(z)
    kept = counts[labels] > 1
    if not bool(kept.all()):
        notes.append("classes of one sample left out")
        if not bool(kept.any()):
            raise UserError("no class has two samples: I(Z;Y) cannot be estimated from neighbours within a class.")
        z, labels = z[kept], labels[kept]
    n = len(z)
    radii, closest, used, sizes = (torch.empty(n, dtype=z.dtype, device=z.device) for _ in range(4))
    for label in torch.unique(labels):
        rows = labels == label
        size = int(rows.sum())
        neighbours = min(k, size - 1)
        distances = nearest(z[rows].contiguous(), neighbours)[0]
        radii[rows], closest[rows] = distances[:, -1], distances[:, 0]
        used[rows], sizes[rows] = neighbours, size
    if bool((closest == 0).any()):
        notes.append("duplicate rows")
    # the k-th neighbour itself is counted instead of the sample, as Ross does: strictly nearer ones, and one
    within = count_within(z, radii, strict=True) + 1
    return averaged(_digamma(n) + torch.digamma(used) - torch.digamma(sizes) - torch.digamma(within), notes)


def prepared(x: Tensor, other: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Both as finite float64 columns without constant ones; raises `UserError` where k neighbours cannot be had."""
    if k < 1:
        raise UserError(f"k must be at least 1 neighbour, got {k}.")
    if len(x) != len(other):
        raise UserError(f"{len(x)} samples of one variable, {len(other)} of the other: they have to be paired.")
    if len(x) < k + 2:
        raise UserError(f"{len(x)} samples are too few for {k} nearest neighbours: at least {k + 2} are needed.")
    return varying(as_columns(x, "x")), varying(as_columns(other, "z"))


def _reach(part: Tensor, positions: Tensor) -> Tensor:
    """The largest distance in these columns to any of the neighbours; shape (n,)."""
    return (part[positions] - part[:, None]).abs().amax((1, 2))


def _digamma(value: int) -> float:
    return float(torch.digamma(torch.tensor(float(value), dtype=torch.float64)))


def averaged(terms: Tensor, notes: Iterable[str]) -> Information:
    """The mean of one term per sample, with its standard error and the notes that are not empty."""
    return Information(float(terms.mean()), float(terms.std() / math.sqrt(len(terms))), "; ".join(filter(None, notes)))

"""Mutual information from nearest neighbours by counting: Kraskov, Stoegbauer, Grassberger (2004) and Ross (2014).

All in nats, in the maximum norm, from samples: tensors of shape (n,) or (n, d).
"""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.coordinates import as_columns, normal_columns, smooth_scores, varying
from infoplane.measures.information.nearest import count_within, nearest

Variant = Literal["ksg1", "ksg2"]


class Information(NamedTuple):
    """An estimate in nats, and what a reader should know of it.

    stderr: over samples, neighbours held fixed; where `intervals` judged it, with what the bias may be. about: other
    figures by name, such as what a second estimator says.
    """

    value: float
    stderr: float
    note: str = ""
    about: Mapping[str, object] = MappingProxyType({})


def ksg_information(x: Tensor, z: Tensor, k: int = 1, variant: Variant = "ksg2", scores: bool = True) -> Information:
    """I(X;Z) of two continuous variables in nats; samples of shape (n,) or (n, d).

    ksg1, ksg2: equations 8 and 9 of Kraskov, Stoegbauer, Grassberger, "Estimating mutual information" (2004). The
    bias grows with k and the information: with one neighbour it is least. scores: `normal_columns` first.

    Constant columns are left out; I is 0 where nothing else is left. Duplicate rows are noted. Raises `UserError`
    for NaN or infinity, different lengths, or fewer than k + 2 samples.
    """
    x, z = prepared(x, z, k)
    if not x.shape[1] or not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    if scores:
        x, z = normal_columns(x), normal_columns(z)
    return averaged(*ksg_terms(x, z, k, variant))


def ksg_terms(x: Tensor, z: Tensor, k: int, variant: Variant) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(X;Z), and notes; x, z: (n, d), as they are."""
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
    return constant - torch.digamma(counts[0]) - torch.digamma(counts[1]), notes


def mixed_terms(x: Tensor, z: Tensor, k: int = 3) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(X;Z), where X and Z may be values, densities or both; x, z: (n, d), as they are.

    Gao, Kannan, Oh, Viswanath, "Estimating mutual information for discrete-continuous mixtures" (2017): as ksg1, but
    where k neighbours equal a sample, all that equal it are counted.
    """
    joint = torch.cat([x, z], 1)
    radii = nearest(joint, k)[0][:, -1].contiguous()
    used = torch.where(radii > 0, k, count_within(joint, torch.zeros_like(radii), strict=False) + 1)
    counts = [count_within(part, radii, strict=True) + 1 for part in (x, z)]
    return torch.digamma(used) + _digamma(len(joint)) - torch.digamma(counts[0]) - torch.digamma(counts[1]), []


def ross_information(z: Tensor, labels: Tensor, k: int = 3, scores: bool = True) -> Information:
    """I(Z;Y) of continuous Z and a label Y in nats; samples of shape (n,) or (n, d), labels int64, shape (n,).

    Ross, "Mutual information between discrete and continuous data sets" (2014), equation 2: neighbours within the
    class, counted among all. A class of no more than k samples uses as many neighbours as it has; the only sample of
    a class tells nothing and is left out. Where k neighbours equal a sample, all that equal it are used and counted
    (Gao et al. 2017), so that discrete Z is counted. scores: every column through `smooth_scores` first; constants,
    duplicates and errors as in `ksg_information`.
    """
    z, _ = prepared(z, labels, k)
    if not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    labels, counts = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    if len(counts) < 2:
        return Information(0.0, 0.0, "one class")
    terms, notes = ross_terms(smooth_scores(z) if scores else z, labels, k)
    return averaged(terms[terms.isfinite()], notes)


def ross_terms(z: Tensor, labels: Tensor, k: int) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(Z;Y), NaN for the only sample of a class, and notes; z: (n, d), as it is.

    labels: whole numbers from 0 on. Raises `UserError` where fewer than two classes have two samples.
    """
    notes: list[str] = []
    kept = labels.bincount()[labels] > 1
    if not bool(kept.all()):
        if (several := len(labels[kept].unique())) < 2:
            classes = "only one class has" if several else "no class has"
            raise UserError(f"{classes} two samples: I(Z;Y) cannot be estimated from neighbours within a class.")
        some, notes = ross_terms(z[kept].contiguous(), labels[kept], k)
        return torch.full_like(z[:, 0], torch.nan).masked_scatter(kept, some), [
            f"classes of one sample left out: {int((~kept).sum())} of {len(kept)} samples",
            *notes,
        ]
    n = len(z)
    radii, closest, used, sizes = (torch.empty(n, dtype=z.dtype, device=z.device) for _ in range(4))
    for label in torch.unique(labels):
        rows = labels == label
        size = int(rows.sum())
        neighbours = min(k, size - 1)
        inside = z[rows].contiguous()
        distances = nearest(inside, neighbours)[0]
        radii[rows], closest[rows] = distances[:, -1], distances[:, 0]
        equal = distances[:, -1] == 0
        found = torch.full_like(distances[:, 0], neighbours)
        if bool(equal.any()):
            found = torch.where(equal, count_within(inside, torch.zeros_like(found), strict=False), found)
        used[rows], sizes[rows] = found, size
    if bool((closest == 0).any()):
        notes.append("duplicate rows")
    # the k-th neighbour itself is counted instead of the sample, as Ross does: strictly nearer ones, and one
    within = count_within(z, radii, strict=True) + (radii > 0)
    return _digamma(n) + torch.digamma(used) - torch.digamma(sizes) - torch.digamma(within), notes


def prepared(x: Tensor, other: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Both as finite float64 columns without constant ones; raises `UserError` where there are not k neighbours."""
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

"""One function for all estimators of mutual information from neighbours, with intervals that include the bias."""

from typing import Literal

import torch
from torch import Tensor

from infoplane.measures.information.coordinates import add_noise, normal_columns, of_values, smooth_scores
from infoplane.measures.information.differential import class_terms, information_terms
from infoplane.measures.information.intervals import Second, judged
from infoplane.measures.information.neighbours import Information, ksg_terms, mixed_terms, prepared, ross_terms

Estimator = Literal["ksg1", "ksg2", "kl", "weighted_kl"]
ClassEstimator = Literal["ross", "kl", "weighted_kl"]

NEIGHBOURS: dict[Estimator, int] = {"ksg1": 1, "ksg2": 1, "kl": 3, "weighted_kl": 20}
"""The k at which each did best on data of known information (docs: accuracy)."""

FEW = 4
"""Samples per value, on average, from which a variable is taken for a label."""

SURER = 3.0
"""Standard errors by which other coordinates have to find more before they are used."""


def mutual_information(
    x: Tensor, z: Tensor, estimator: Estimator = "weighted_kl", k: int = 20, noise: float = 0.0, seed: int = 0
) -> Information:
    """I(X;Z) in nats, samples of shape (n,) or (n, d), in `normal_columns`; stderr includes the bias (`judged`).

    Rows that come several times in X and Z alike are used once. A variable of few values is taken for a label, two are
    counted, and what is a density only in part is estimated by `mixed_terms`; the note says so. noise: deviation of
    `add_noise` on Z where both are densities. Raises `UserError` as `ksg_information` and `entropy_information` do.
    """
    x, z = prepared(x, z, k)
    if not x.shape[1] or not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    if (rows := _used_once(torch.cat([x, z], 1), x, z)) is not None:
        found = mutual_information(x[rows], z[rows], estimator, min(k, max(1, len(rows) // 10)), noise, seed)
        return _named(f"{len(x) - len(rows)} repeated rows left out", found)
    if of_values(x) or of_values(z):
        return values_information(x, z)
    x, z = normal_columns(x), normal_columns(z)
    found = density_information(x, add_noise(z, noise, seed, "Z") if noise else z, estimator, k)
    return found._replace(about={**found.about, "noise": noise})


def density_information(x: Tensor, z: Tensor, estimator: Estimator, k: int) -> Information:
    """`mutual_information` of columns (n, d) that have a density, in the coordinates that they are given in."""
    # the second is of the other kind, with few neighbours: it sees what is thinner than k neighbours
    kind: Estimator = "kl" if estimator.startswith("ksg") else "ksg1"
    return judged(
        lambda rows: plain_terms(x[rows], z[rows], estimator, k),
        len(x),
        x.shape[1] + z.shape[1],
        Second(f"{kind} (k = 3)", lambda rows: plain_terms(x[rows], z[rows], kind, 3)),
    )


def plain_terms(x: Tensor, z: Tensor, estimator: Estimator, k: int) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(X;Z), and notes; x, z: (n, d), as they are."""
    if estimator == "ksg1" or estimator == "ksg2":
        return ksg_terms(x, z, k, estimator)
    return information_terms(x, z, k, weighted=estimator == "weighted_kl")


def values_information(x: Tensor, z: Tensor) -> Information:
    """I(X;Z) in nats where values of X or of Z, (n, d), repeat: by labels, by counting, or as a mixture."""
    n, (of_x, of_z) = len(x), (torch.unique(side, dim=0, return_inverse=True)[1] for side in (x, z))
    few = [int(numbers.max()) < n / FEW for numbers in (of_x, of_z)]
    if all(few):
        return counted_information(of_x, of_z)
    if any(few):
        found = class_information(z, of_x) if few[0] else class_information(x, of_z)
        return _named(f"{'X' if few[0] else 'Z'} has few values and is used as a label", found)
    x, z = normal_columns(x), normal_columns(z)
    found = judged(lambda rows: mixed_terms(x[rows], z[rows]), n, x.shape[1] + z.shape[1], None)
    return _named("some values repeat: estimated as a mixture of values and densities", found)


def _used_once(together: Tensor, *sides: Tensor) -> Tensor | None:
    """Positions of the samples without those that equal an earlier one; together: (n, d), of which sides are columns.

    None where nothing repeats, where a side repeats without the rest, and where values are so few that they are values.
    """
    n = len(together)
    if any(len(torch.unique(side[:, 0])) == n for side in sides):
        return None
    place, *alone = (torch.unique(rows, dim=0, return_inverse=True)[1] for rows in (together, *sides))
    distinct = int(place.max()) + 1
    if not n > distinct > n / FEW or any(int(one.max()) + 1 != distinct for one in alone):
        return None
    everyone = torch.arange(n, device=together.device)
    return torch.full_like(everyone[:distinct], n).scatter_reduce(0, place, everyone, "amin").sort().values


def _named(note: str, found: Information) -> Information:
    return found._replace(note="; ".join(filter(None, [note, found.note])))


def counted_information(first: Tensor, second: Tensor) -> Information:
    """I in nats of two labels (n,) by their observed frequencies; stderr includes its bias to first order (Miller)."""
    n, pairs = len(first), torch.stack([first, second], 1)
    together, alone, other = (
        torch.unique(one, dim=0, return_inverse=True, return_counts=True)[1:] for one in (pairs, first, second)
    )
    terms = torch.log(n * together[1][together[0]].double() / alone[1][alone[0]] / other[1][other[0]])
    bias = (len(together[1]) - len(alone[1]) - len(other[1]) + 1) / (2 * n)
    found = judged(lambda rows: (terms[rows], []), n, 1, None)
    return found._replace(
        stderr=(found.stderr**2 + bias**2) ** 0.5,
        note="X and Z have few values: estimated from how often each pair occurs",
    )


def class_information(z: Tensor, labels: Tensor, estimator: ClassEstimator = "ross", k: int = 3) -> Information:
    """I(Z;Y) in nats, samples of shape (n,) or (n, d), labels int64, shape (n,); stderr includes the bias (`judged`).

    By neighbours within the class (ross), or by an entropy per class (kl, weighted_kl); where values of Z repeat, by
    ross. Z in `smooth_scores`, or, where these find clearly more, every unit in units of its spread within the classes:
    scores push classes together that lie far apart. What exceeds H(Y) by no more than its standard error is H(Y).
    Raises `UserError` as `ross_information` and `entropy_class_information` do.
    """
    z, _ = prepared(z, labels, k)
    if not z.shape[1]:
        return Information(0.0, 0.0, "constant")
    labels, sizes = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
    if len(sizes) < 2:
        return Information(0.0, 0.0, "one class")
    if (rows := _used_once(torch.cat([z, labels[:, None]], 1), z)) is not None:
        found = class_information(z[rows], labels[rows], estimator, k)
        return _named(f"{len(z) - len(rows)} repeated rows left out", found)
    if of_values(z):
        estimator = "ross"
    z, whole = class_coordinates(z, labels), float(torch.special.entr(sizes.double() / len(labels)).sum())
    kind: ClassEstimator = "ross" if estimator != "ross" else "kl"
    found = judged(
        lambda rows: plain_class_terms(z[rows], labels[rows], estimator, k),
        len(z),
        z.shape[1],
        Second(f"{kind} (k = 3)", lambda rows: plain_class_terms(z[rows], labels[rows], kind, 3)),
        labels,
        whole,
    )
    return found._replace(value=whole) if whole < found.value <= whole + found.stderr else found


def plain_class_terms(z: Tensor, labels: Tensor, estimator: ClassEstimator, k: int) -> tuple[Tensor, list[str]]:
    """One term per sample, of mean I(Z;Y), and notes; z: (n, d), as it is."""
    if estimator == "ross":
        return ross_terms(z, labels, k)
    return class_terms(z, labels, k, weighted=estimator == "weighted_kl")


def class_coordinates(z: Tensor, labels: Tensor) -> Tensor:
    """Columns of (n, d) for an estimator of I(Z;Y): `smooth_scores`, or `within_classes` where these find more."""
    scores, within = smooth_scores(z), within_classes(z, labels)
    gain = ross_terms(within, labels, 3)[0] - ross_terms(scores, labels, 3)[0]
    gain = gain[gain.isfinite()]
    return within if float(gain.mean()) > SURER * float(gain.std()) / len(gain) ** 0.5 else scores


def within_classes(z: Tensor, labels: Tensor) -> Tensor:
    """Columns of (n, d) in units of their median distance to the class's median; of their deviation where that is 0."""
    apart = torch.empty_like(z)
    for label in torch.unique(labels):
        rows = labels == label
        apart[rows] = z[rows] - z[rows].median(0).values
    spread = apart.abs().median(0).values
    return z / torch.where(spread > 0, spread, z.std(0, correction=0))

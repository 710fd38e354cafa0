"""Say how far an estimate from neighbours may be off: by sampling, halves of the samples, and a second estimator.

The spread of the terms over the samples does not show an estimator's bias. Two things do. The same estimator
on halves of the samples: a bias that falls with n is larger there. And an estimator of another kind on the same
samples. Both are compared sample by sample, so that most of what sampling does cancels.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.neighbours import Information
from infoplane.streams import own_seed

Terms = Callable[[Tensor], tuple[Tensor, list[str]]]
"""Positions of samples -> one term for each of them, NaN for one that is left out, and notes."""

FARTHEST = 1 / (math.sqrt(2) - 1)
"""Largest multiple of the difference between n and n/2 that the bias at n is taken to be: that of a rate n^(-1/2)."""

LOW = 2
"""Joint dimension up to which a second estimator counts whether it finds more or less; beyond, all estimators from
neighbours find too little, and only one that finds more is evidence."""

NOISY = 4
"""Joint dimension beyond which the difference of halves and whole is mostly noise, whose variance is subtracted."""

SURE = 1.96

CLEAR = 0.1
"""Nats by which a second estimator has to find more before it is noted."""


class Second(NamedTuple):
    """An estimator of another kind on the same samples."""

    name: str
    terms: Terms


def judged(
    terms: Terms,
    n: int,
    joint: int,
    second: Second | None,
    labels: Tensor | None = None,
    most: float = math.inf,
) -> Information:
    """The mean of the terms, with a standard error that includes what the bias may be.

    stderr^2 = spread of the terms^2 / n + (f b)^2 + g^2. b: the mean of the terms less their mean in halves of the
    samples (stratified by labels); f: 1 / (2^r - 1) for a bias that falls like n^-r, r = 2 / joint, at most
    `FARTHEST`. g: what the second estimator finds less this one (where it finds more, beyond `LOW` dimensions). The
    variance of a mean of paired differences is taken off both squares beyond `NOISY` dimensions, so that noise is not
    taken for bias. Noted: a second estimator that finds more, by `CLEAR` or more than both intervals, and samples too
    few for halves. most: what there can be at most; a second estimator that finds more finds this.
    """
    everyone = torch.arange(n)
    whole, notes = terms(everyone)
    value, spread = _mean(whole)
    about: dict[str, object] = {"sampling": spread}
    falls = 1 / (2 ** (2 / joint) - 1)
    try:
        half = torch.empty_like(whole)
        for rows in halves(n, labels):
            half[rows] = terms(rows)[0]
    except UserError:
        from_n = 0.0
        notes = [*notes, "too few samples to estimate the bias from halves of them"]
    else:
        difference, noise = _mean(whole - half)
        from_n = min(falls, FARTHEST) * _beyond(difference, noise, joint)
        about |= {"half": value - difference, "bias_of_n": from_n}
    from_kind = 0.0
    if second is not None and (other := _tried(second.terms, everyone)) is not None:
        difference, noise = _mean(other - whole)
        difference = min(difference, most - value)
        more = difference if joint > LOW else abs(difference)
        from_kind = _beyond(max(0.0, more), noise, joint)
        about |= {"second": second.name, "second_says": value + difference, "bias_of_kind": from_kind}
        if difference > max(CLEAR, SURE * (math.hypot(spread, from_n) + _mean(other)[1])):
            notes = [
                *notes,
                f"{second.name} says {value + difference:.2f} nats, which is further away than both intervals allow",
            ]
    return Information(value, math.hypot(spread, from_n, from_kind), "; ".join(filter(None, notes)), about)


def halves(n: int, labels: Tensor | None = None) -> Sequence[Tensor]:
    """Positions of two halves of n samples, drawn at random, each class split evenly; always the same."""
    order = np.random.default_rng(own_seed(0, "halves", n)).permutation(n)
    if labels is not None:
        order = order[np.argsort(labels.cpu().numpy()[order], kind="stable")]
    return [torch.as_tensor(np.sort(order[start::2])) for start in (0, 1)]


def _mean(terms: Tensor) -> tuple[float, float]:
    """The mean of what is finite, and its standard error."""
    terms = terms[terms.isfinite()]
    return float(terms.mean()), float(terms.std() / math.sqrt(len(terms)))


def _beyond(difference: float, noise: float, joint: int) -> float:
    return math.sqrt(max(0.0, difference**2 - noise**2)) if joint > NOISY else abs(difference)


def _tried(terms: Terms, rows: Tensor) -> Tensor | None:
    try:
        return terms(rows)[0]
    except UserError:
        return None

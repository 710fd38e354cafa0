"""Handle samples that belong together: find them, keep them in one fold, and give the standard error of their mean."""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

OFTEN = 10
"""Where each input occurs this often on average, X counts as discrete; where less often, equal inputs are copies."""

CERTAIN = 25
"""From this many on, no note is needed; below it a note says how X was treated."""

COPIES = (
    "inputs come more than once and no group is named: samples with the same input are left out together "
    "(if they are separate samples, give each its own group)"
)
FEW_VALUES = "inputs come more than once and no group is named: treated as the few values of a discrete X"


IGNORED = "groups are not used by this family: samples that belong together count as independent ones"


def in_order(groups: Tensor) -> Tensor | None:
    """Group ids, shape (n,), counted from 0 in the order of first appearance; None where no two samples share one."""
    occurring, numbers = torch.unique(groups, return_inverse=True)
    if len(occurring) == len(groups):
        return None
    places = torch.arange(len(groups), device=groups.device)
    first = torch.full_like(occurring, len(groups)).scatter_reduce_(0, numbers, places, "amin")
    return first.argsort().argsort()[numbers]


def copies(inputs: np.ndarray, fewest: int) -> tuple[np.ndarray | None, str]:
    """Groups of samples with one and the same input, shape (n,), or None, and the note for the reader.

    inputs: shape (n, D). A decoder fitted to one copy of a sample has seen the other, so copies are one group. Not so
    for a discrete X: there the same value many times is the distribution itself, and all its values are seen. X is
    discrete where an input comes `OFTEN` times on average (a value that the sample missed is then unlikely), or where
    fewer than ``fewest`` inputs differ, which no decoder could be judged on; the note says so unless an input comes
    `CERTAIN` times. Of one input, as where there is no X, there is no note.
    """
    seen: dict[bytes, int] = {}
    rows = np.ascontiguousarray(inputs) + 0.0  # -0 is 0
    numbers = [seen.setdefault(hashlib.blake2b(row, digest_size=16).digest(), len(seen)) for row in rows]
    n, distinct = len(rows), len(seen)
    if distinct in (1, n) or n >= CERTAIN * distinct:
        return None, ""
    discrete = distinct < fewest or n >= OFTEN * distinct
    return (None, FEW_VALUES) if discrete else (np.asarray(numbers), COPIES)


def lonely(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Find groups with a class that no other group has, which no decoder could learn without them; bool, (G,)."""
    present = _present(labels, groups)
    return np.asarray(present[:, present.sum(0) == 1].any(1))


def fold_of_groups(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold in which each group is left out, stratified by its rarest label; int64, shape (G,).

    -1, never, for groups with a class that would be missing from what the others are decoded by.
    """
    present = _present(labels, groups)
    able = np.flatnonzero(~lonely(labels, groups))
    rarest = np.where(present, present.sum(0), len(present) + 1).argmin(1)
    shuffled = able[np.lexsort((np.random.default_rng(seed).random(len(able)), rarest[able]))]
    fold = np.full(len(present), -1, np.int64)
    fold[shuffled] = np.arange(len(shuffled)) % count
    held = np.stack([present[fold == each].any(0) for each in range(count)])
    nowhere_else = (held.sum(0) == 1) & ~present[fold == -1].any(0)
    fold[present[:, nowhere_else].any(1)] = -1
    return fold


def standard_error(losses: Tensor, groups: Tensor | None = None) -> float:
    """Of the mean of losses, shape (m,), where those of one group, shape (m,), are not independent of one another."""
    count = len(losses)
    if groups is None:
        return float(losses.std()) / math.sqrt(count)
    sums = losses.new_zeros(int(groups.max()) + 1).index_add_(0, groups, losses - losses.mean())
    occurring = len(groups.unique())
    return math.sqrt(occurring / max(1, occurring - 1) * float(sums.square().sum())) / count


def _present(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether a group holds a class, bool, shape (G, K)."""
    present = np.zeros((int(groups.max()) + 1, int(labels.max()) + 1), bool)
    present[groups, labels] = True
    return present

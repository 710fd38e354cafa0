"""Prepare what is decoded from every activation of a run: the input X and the label Y."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.decoding.gram import BLOCK
from infoplane.measures.groups import FEW_VALUES, copies, fold_of_groups, in_order, lonely

FEWEST_SAMPLES = 8

FAR = 20
"""Powers of two by which the spread of X may differ from 1: squares of what is left are safe in float32."""


@dataclass(frozen=True)
class Targets:
    """The inputs X and the labels Y of all samples.

    inputs: X up to a rotation and a shift, which leave every squared error as it is; float64, shape
    (n, min(n - 1, D_x)), all 0 where X does not vary. labels: int64, shape (n,), the classes that occur counted from 0.
    given: X as it was given, such as images, or `within_reach`, float64, shape (n, ...) of at least two axes. groups:
    int64, shape (n,), which samples belong together, such as the crops of one image, counted from 0 in the order of
    first appearance; None where every sample stands alone.
    """

    inputs: Tensor
    labels: Tensor
    classes: int
    given: Tensor
    groups: Tensor | None = None
    note: str = ""

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.labels)

    @cached_property
    def one_hot(self) -> Tensor:
        """Labels as 0 and 1, float64, shape (classes, n)."""
        return torch.nn.functional.one_hot(self.labels, self.classes).T.double().contiguous()

    @cached_property
    def entropy(self) -> float:
        """H(Y) of the label frequencies, nats."""
        shares = self.one_hot.mean(1)
        return float(-(shares * shares.log()).sum()) if self.classes > 1 else 0.0

    @cached_property
    def judged(self) -> int:
        """Samples that share their class with another: no decoder could learn the class of the others.

        Where samples belong together, the groups that do.
        """
        if self.groups is not None:
            return int((~lonely(self.labels.cpu().numpy(), self.groups.cpu().numpy())).sum())
        sizes = self.one_hot.sum(1)
        return int(sizes[sizes > 1].sum())

    def subset(self, count: int, seed: int) -> Tensor:
        """Positions of ``count`` samples drawn without replacement, sorted; all of them when there are no more."""
        drawn = np.random.default_rng(seed).permutation(self.n)[:count]
        return torch.as_tensor(np.sort(drawn), device=self.labels.device)

    def only(self, rows: Tensor) -> "Targets":
        """The targets of the samples at these positions; a class that none of them has is not counted."""
        occurring, labels = torch.unique(self.labels[rows], return_inverse=True)
        groups = None if self.groups is None else in_order(self.groups[rows])
        return Targets(self.inputs[rows], labels, len(occurring), self.given[rows], groups)

    def folds(self, count: int, seed: int) -> Tensor:
        """The fold in which each sample is left out, stratified by label; int64, shape (n,).

        Samples of one group are in one fold. The only sample (or group) of a class is never left out (-1). Raises
        `UserError` when fewer samples than folds can be.
        """
        if not 2 <= count <= self.n:
            raise UserError(
                f"{count} cross-validation folds cannot be made of {self.n} samples: "
                "ask for at least 2 folds and no more than there are samples."
            )
        labels = self.labels.cpu().numpy()
        if self.groups is not None:
            groups = self.groups.cpu().numpy()
            of_groups = fold_of_groups(labels, groups, count, seed)
            if len(set(of_groups[of_groups >= 0])) < count:
                raise UserError(
                    f"{count} cross-validation folds cannot be made of {len(of_groups)} groups of samples that share "
                    "their labels with others: ask for fewer folds, or give more groups."
                )
            return torch.as_tensor(of_groups[groups], device=self.labels.device)
        if self.judged < count:
            raise UserError(
                f"only {self.judged} of {self.n} samples share their label with another, and {count} "
                "cross-validation folds need as many: give labels that are classes, or none."
            )
        shuffled = np.lexsort((np.random.default_rng(seed).random(self.n), labels))
        several = shuffled[np.bincount(labels)[labels[shuffled]] > 1]
        left_out = np.full(self.n, -1, np.int64)
        left_out[several] = np.arange(len(several)) % count
        return torch.as_tensor(left_out, device=self.labels.device)


def rotate_to_rank(inputs: Tensor) -> Tensor:
    """Fewer columns with the same centred inner products: (n, D), any float dtype -> float64, (n, min(n - 1, D)).

    Leave-one-out errors depend on X only through these, so nothing is lost.
    """
    n, d = inputs.shape
    if d < n:
        inputs = inputs.double()
        return inputs - inputs.mean(0)
    products = torch.zeros(n, n, dtype=torch.float64, device=inputs.device)
    for block in inputs.split(max(1, BLOCK // n), dim=1):
        centred = block.double()
        centred = centred - centred.mean(0)
        products.addmm_(centred, centred.T)
    values, vectors = torch.linalg.eigh(products.cpu())
    return (vectors[:, 1:] * values[1:].clamp_(min=0).sqrt()).to(inputs.device)


def within_reach(inputs: Tensor) -> Tensor:
    """X, float64, shape (n, ...), so that neither its unit nor its offset costs digits further on.

    A column that varies by less than a thousandth of its size is shifted by its first value; where X as a whole varies
    by far more or far less than 1, all is divided by a power of two and constant columns become 0. Both are exact: what
    differs still differs, and every value that depends on X's unit in no other way stays as it is. Raises `UserError`
    where that is not so.
    """
    flat = inputs.flatten(1)
    if float(flat.abs().max()) > 2.0**1000:
        flat = flat / 256
    low, high = flat.amin(0), flat.amax(0)
    spread = float((high - low).max())
    far = spread > 0 and not 2.0**-FAR < spread < 2.0**FAR
    nearly = high - low < torch.maximum(low.abs(), high.abs()) / 1024
    shifted = nearly if far else nearly & (high > low)
    if bool(shifted.any()):
        flat = flat - torch.where(shifted, flat[0], 0)
    if far:
        scaled = flat * 2.0 ** -max(-1000, min(math.frexp(spread)[1], 1000))
        if bool(((scaled == 0) & (flat != 0)).any()):
            raise UserError(
                "X holds values of sizes too unlike for float64: leave out its smallest or largest columns."
            )
        return within_reach(scaled.view_as(inputs))
    return flat.view_as(inputs)


def prepare(inputs: np.ndarray, labels: np.ndarray, device: torch.device, groups: np.ndarray | None = None) -> Targets:
    """Targets from inputs of shape (n, ...) and integer labels of shape (n,).

    groups: ids of any type that can be sorted, shape (n,): samples with one id belong together; without any, samples
    with one input do, but for a discrete X (see `groups.copies`). Raises `UserError` when
    they differ in length, hold NaN or infinity, or are fewer than `FEWEST_SAMPLES`.
    """
    if len(inputs) != len(labels):
        raise UserError(f"there are {len(inputs)} inputs but {len(labels)} labels.")
    if groups is not None and np.shape(groups) != (len(labels),):
        raise UserError(
            f"groups must hold one id for each of the {len(labels)} samples, not an array of shape {np.shape(groups)}."
        )
    if len(labels) < FEWEST_SAMPLES:
        raise UserError(f"there are {len(labels)} samples: a measure needs at least {FEWEST_SAMPLES}.")
    given = torch.as_tensor(np.array(inputs, np.float64), device=device)
    given = given[:, None] if given.ndim == 1 else given
    if not bool(torch.isfinite(given).all()):
        raise UserError("the inputs hold NaN or infinity.")
    given = within_reach(given)
    # a constant column less its mean is a rounding error, which would be taken for something to decode
    flat = given.flatten(1)
    flat = torch.where((flat == flat[0]).all(0), 0, flat)
    occurring, counted = np.unique(labels, return_inverse=True)
    together, note = None, ""
    if groups is None:
        groups, note = copies(flat.cpu().numpy(), FEWEST_SAMPLES)
        # where copies are left out together, classes that one input alone has could not be decoded: such inputs are
        # values, not copies
        if groups is not None and int((~lonely(counted, groups)).sum()) < FEWEST_SAMPLES:
            groups, note = None, FEW_VALUES
    if groups is not None:
        together = in_order(torch.as_tensor(np.unique(groups, return_inverse=True)[1], device=device))
    y = torch.as_tensor(counted, device=device)
    return Targets(rotate_to_rank(flat), y, len(occurring), given, together, note)

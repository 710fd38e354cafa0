"""Prepare what is decoded from every activation of a run: the input X and what is learned, Y."""

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

MEASURES = {"x": "zx", "y": "zy"}
"""Variable -> the measure of how well it is decoded."""
LETTERS = {"zx": "X", "zy": "Y"}
"""The same measures -> what readers call the variable."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """A continuous variable: the numbers of all samples, decoded by their squared error.

    values: up to a rotation and a shift, which leave every squared error as it is; float64, shape
    (n, min(n - 1, D)), all 0 where they do not vary. given: as they were given, such as images, or `within_reach`,
    float64, shape (n, ...) of at least two axes.
    """

    values: Tensor
    given: Tensor

    unit = "nmse"
    reference = 1.0
    """The value of a representation without information."""
    entropy = math.inf
    """Of numbers; there is no limit to information on them."""

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def varies(self) -> bool:
        """Whether any two samples differ."""
        return bool(self.values.any())

    def only(self, rows: Tensor) -> "Numbers":
        """Those of the samples at these positions."""
        return Numbers(self.values[rows], self.given[rows])


@dataclass(frozen=True, eq=False)
class Classes:
    """A categorical variable: one class for each sample, decoded by its probability.

    labels: int64, shape (n,), the classes that occur counted from 0; count: how many occur.
    """

    labels: Tensor
    count: int

    unit = "nats"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def given(self) -> Tensor:
        """The labels, of two axes as numbers have them; shape (n, 1)."""
        return self.labels[:, None]

    @property
    def reference(self) -> float:
        """The value of a representation without information."""
        return self.entropy

    @property
    def varies(self) -> bool:
        """Whether any two samples differ."""
        return self.count > 1

    @cached_property
    def one_hot(self) -> Tensor:
        """Labels as 0 and 1, float64, shape (classes, n)."""
        return torch.nn.functional.one_hot(self.labels, self.count).T.double().contiguous()

    @cached_property
    def entropy(self) -> float:
        """Entropy of the label frequencies, nats."""
        shares = self.one_hot.mean(1)
        return float(-(shares * shares.log()).sum()) if self.count > 1 else 0.0

    def only(self, rows: Tensor) -> "Classes":
        """Those of the samples at these positions; a class that none of them has is not counted."""
        occurring, labels = torch.unique(self.labels[rows], return_inverse=True)
        return Classes(labels, len(occurring))


Variable = Numbers | Classes


@dataclass(frozen=True)
class Targets:
    """The input X and what is learned, Y, of all samples.

    groups: int64, shape (n,), which samples belong together, such as the crops of one image, counted from 0 in the
    order of first appearance; None where every sample stands alone. wanted: which of X and Y is asked for; a family
    may leave out the other.
    """

    x: Variable
    y: Variable
    groups: Tensor | None = None
    note: str = ""
    wanted: tuple[str, ...] = ("x", "y")

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    @property
    def x_numbers(self) -> Numbers:
        """X, for a family that declares (`registry.about`) that it needs numbers; raises `UserError` for classes."""
        if not isinstance(self.x, Numbers):
            raise UserError("X is classes, and this measure family takes it for numbers: say so by ABOUT in its file.")
        return self.x

    @property
    def y_classes(self) -> Classes:
        """Y, for a family that declares (`registry.about`) that it needs classes; raises `UserError` for numbers."""
        if not isinstance(self.y, Classes):
            raise UserError("Y is numbers, and this measure family takes it for classes: say so by ABOUT in its file.")
        return self.y

    @property
    def decoded(self) -> dict[str, Variable]:
        """Measure -> the variable that is decoded for it, of those that are wanted."""
        return {MEASURES[name]: getattr(self, name) for name in self.wanted}

    def strata(self, variable: Variable) -> Tensor:
        """Labels by which folds for a variable are stratified: its own, else those of Y, else all 0; int64, (n,)."""
        for one in (variable, self.y):
            if isinstance(one, Classes):
                return one.labels
        return torch.zeros(self.n, dtype=torch.int64, device=self.y.given.device)

    def judged(self, variable: Variable) -> int:
        """Samples that share their class with another: no decoder could learn the class of the others.

        Where samples belong together, the groups that do. Of numbers without any classes beside them, all.
        """
        labels = self.strata(variable)
        if self.groups is not None:
            return int((~lonely(labels.cpu().numpy(), self.groups.cpu().numpy())).sum())
        sizes = torch.bincount(labels)
        return int(sizes[sizes > 1].sum())

    def subset(self, count: int, seed: int) -> Tensor:
        """Positions of ``count`` samples drawn without replacement, sorted; all of them when there are no more."""
        drawn = np.random.default_rng(seed).permutation(self.n)[:count]
        return torch.as_tensor(np.sort(drawn), device=self.y.given.device)

    def only(self, rows: Tensor) -> "Targets":
        """The targets of the samples at these positions."""
        groups = None if self.groups is None else in_order(self.groups[rows])
        return Targets(self.x.only(rows), self.y.only(rows), groups, wanted=self.wanted)

    def folds(self, count: int, seed: int, variable: Variable | None = None) -> Tensor:
        """The fold in which each sample is left out, stratified for a variable (None: Y); int64, shape (n,).

        Stratified by `strata`: of numbers without any classes beside them, folds are plain. Samples of one group are in
        one fold. The only sample (or group) of a class is never left out (-1). Raises `UserError` when fewer samples
        than folds can be.
        """
        if not 2 <= count <= self.n:
            raise UserError(
                f"{count} cross-validation folds cannot be made of {self.n} samples: "
                "ask for at least 2 folds and no more than there are samples."
            )
        variable = self.y if variable is None else variable
        strata = self.strata(variable)
        labels, device = strata.cpu().numpy(), strata.device
        if self.groups is not None:
            groups = self.groups.cpu().numpy()
            of_groups = fold_of_groups(labels, groups, count, seed)
            if len(set(of_groups[of_groups >= 0])) < count:
                raise UserError(
                    f"{count} cross-validation folds cannot be made of {len(of_groups)} groups of samples that share "
                    "their labels with others: ask for fewer folds, or give more groups."
                )
            return torch.as_tensor(of_groups[groups], device=device)
        if (judged := self.judged(variable)) < count:
            raise UserError(
                f"only {judged} of {self.n} samples share their label with another, and {count} "
                "cross-validation folds need as many: give labels that are classes, or none."
            )
        shuffled = np.lexsort((np.random.default_rng(seed).random(self.n), labels))
        several = shuffled[np.bincount(labels)[labels[shuffled]] > 1]
        left_out = np.full(self.n, -1, np.int64)
        left_out[several] = np.arange(len(several)) % count
        return torch.as_tensor(left_out, device=device)


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


def within_reach(inputs: Tensor, name: str = "X") -> Tensor:
    """X, float64, shape (n, ...), so that neither its unit nor its offset costs digits further on; name: of it.

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
                f"{name} holds values of sizes too unlike for float64: leave out its smallest or largest columns."
            )
        return within_reach(scaled.view_as(inputs), name)
    return flat.view_as(inputs)


def numbers(values: np.ndarray, device: torch.device, name: str = "X") -> Numbers:
    """A continuous variable of this name from numbers of shape (n, ...); raises `UserError` for NaN and infinity."""
    given = torch.as_tensor(np.array(values, np.float64), device=device)
    given = given[:, None] if given.ndim == 1 else given
    if not bool(torch.isfinite(given).all()):
        raise UserError(f"{name} holds NaN or infinity.")
    given = within_reach(given, name)
    return Numbers(rotate_to_rank(_without_constants(given)), given)


def classes(labels: np.ndarray, device: torch.device) -> Classes:
    """A categorical variable from labels of shape (n,) that can be sorted."""
    occurring, counted = np.unique(labels, return_inverse=True)
    return Classes(torch.as_tensor(counted, device=device), len(occurring))


def _without_constants(given: Tensor) -> Tensor:
    """Rows of numbers, (n, D); a constant column is 0: less its mean it is a rounding error, which could be decoded."""
    flat = given.flatten(1)
    return torch.where((flat == flat[0]).all(0), 0, flat)


def gather(x: Variable, y: Variable, groups: np.ndarray | None = None) -> Targets:
    """Targets from X and Y of the same samples.

    groups: ids of any type that can be sorted, shape (n,): samples with one id belong together; without any, samples
    with one input do, but for a discrete X (see `groups.copies`). Raises `UserError` when X, Y and groups differ in
    length or are fewer than `FEWEST_SAMPLES`.
    """
    if len(x) != len(y):
        raise UserError(f"there are {len(x)} inputs but {len(y)} labels.")
    if groups is not None and np.shape(groups) != (len(y),):
        raise UserError(
            f"groups must hold one id for each of the {len(y)} samples, not an array of shape {np.shape(groups)}."
        )
    if len(y) < FEWEST_SAMPLES:
        raise UserError(f"there are {len(y)} samples: a measure needs at least {FEWEST_SAMPLES}.")
    together, note = None, ""
    if groups is None and isinstance(x, Numbers):
        groups, note = copies(_without_constants(x.given).cpu().numpy(), FEWEST_SAMPLES)
        # where copies are left out together, classes that one input alone has could not be decoded: such inputs are
        # values, not copies
        labels = y.labels.cpu().numpy() if isinstance(y, Classes) else np.zeros(len(y), np.int64)
        if groups is not None and int((~lonely(labels, groups)).sum()) < FEWEST_SAMPLES:
            groups, note = None, FEW_VALUES
    if groups is not None:
        together = in_order(torch.as_tensor(np.unique(groups, return_inverse=True)[1], device=y.given.device))
    return Targets(x, y, together, note)


def prepare(x: np.ndarray, y: np.ndarray, device: torch.device, groups: np.ndarray | None = None) -> Targets:
    """Targets from arrays: X of numbers, shape (n, ...), and Y of classes (whole numbers, shape (n,)) or numbers.

    groups: as `gather` takes them. Raises `UserError` as it does, and for NaN and infinity.
    """
    if len(x) != len(y):
        raise UserError(f"there are {len(x)} inputs but {len(y)} labels.")
    continuous = np.asarray(y).dtype.kind == "f"
    return gather(numbers(x, device), numbers(y, device, "Y") if continuous else classes(y, device), groups)

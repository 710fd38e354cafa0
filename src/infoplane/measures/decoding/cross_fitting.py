"""Who learns from what: every sample is predicted by decoders that neither fitted it nor stopped on it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.targets import Targets


@dataclass(frozen=True)
class Splits:
    """The samples of every decoder: repeats of a fold share its test part and differ in the validation part.

    A split's number is fold * repeats + repeat. training: (splits, T). validation: (splits, V). test: the positions
    of each fold's left-out samples. Where parts differ in length, training leaves some out.
    """

    training: Tensor
    validation: Tensor
    test: list[Tensor]
    repeats: int

    def __len__(self) -> int:
        return len(self.training)

    def tests(self, split: int) -> Tensor:
        """Positions of the samples that a split's decoder is judged on."""
        return self.test[split // self.repeats]


def cross_fit(targets: Targets, folds: int, repeats: int, validation: float, seed: int) -> Splits:
    """Train, validation and test positions, stratified by the classes of Y where it has some.

    validation: share of what a fold does not hold out. A sample alone in its class is only ever trained on. Samples
    that belong together are in one part; then only folds are stratified, and parts are as long as the shortest. Raises
    `UserError` when there are fewer samples than folds.
    """
    left_out = targets.folds(folds, seed).cpu().numpy()
    labels = targets.strata(targets.y).cpu().numpy()
    fewest = min(int(((left_out >= 0) & (left_out != fold)).sum()) for fold in range(folds))
    stopping = max(1, round(validation * fewest))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    groups = None if targets.groups is None else targets.groups.cpu().numpy()
    for fold in range(folds):
        others = np.flatnonzero(left_out != fold)
        several = np.flatnonzero((left_out != fold) & (left_out >= 0))
        if groups is not None:
            for chosen in _by_groups(groups[several], stopping, repeats, np.random.default_rng([seed, fold])):
                stop = several[chosen]
                parts.append((np.setdiff1d(others, stop), stop[:stopping]))
            continue
        shuffled = np.random.default_rng([seed, fold]).permutation(several)
        by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
        spacing = len(by_label) / stopping
        for repeat in range(repeats):
            # evenly spaced over the labels; repeats start at different places, so that they overlap little
            places = (np.arange(stopping) + repeat / repeats) * spacing
            chosen = by_label[np.minimum(places.astype(int), len(by_label) - 1)]
            parts.append((np.setdiff1d(others, chosen), np.sort(chosen)))
    stopping = min(len(stop) for _, stop in parts)
    fitted = min(len(training) for training, _ in parts)
    if not stopping or not fitted:
        raise UserError(
            "there are too few groups of samples for training, early stopping and judging: give more groups."
        )
    some = np.random.default_rng([seed, folds])
    training = [np.sort(some.permutation(one)[:fitted]) for one, _ in parts]
    device = targets.y.given.device
    return Splits(
        torch.as_tensor(np.stack(training), device=device),
        torch.as_tensor(np.stack([stop[:stopping] for _, stop in parts]), device=device),
        [torch.as_tensor(np.flatnonzero(left_out == fold), device=device) for fold in range(folds)],
        repeats,
    )


def _by_groups(groups: np.ndarray, stopping: int, repeats: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Which samples a fold's repeats stop on, whole groups of at least ``stopping`` samples, one left: bool, (m,)."""
    numbers, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(numbers))
    found = []
    for repeat in range(repeats):
        turned = np.roll(order, -(repeat * len(order) // repeats))
        enough = 1 + int(np.searchsorted(sizes[turned].cumsum(), stopping))
        found.append(np.isin(groups, numbers[turned[: min(enough, len(order) - 1)]]))
    return found

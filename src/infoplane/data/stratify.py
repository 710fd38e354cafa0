"""A seeded split in which every part has the same mix of classes, of samples one by one or of whole groups."""

from collections.abc import Mapping

import numpy as np


def largest_remainder(total: int, weights: np.ndarray) -> np.ndarray:
    """Share ``total`` out in proportion to integer weights (classes,): int64, summing to ``total`` exactly.

    Hamilton's method: each class gets its share rounded down, and the largest remainders one more, the lower
    class first where they are equal. In integers throughout, so that no rounding depends on the machine.
    """
    shares, remainders = np.divmod(total * weights.astype(np.int64), int(weights.sum()))
    left_over = total - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:left_over]] += 1
    return shares


def stratified_split(labels: np.ndarray, classes: int, counts: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Draw disjoint parts of exactly these sizes; part -> positions (int64), in random order.

    The parts are drawn one after another, each in proportion to what those before it left of every class, to
    within one sample. So a part does not depend on the size of those after it, and a smaller last part is a
    subset of a larger one.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    left = np.bincount(labels, minlength=classes)
    # A sample's rank among those of its class, in the permuted order.
    by_class = np.argsort(labels[order], kind="stable")
    rank = np.empty(len(labels), np.int64)
    rank[order[by_class]] = np.arange(len(labels)) - np.repeat(np.cumsum(left) - left, left)

    taken = np.zeros(classes, np.int64)
    parts = {}
    for number, (name, count) in enumerate(counts.items()):
        share = largest_remainder(count, left)
        low, high = taken[labels], (taken + share)[labels]
        chosen = np.flatnonzero((rank >= low) & (rank < high))
        # Shuffled, so that the head of a file is a fair sample even where the source is sorted by class.
        parts[name] = np.random.default_rng([seed, number]).permutation(chosen)
        taken, left = taken + share, left - share
    return parts


def grouped_split(
    labels: np.ndarray, classes: int, groups: np.ndarray, counts: Mapping[str, int | None], seed: int
) -> dict[str, np.ndarray]:
    """Draw disjoint parts of whole groups (int64, shape (samples,)), none larger than these sizes; None: all the rest.

    Part -> positions (int64), in random order. Groups are taken in one random order: first those that leave the mix of
    classes as it is, to within what is there, then those that still fit. Earlier parts do not depend on later ones.
    """
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(sizes)[:-1])
    left = list(np.random.default_rng(seed).permutation(len(members)))
    available = np.bincount(labels, minlength=classes)
    parts = {}
    for place, (name, count) in enumerate(counts.items()):
        chosen = left
        if count is not None and left:
            chosen = _fitting(left, members, labels, min(count, int(available.sum())), available)
        taken = set(chosen)
        left = [group for group in left if group not in taken]
        rows = np.sort(np.concatenate([members[group] for group in chosen])) if chosen else np.empty(0, np.int64)
        available = available - np.bincount(labels[rows], minlength=classes)
        parts[name] = np.random.default_rng([seed, place]).permutation(rows)
    return parts


def _fitting(
    groups: list[int], members: list[np.ndarray], labels: np.ndarray, count: int, available: np.ndarray
) -> list[int]:
    """Those groups that together have at most ``count`` samples, first by each class's share, then by their size."""
    share = largest_remainder(count, available)
    chosen, others = [], []
    for group in groups:
        wanted = np.bincount(labels[members[group]], minlength=len(share))
        if (wanted <= share).all():
            share = share - wanted
            count -= len(members[group])
            chosen.append(group)
        else:
            others.append(group)
    for group in others:
        if len(members[group]) <= count:
            count -= len(members[group])
            chosen.append(group)
    return chosen

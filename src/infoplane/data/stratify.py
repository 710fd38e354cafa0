"""A seeded split in which every part has the same mix of classes."""

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

"""Entropies and mutual information of discrete values from how often they occur, nats (plug-in estimates).

On the processor, in numpy, wherever the values come from: the arrays are small, and what counts is the cost of a call.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray | Tensor

EXACT_BITS = 53
"""Whole numbers below 2^53 are exact in float64, and so are sums of them in any order."""

HASH_BITS = 76
"""Two different rows share a hash with a probability of at most 2^-76."""

BLOCK = 1 << 16
"""Values that are numbered at once: 512 KiB in float64, so that they stay in the processor's cache."""

MULTIPLIER = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: its products' upper bits spread evenly (Knuth, The Art of Computer Programming, 6.4)."""


class Groups(NamedTuple):
    """Samples by a discrete value.

    labels: which of the groups, from 0 on, int64, shape (n,). sizes: how many samples each has, int64, (groups,).
    """

    labels: np.ndarray
    sizes: np.ndarray


def as_array(values: Array) -> np.ndarray:
    """The values on the processor, in a type that numpy has."""
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def group(values: Array) -> Groups:
    """Equal values are one group, numbered in no particular order; values of shape (n,), of any type.

    Whole numbers are grouped by a table: sorting them takes the longer the more of them differ.
    """
    found = as_array(values)
    if found.dtype == np.int64 and len(found):
        return _group_by_table(found)
    _, labels, sizes = np.unique(found, return_inverse=True, return_counts=True)
    return Groups(labels, sizes)


def _group_by_table(values: np.ndarray) -> Groups:
    """Every value writes its place into a slot of a table and reads back whose place stands there; exact.

    A value that finds another's place has lost its slot, as have all that equal it: the few that did try again, with
    other slots, and each time at least one value per slot is done.
    """
    n = len(values)
    bits, multiplier = (n - 1).bit_length() + 4, MULTIPLIER
    places, table = np.arange(n), np.empty(1 << bits, np.int64)
    slots = _slots(values, multiplier, bits)
    table[slots] = places
    first = table[slots]
    lost = np.flatnonzero(values[first] != values)
    while len(lost):
        multiplier = multiplier * MULTIPLIER % (1 << 64)
        rest = values[lost]
        slots = _slots(rest, multiplier, bits)
        table[slots] = lost
        first[lost] = found = table[slots]
        lost = lost[values[found] != rest]
    number = np.cumsum(first == places)
    labels = (number - 1)[first]
    return Groups(labels, np.bincount(labels, minlength=number[-1]))


def _slots(values: np.ndarray, multiplier: int, bits: int) -> np.ndarray:
    """The upper bits of the products modulo 2^64."""
    return ((values.view(np.uint64) * np.uint64(multiplier)) >> np.uint64(64 - bits)).view(np.int64)


def joint(first: Groups, second: Groups) -> Groups:
    """Samples are one group where they are in both."""
    return group(_pairs(first, second))


def joint_sizes(first: Groups, second: Groups) -> np.ndarray:
    """How many samples are in each pair of groups, int64, some of them 0 perhaps; cheaper than `joint`."""
    n, pairs = len(first.labels), len(first.sizes) * len(second.sizes)
    labels = _pairs(first, second)
    return np.bincount(labels, minlength=pairs) if pairs <= 4 * n else group(labels).sizes


def _pairs(first: Groups, second: Groups) -> np.ndarray:
    found: np.ndarray = first.labels * len(second.sizes)
    found += second.labels
    return found


def entropy_of_counts(counts: Array) -> float:
    """H of the relative frequencies, nats; counts of any shape, zeros allowed; 0 of nothing.

    log n - (1/n) sum_c c log c in float64: 0 when one value has them all, and log n when none came twice.
    """
    n = int(counts.sum())
    return max(0.0, math.log(n) - sum_c_log_c(counts, n) / n) if n else 0.0


def conditional_entropy(groups: Groups, given: Groups) -> float:
    """H(groups | given) = (1/n) (sum_b c log c - sum_ab c log c), nats: exactly 0 where ``given`` determines them."""
    n, both = len(groups.labels), joint_sizes(groups, given)
    if np.count_nonzero(both) == len(given.sizes):
        return 0.0
    return max(0.0, (sum_c_log_c(given.sizes, n) - sum_c_log_c(both, n)) / n)


def sum_c_log_c(counts: Array, n: int) -> float:
    """Sum of c log c over counts that add up to n: what every entropy of counts is made of; float64."""
    return float(_c_log_c(n).take(as_array(counts)).sum())


@lru_cache(maxsize=16)
def _c_log_c(n: int) -> np.ndarray:
    counts = np.arange(n + 1, dtype=np.float64)
    return counts * np.log(np.maximum(counts, 1))


def plug_in_mutual_information(first: Array, second: Array) -> float:
    """I(A;B) = H(A) - H(A|B) of the observed frequencies of two arrays of labels, each (n,); nats, at least 0."""
    a, b = group(first), group(second)
    return max(0.0, entropy_of_counts(a.sizes) - conditional_entropy(a, b))


def miller_madow(counts: Array) -> float:
    """By how much the plug-in entropy is too low, to first order: (occupied - 1) / 2n, nats.

    Miller, Note on the bias of information estimates (1955). It holds where most values came several times.
    """
    n = int(counts.sum())
    return (int((counts > 0).sum()) - 1) / (2 * n) if n else 0.0


def group_rows(rows: Array) -> Groups:
    """Rows that are equal in every entry are one group; rows of shape (n, ...), any float or integer type."""
    found = as_array(rows)
    # adding 0 makes -0 and 0 the same bits
    flat = np.ascontiguousarray(found.reshape(len(found), -1)) + found.dtype.type(0)
    parts = flat.view(np.uint16 if flat.dtype.itemsize > 1 else np.uint8)
    return group_indices(lambda block: parts[block].astype(np.float64), len(flat), parts.shape[1], 1 << 16)


def group_indices(indices: Callable[[slice], np.ndarray], n: int, d: int, base: int) -> Groups:
    """Groups equal rows of whole numbers from 0 to base - 1.

    indices: some of the n rows, float64, (rows, d); asked for in blocks, so that memory stays small. Rows that fit are
    packed as digits of one number below 2^53, which is exact. Else a row is hashed to at least two sums of its entries,
    weighted with random whole numbers (exact in float64; the same weights at every call): two different rows have the
    same sums with a probability below 2^-76, so that even 20,000 rows (2^28 pairs) are distinguished but once in 2^48
    times. Raises `ValueError` when base and d are too large for that.
    """
    weights, step = _weights(d, base), max(1, BLOCK // d)
    words = [indices(slice(start, start + step)) @ weights for start in range(0, n, step)]
    columns = (np.concatenate(words) if len(words) > 1 else words[0]).astype(np.int64).T
    groups = group(columns[0])
    for column in columns[1:]:
        groups = joint(groups, group(np.ascontiguousarray(column)))
    return groups


@lru_cache(maxsize=64)
def _weights(d: int, base: int) -> np.ndarray:
    """What a row of indices is multiplied with to number it: float64, (d, words)."""
    if d * math.log2(base) <= EXACT_BITS:
        return np.array([[float(base**unit)] for unit in range(d)])
    bits = EXACT_BITS - math.ceil(math.log2(base)) - math.ceil(math.log2(d))
    if bits < 10:
        raise ValueError(f"rows of {d} numbers below {base} are too large to be distinguished safely")
    drawn = np.random.default_rng(20_170_302).integers(1 << bits, size=(d, math.ceil(HASH_BITS / bits)))
    return drawn.astype(np.float64)

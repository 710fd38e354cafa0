"""Entropies of discrete values: exact by counting, whichever way rows are grouped."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from infoplane.measures.information import entropy as entropies
from infoplane.measures.information.entropy import (
    conditional_entropy,
    entropy_of_counts,
    group,
    group_indices,
    group_rows,
    miller_madow,
    plug_in_mutual_information,
)

LN2 = math.log(2)


def entropy(values: Any) -> float:
    """H of hashable values by counting, nats."""
    counts = list(Counter(values).values())
    return -sum(count / sum(counts) * math.log(count / sum(counts)) for count in counts)


def test_entropies_of_counts() -> None:
    assert entropy_of_counts(torch.tensor([1, 1, 0, 2])) == pytest.approx(1.5 * LN2, abs=1e-15)
    assert entropy_of_counts(torch.tensor([7])) == entropy_of_counts(torch.tensor([], dtype=torch.int64)) == 0
    assert entropy_of_counts(torch.ones(4096, dtype=torch.int64)) == math.log(4096)
    assert miller_madow(torch.tensor([3, 0, 5])) == pytest.approx(1 / 16)


def test_mutual_information_of_labels() -> None:
    rng = np.random.default_rng(0)
    a, b = torch.as_tensor(rng.integers(-5, 5, 500)), torch.as_tensor(rng.integers(0, 7, 500))
    expected = entropy(a.tolist()) + entropy(b.tolist()) - entropy(zip(a.tolist(), b.tolist(), strict=True))
    assert plug_in_mutual_information(a, b) == pytest.approx(expected, abs=1e-13)
    assert plug_in_mutual_information(a, 3 * a - 1) == pytest.approx(entropy(a.tolist()), abs=1e-13)
    assert plug_in_mutual_information(a, torch.zeros(500)) == pytest.approx(0, abs=1e-13)
    assert conditional_entropy(group(a % 2), group(a)) == 0


@pytest.mark.parametrize("kinds", [1, 3, 900, 5000])
def test_groups_are_those_of_a_dictionary(kinds: int) -> None:
    rng = np.random.default_rng(kinds)
    values = rng.integers(-(2**62), 2**62, kinds)[rng.integers(0, kinds, 5000)]
    groups = group(torch.as_tensor(values))
    names: dict[int, int] = {}
    for value, label in zip(values.tolist(), groups.labels.tolist(), strict=True):
        assert names.setdefault(value, label) == label
    assert len(set(names.values())) == len(names) == len(groups.sizes)
    assert np.array_equal(np.bincount(groups.labels), groups.sizes)


def test_values_that_share_every_first_slot_are_still_told_apart() -> None:
    # multiples of the multiplier's inverse fall into the lowest slot of the first table
    inverse = pow(entropies.MULTIPLIER, -1, 1 << 64)
    values = np.array([inverse * k % (1 << 64) for k in range(300)], np.uint64).view(np.int64)
    groups = group(torch.as_tensor(np.tile(values, 2)))
    assert len(groups.sizes) == 300 and set(groups.sizes.tolist()) == {2}
    assert np.array_equal(groups.labels[:300], groups.labels[300:])


@pytest.mark.parametrize(("d", "base"), [(3, 5), (10, 30), (11, 30), (40, 2), (500, 30), (64, 1 << 20)])
def test_rows_are_grouped_whether_packed_or_hashed(d: int, base: int) -> None:
    rng = np.random.default_rng(d)
    rows = rng.integers(0, base, (200, d))[rng.integers(0, 200, 600)]
    # neighbours that differ in one entry only, by one
    rows[1] = rows[0]
    rows[1, -1] = (rows[0, -1] + 1) % base
    groups = group_indices(lambda part: rows[part].astype(np.float64), 600, d, base)
    _, expected = np.unique(rows, axis=0, return_inverse=True)
    assert len(groups.sizes) == expected.max() + 1
    assert len(set(zip(groups.labels.tolist(), expected.tolist(), strict=True))) == expected.max() + 1


def test_rows_that_no_hash_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="too large to be distinguished"):
        group_indices(lambda part: np.zeros((1, 1)), 8, 1 << 24, 1 << 20)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64])
def test_equal_inputs_are_grouped(kind: torch.dtype) -> None:
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]).to(kind)
    groups = group_rows(x.reshape(4, 1, 2))
    assert sorted(groups.sizes.tolist()) == [1, 3]
    assert len(set(groups.labels[[0, 1, 3]].tolist())) == 1

"""True values of enumerations by brute counting, and of noisy readings by Monte Carlo."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import logsumexp
from truth_samples import draw, gaussian_information, log_normal

from infoplane.measures.truths import Truth
from infoplane.measures.truths.added_noise import noisy_copy, noisy_grid
from infoplane.measures.truths.discrete import (
    confusion,
    erased_letters,
    exclusive_or,
    function_of_input,
    merged_letters,
    ten_symbols,
)

# Enumerations

ENUMERATED = [confusion(), ten_symbols(), function_of_input(), erased_letters(), merged_letters()]


def counted(*columns: np.ndarray) -> float:
    """The entropy of the rows of several arrays side by side, from how often each occurs, nats."""
    rows = np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1)
    shares = np.unique(rows, axis=0, return_counts=True)[1] / len(rows)
    return float(-(shares * np.log(shares)).sum())


def left_over(x: np.ndarray, z: np.ndarray) -> float:
    """The variance of X that the mean for each value of Z leaves, as a share."""
    _, cell = np.unique(z, axis=0, return_inverse=True)
    cell = cell.ravel()
    sums = np.zeros((cell.max() + 1, x.shape[1]))
    np.add.at(sums, cell, x)
    decoded = (sums / np.bincount(cell)[:, None])[cell]
    return float(((x - decoded) ** 2).sum() / ((x - x.mean(0)) ** 2).sum())


@pytest.mark.parametrize("truth", ENUMERATED, ids=lambda truth: truth.name)
@pytest.mark.parametrize("copies", [1, 3])
def test_an_enumeration_has_the_values_to_the_last_digit(truth: Truth, copies: int) -> None:
    z, x, y = draw(truth, copies * truth.multiple)
    found = {
        "zy": counted(z, y) - counted(z),
        "ixz": counted(x) + counted(z) - counted(x, z),
        "izy": counted(z) + counted(y) - counted(z, y),
        "ixz_given_y": counted(x, y) + counted(z, y) - counted(x, z, y) - counted(y),
    }
    for measure in truth.values.keys() - {"zx"}:
        assert found[measure] == pytest.approx(truth.values[measure], abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "error"), [(truth, 3e-3 if truth.name == "corner of the input" else 1e-12) for truth in ENUMERATED]
)
def test_what_an_enumeration_leaves_of_x(truth: Truth, error: float) -> None:
    z, x, _ = draw(truth, 20_000)
    assert left_over(x, z) == pytest.approx(truth.values["zx"], abs=error)


def test_exclusive_or() -> None:
    truth = exclusive_or(0.1)
    z, _, y = draw(truth)
    z = np.rint(z)
    assert counted(z, y) - counted(z) == pytest.approx(truth.values["zy"], abs=0.005)
    assert counted(z) + counted(y) - counted(z, y) == pytest.approx(truth.values["izy"], abs=0.005)


# Added noise


def absolute(spread: float, d: int) -> float:
    return math.sqrt(1e-3)


def relative(spread: float, d: int) -> float:
    return 0.2 * spread


@pytest.mark.parametrize("noise", [absolute, relative])
@pytest.mark.parametrize(("d", "levels"), [(1, 5), (3, 3)])
def test_a_grid_through_noise(noise: Callable[[float, int], float], d: int, levels: int) -> None:
    truth = noisy_grid(noise, d, levels)
    z, _, y = draw(truth)
    deviation = noise(math.sqrt(z.var(0).sum()), d)
    t = z + deviation * np.random.default_rng(1).normal(size=z.shape)
    places, first = np.unique(z, axis=0, return_index=True)
    each = np.stack([log_normal(t, place, deviation) for place in places], axis=1)
    log_t = logsumexp(each, axis=1) - math.log(len(places))
    mine = y[:, None] == y[first][None, :]
    log_t_y = logsumexp(np.where(mine, each, -np.inf), axis=1) - np.log(mine.sum(1))
    assert (log_normal(t, z, deviation) - log_t).mean() == pytest.approx(truth.values["ixz"], abs=0.01)
    assert (log_t_y - log_t).mean() == pytest.approx(truth.values["izy"], abs=0.01)
    assert (log_normal(t, z, deviation) - log_t_y).mean() == pytest.approx(truth.values["ixz_given_y"], abs=0.01)


@pytest.mark.parametrize("noise", [absolute, relative])
def test_a_copy_through_noise(noise: Callable[[float, int], float]) -> None:
    truth = noisy_copy(noise, 2)
    z, x, _ = draw(truth)
    t = z + noise(math.sqrt(z.var(0).sum()), 2) * np.random.default_rng(1).normal(size=z.shape)
    assert gaussian_information(x, t) == pytest.approx(truth.values["ixz"], abs=0.02)

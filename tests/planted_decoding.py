"""Planted representations on which a decoder's choice of kernel has gone, or could go, wrong: X, Z and labels."""

from collections.abc import Callable
from functools import cache

import numpy as np

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator, int], Sample]


def classes(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Balanced labels in random order."""
    return rng.permutation(np.arange(n) % count)


def on_a_line(rng: np.random.Generator, n: int) -> Sample:
    """Class means at equal distances along one unit, near to very far; the other units are noise."""
    y, z = classes(rng, n, int(rng.integers(3, 11))), rng.normal(size=(n, int(rng.integers(2, 17))))
    z[:, 0] += rng.choice([3.0, 30.0, 1000.0]) * y
    return z, rng.normal(size=(n, 3)) + z[:, :1], y


def near_a_line(rng: np.random.Generator, n: int) -> Sample:
    """Class means along a random direction, a little beside it, and at unequal distances."""
    count, d = int(rng.integers(4, 9)), int(rng.integers(4, 33))
    y, direction = classes(rng, n, count), rng.normal(size=d)
    means = np.sort(rng.exponential(size=count).cumsum())[:, None] * direction * 4 + 0.5 * rng.normal(size=(count, d))
    z = means[y] + rng.normal(size=(n, d))
    return z, z[:, :2] ** 2, y


def far_apart(rng: np.random.Generator, n: int) -> Sample:
    """Five classes of many units, six deviations apart, at random places."""
    y = classes(rng, n, 5)
    means = rng.normal(size=(5, 32))
    z = 6 * (means / np.linalg.norm(means, axis=1, keepdims=True))[y] + rng.normal(size=(n, 32))
    return z, means[y] + 0.1 * rng.normal(size=(n, 32)), y


def one_unit_in_thousands(rng: np.random.Generator, n: int) -> Sample:
    """The label times 1,000 in one unit: a step of units in the others' scale."""
    y, z = np.arange(n) % 10, rng.normal(size=(n, 16))
    z[:, 0] += 1000 * y
    return z, rng.normal(size=(n, 3)), y


def heavy_tails(rng: np.random.Generator, n: int) -> Sample:
    """X of Student's t with 2.5 degrees of freedom, seen through noise."""
    x = rng.standard_t(2.5, size=(n, int(rng.integers(1, 4))))
    return x + rng.normal(size=x.shape), x, (x[:, 0] > 0).astype(int) + (x[:, 0] > 2)


def outliers(rng: np.random.Generator, n: int) -> Sample:
    """A linear code with a few samples a hundred times as large."""
    x = rng.normal(size=(n, 4))
    z = x @ rng.normal(size=(4, 8)) + 0.3 * rng.normal(size=(n, 8))
    z[rng.integers(0, n, 3)] *= 100
    return z, x, (x[:, 0] > 0).astype(int) + 2 * (x[:, 1] > 0)


def wide_and_narrow(rng: np.random.Generator, n: int) -> Sample:
    """Classes about one mean with spreads from a tenth to ten, beside a unit that orders them."""
    y = classes(rng, n, 4)
    z = 10.0 ** rng.uniform(-1, 1, 4)[y][:, None] * rng.normal(size=(n, 6))
    z[:, 0] += 5 * y
    return z, z[:, :2] + rng.normal(size=(n, 2)), y


def more_units_than_samples(rng: np.random.Generator, n: int) -> Sample:
    """A linear code of X and Y in four times as many units as samples."""
    x, y = rng.normal(size=(n, 5)), classes(rng, n, 4)
    z = x @ rng.normal(size=(5, 4 * n)) + (np.eye(4)[y] * 3) @ rng.normal(size=(4, 4 * n))
    return z + 2 * rng.normal(size=(n, 4 * n)), x, y


def many_classes(rng: np.random.Generator, n: int) -> Sample:
    """As many classes as a sixth of the samples."""
    count, d = max(8, n // 6), 12
    y = classes(rng, n, count)
    means = 2 * rng.normal(size=(count, d))
    return means[y] + rng.normal(size=(n, d)), means[y], y


def two_classes(rng: np.random.Generator, n: int) -> Sample:
    """Two classes, one of them rare."""
    y = (rng.random(n) < 0.2).astype(int)
    y[:4] = 0, 1, 0, 1
    z = rng.normal(size=(n, 5))
    z[:, 0] += 3 * y
    return z, z[:, :1] + rng.normal(size=(n, 1)), y


def noise(rng: np.random.Generator, n: int) -> Sample:
    """Nothing to decode."""
    z = rng.normal(size=(n, int(rng.integers(1, 65))))
    return z, rng.normal(size=(n, 4)), classes(rng, n, int(rng.integers(2, 11)))


def on_a_circle(rng: np.random.Generator, n: int) -> Sample:
    """Class means evenly around a circle."""
    y = classes(rng, n, int(rng.integers(5, 10)))
    angle = 2 * np.pi * y / (y.max() + 1)
    z = rng.choice([3.0, 10.0]) * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(size=(n, 2))
    return z, angle[:, None] + 0.1 * rng.normal(size=(n, 1)), y


def ordered_parts(rng: np.random.Generator, n: int) -> Sample:
    """The label is a fifth of the range of a mixture of units."""
    z = rng.normal(size=(n, 6))
    score = z @ rng.normal(size=6) + 0.2 * rng.normal(size=n)
    return z, score[:, None], np.digitize(score, np.quantile(score, [0.2, 0.4, 0.6, 0.8]))


def skewed(rng: np.random.Generator, n: int) -> Sample:
    """Activations whose logarithm is linear in X."""
    x = rng.normal(size=(n, 3))
    z = np.exp(x @ rng.normal(size=(3, 6)) + 0.2 * rng.normal(size=(n, 6)))
    return z, x, (x[:, 0] > 0).astype(int) + (x[:, 0] > 1)


def steep(rng: np.random.Generator, n: int) -> Sample:
    """Z = X^3, a steep inverse at 0."""
    x = rng.normal(size=(n, int(rng.integers(1, 5))))
    return x**3, x, (x[:, 0] > 0).astype(int)


def one_unit_of_many(rng: np.random.Generator, n: int) -> Sample:
    """One unit knows X and Y, and two hundred do not."""
    z = rng.normal(size=(n, 200))
    return z, z[:, :1] + 0.1 * rng.normal(size=(n, 1)), np.digitize(z[:, 0], [-0.5, 0.5])


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data / 16, found.target


def pictures(rng: np.random.Generator, n: int) -> Sample:
    """Digits, seen through a random layer of rectified units, or as they are."""
    data, target = _digits()
    rows = rng.permutation(len(target))[:n]
    x, y = data[rows], target[rows] % int(rng.choice([2, 5, 10]))
    width = int(rng.choice([0, 16, 256]))
    z = np.maximum(0, x @ rng.normal(size=(64, width)) + rng.normal(size=width)) if width else x
    return z, x, y


KINDS: tuple[Draw, ...] = (
    on_a_line,
    near_a_line,
    far_apart,
    one_unit_in_thousands,
    heavy_tails,
    outliers,
    wide_and_narrow,
    more_units_than_samples,
    many_classes,
    two_classes,
    noise,
    on_a_circle,
    ordered_parts,
    skewed,
    steep,
    one_unit_of_many,
    pictures,
)


def cases(kind: Draw, count: int) -> list[Sample]:
    """Samples of a kind, of 40 to 63 rows."""
    return [kind(np.random.default_rng(seed), 40 + 5 * seed % 24) for seed in range(count)]

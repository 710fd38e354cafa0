"""Controls: nothing lost, nothing there, and a network that does not learn."""

import numpy as np

from infoplane.measures.truths.classes import means
from infoplane.measures.truths.truth import Sample, Truth, two_classes

GROUP = "controls"


def copy(d: int) -> Truth:
    """Z = X: nothing is lost."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.normal(size=(n, d))
        return x, x, two_classes(n)

    return Truth(f"Z = X, d = {d}", GROUP, {"zx": 0.0}, draw, linear=("zx",))


def independent_noise(d: int, classes: int = 10) -> Truth:
    """Z independent of X and Y: nothing can be decoded, and there is no information; classes occur equally often."""
    whole = float(np.log(classes))

    def draw(rng: np.random.Generator, n: int) -> Sample:
        return rng.normal(size=(n, d)), rng.normal(size=(n, 16)), rng.permutation(np.arange(n) % classes)

    values = {"zx": 1.0, "zy": whole, "ixz": 0.0, "izy": 0.0}
    return Truth(
        f"independent noise, d = {d}", GROUP, values, draw, ("zx", "zy"), continuous=True, dimension=max(d, 16)
    )


def repeated_rows(d: int = 8) -> Truth:
    """Z independent of X and Y, and every sample twice: a decoder may not know one of a pair from the other."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        z, x = rng.normal(size=(n // 2, d)), rng.normal(size=(n // 2, d))
        order = rng.permutation(np.repeat(np.arange(n // 2), 2))
        return z[order], x[order], rng.permutation(two_classes(n // 2))[order]

    values = {"zx": 1.0, "zy": float(np.log(2))}
    return Truth(f"every row twice, d = {d}", GROUP, values, draw, ("zx", "zy"), multiple=4)


def frozen_network(width: int = 64, classes: int = 4, d: int = 16) -> Truth:
    """The second hidden layer of an untrained tanh network at two checkpoints: no measure may change.

    The weights are the same; the units come in another order, so that an estimator is not simply asked the same
    question twice.
    """
    rng = np.random.default_rng(21)
    first = rng.normal(size=(d, width)) / np.sqrt(d)
    second = rng.normal(size=(width, width)) / np.sqrt(width)
    centres = means(classes, d, 0.6)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        y = rng.integers(0, classes, n)
        x = centres[y] + rng.normal(size=(n, d))
        return np.tanh(np.tanh(x @ first) @ second), x, y

    def again(rng: np.random.Generator, z: np.ndarray) -> np.ndarray:
        return z[:, rng.permutation(width)]

    return Truth("frozen network, change between checkpoints", GROUP, {}, draw, again=again)

"""Local decoders: nearest neighbours and extremely randomised trees, cross-fitted and mixed.

Geurts, Ernst, Wehenkel, "Extremely randomized trees" (2006); the mixture is stacked generalisation (Wolpert 1992). A
tree answers with the average of the training samples in a leaf, so that a forest weights neighbours, in the directions
that it has found to matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from infoplane.measures.decoding.mixing import likelihood_weights, quadratic_weights

FEATURES = 64
"""Most features that a tree looks at for one split; which ones is drawn anew each time."""


@dataclass(frozen=True)
class Local:
    """Which decoders are mixed: numbers of neighbours, and forests of so many trees by the least size of a leaf.

    columns: X of at most so many columns has forests for each of them; of more, forests are grown for the first
    ``columns`` principal components and decode all columns.
    """

    neighbours: tuple[int, ...]
    leaves: tuple[int, ...]
    trees: int
    columns: int
    seed: int

    @property
    def candidates(self) -> list[str]:
        """The decoders by name; the first is the constant predictor."""
        return ["constant", *(f"{k} nearest" for k in self.neighbours), *(f"leaves of {size}" for size in self.leaves)]


def squared_losses(z: np.ndarray, x: np.ndarray, left_out: np.ndarray, local: Local) -> tuple[np.ndarray, np.ndarray]:
    """The left-out squared error of every sample, (n,), and the mean weight of every candidate.

    z: (n, d), float32; x: (n, D), float64; left_out: the fold of every sample, from 0 on, (n,). A fold's candidates are
    mixed by the convex weights that are best for the samples of all other folds, as they were decoded when left out.
    """
    folds, count = int(left_out.max()) + 1, len(local.candidates)
    products = np.zeros((len(z), count, count))
    for fold in range(folds):
        training, test = np.flatnonzero(left_out != fold), np.flatnonzero(left_out == fold)
        errors = np.stack([decoded - x[test] for decoded in _regressed(z, x, training, test, local)])
        products[test] = np.einsum("and,bnd->nab", errors, errors, optimize=True)
    losses, mean = np.zeros(len(z)), np.zeros(count)
    for fold in range(folds):
        weights = quadratic_weights(torch.as_tensor(products[left_out != fold].sum(0))).numpy()
        losses[left_out == fold] = np.einsum("a,nab,b->n", weights, products[left_out == fold], weights)
        mean += weights / folds
    return losses.clip(min=0), mean


def label_losses(z: np.ndarray, y: np.ndarray, left_out: np.ndarray, local: Local) -> tuple[np.ndarray, np.ndarray]:
    """-log p(y|z) of every sample, nats, (n,), NaN where it is never left out (-1), and the candidates' mean weights.

    z: (n, d), float32; y: classes from 0 on, (n,). Probabilities are shares among neighbours and in leaves, mixed with
    the classes' frequencies by the weights under which the samples of all other folds are most likely.
    """
    folds, classes = int(left_out.max()) + 1, int(y.max()) + 1
    given = np.zeros((len(local.candidates), len(z)))
    for fold in range(folds):
        training, test = np.flatnonzero(left_out != fold), np.flatnonzero(left_out == fold)
        for row, shares in zip(given, _classified(z, y, classes, training, test, local), strict=True):
            row[test] = shares[np.arange(len(test)), y[test]]
    losses, mean = np.full(len(z), np.nan), np.zeros(len(given))
    for fold in range(folds):
        others = (left_out != fold) & (left_out >= 0)
        weights = likelihood_weights(torch.as_tensor(given[:, others])[None])[0].numpy()
        losses[left_out == fold] = -np.log(weights @ given[:, left_out == fold])
        mean += weights / folds
    return losses, mean


def _regressed(
    z: np.ndarray, x: np.ndarray, training: np.ndarray, test: np.ndarray, local: Local
) -> Iterator[np.ndarray]:
    """What each candidate makes of the test samples, (test, D)."""
    from sklearn.ensemble import ExtraTreesRegressor

    mean = x[training].mean(0)
    yield np.broadcast_to(mean, (len(test), x.shape[1]))
    yield from _among_neighbours(z, x, training, test, local)
    narrow = x.shape[1] <= local.columns
    targets = x[training].T if narrow else [_leading(x[training] - mean, local.columns)]
    for size in local.leaves:
        forests = (_grown(ExtraTreesRegressor, z[training], target, size, local) for target in targets)
        if narrow:
            yield np.stack([forest.predict(z[test]) for forest in forests], axis=1)
        else:
            yield _averaged(next(forests), z, training, test) @ x[training]


def _classified(
    z: np.ndarray, y: np.ndarray, classes: int, training: np.ndarray, test: np.ndarray, local: Local
) -> Iterator[np.ndarray]:
    """Each candidate's probabilities, (test, classes)."""
    from sklearn.ensemble import ExtraTreesClassifier

    one_hot = np.eye(classes)[y]
    # one sample more, spread over all classes: a class that no training sample has is not impossible
    yield np.broadcast_to((one_hot[training].sum(0) + 1 / classes) / (len(training) + 1), (len(test), classes))
    yield from _among_neighbours(z, one_hot, training, test, local)
    for size in local.leaves:
        forest = _grown(ExtraTreesClassifier, z[training], y[training], size, local)
        shares = np.zeros((len(test), classes))
        shares[:, forest.classes_] = forest.predict_proba(z[test])
        yield shares


def _among_neighbours(
    z: np.ndarray, values: np.ndarray, training: np.ndarray, test: np.ndarray, local: Local
) -> Iterator[np.ndarray]:
    """The mean of the values, (n, columns), among the nearest training samples, for each number of them."""
    from sklearn.neighbors import NearestNeighbors

    wanted = [min(k, len(training)) for k in local.neighbours]
    found = NearestNeighbors(n_neighbors=max(wanted)).fit(z[training])
    nearest = training[found.kneighbors(z[test], return_distance=False)]
    sums, summed = np.zeros((len(test), values.shape[1])), 0
    for k in wanted:
        for one in range(summed, k):
            sums += values[nearest[:, one]]
        summed = k
        yield sums / k


def _grown(kind: Any, z: np.ndarray, target: np.ndarray, size: int, local: Local) -> Any:
    """A fitted forest; it is grown by as many threads as there are, and asked by one, so that sums keep their order."""
    forest = kind(
        local.trees,
        min_samples_leaf=size,
        max_features=min(FEATURES, z.shape[1]),
        random_state=local.seed,
        n_jobs=torch.get_num_threads(),
    )
    return forest.fit(z, target).set_params(n_jobs=1)


def _averaged(forest: Any, z: np.ndarray, training: np.ndarray, test: np.ndarray) -> Any:
    """The weight that each training sample has in a forest's answer, sparse, (test, training)."""
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore").fit(forest.apply(z[training]))
    mine, asked = (encoder.transform(forest.apply(z[rows])) for rows in (training, test))
    shares = asked.multiply(1 / np.asarray(mine.sum(0))).tocsr()
    return shares @ mine.T / len(forest.estimators_)


def _leading(centred: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of rows, (n, count); exact, from the smaller of the two products."""
    n, d = centred.shape
    if d <= n:
        return np.asarray(centred @ np.linalg.eigh(centred.T @ centred)[1][:, -count:])
    values, vectors = np.linalg.eigh(centred @ centred.T)
    return np.asarray(vectors[:, -count:] * np.sqrt(values[-count:].clip(min=0)))

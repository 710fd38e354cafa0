"""Our estimators against public packages (the test extra) on the same samples."""

import math

import ennemi
import npeet_plus
import numpy as np
import pytest
import torch
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.metrics import mutual_info_score

from infoplane.measures.information.coordinates import whiten
from infoplane.measures.information.differential import neighbour_entropy
from infoplane.measures.information.entropy import entropy_of_counts, group, joint
from infoplane.measures.information.neighbours import ksg_information, ross_information


def pair(d: int, n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Two variables of d columns each that depend on each other nonlinearly."""
    rng = np.random.default_rng(d)
    x = rng.normal(size=(n, d))
    return x, np.sin(2 * x) + 0.3 * rng.normal(size=(n, d))


def labelled(n: int = 900) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    return labels + 0.7 * rng.normal(size=n), labels


def ksg1(x: np.ndarray, z: np.ndarray, k: int) -> float:
    return ksg_information(torch.as_tensor(x), torch.as_tensor(z), k, "ksg1", scores=False).value


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_ksg_is_that_of_npeet(d: int, k: int) -> None:
    x, z = pair(d)
    assert math.isclose(ksg1(x, z, k), npeet_plus.mi(x, z, k=k, base=math.e), abs_tol=1e-4)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ksg_is_that_of_ennemi(k: int) -> None:
    x, z = pair(1)
    theirs = ennemi.estimate_mi(z[:, 0], x[:, 0], k=k, preprocess=False)
    assert math.isclose(ksg1(x, z, k), float(theirs[0, 0]), abs_tol=1e-5)


def test_ksg_is_that_of_scikit_learn() -> None:
    x, z = pair(1)
    scaled = [side / side.std() for side in (x, z)]  # as scikit-learn does
    theirs = mutual_info_regression(x, z[:, 0], n_neighbors=3, random_state=0)
    assert math.isclose(ksg1(*scaled, 3), float(theirs[0]), abs_tol=1e-4)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_information_of_a_label_is_that_of_ennemi_and_scikit_learn(k: int) -> None:
    z, labels = labelled()
    ours = ross_information(torch.as_tensor(z), torch.as_tensor(labels), k, scores=False).value
    theirs = ennemi.estimate_mi(labels, z, k=k, discrete_y=True, preprocess=False)
    assert math.isclose(ours, float(theirs[0, 0]), abs_tol=1e-3)
    assert math.isclose(ours, float(mutual_info_classif(z[:, None], labels, n_neighbors=k)[0]), abs_tol=1e-3)


@pytest.mark.parametrize("d", [1, 3, 6])
def test_entropies_are_those_of_npeet_and_ennemi(d: int) -> None:
    # they do not whiten; npeet measures in the maximum norm, so that only the expectation is the same
    white, volume = whiten(torch.as_tensor(pair(d, 3000)[0]))
    ours = neighbour_entropy(white * 2 + 7, 3).value
    assert abs(volume) < 0.2 and abs(ours - npeet_plus.entropy(2 * white.numpy(), k=3, base=math.e)) < 0.1
    theirs = ennemi.estimate_entropy(2 * white.numpy(), k=3, multidim=True)
    assert abs(ours - float(np.squeeze(theirs))) < 0.1


def test_discrete_entropies_are_those_of_npeet_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 6, 500)
    second = (first + rng.integers(0, 3, 500)) % 6
    groups = [group(first), group(second)]
    entropies = [entropy_of_counts(one.sizes) for one in groups]
    theirs = [npeet_plus.entropyd(values[:, None], base=math.e) for values in (first, second)]
    np.testing.assert_allclose(entropies, theirs, rtol=0, atol=1e-12)
    information = sum(entropies) - entropy_of_counts(joint(*groups).sizes)
    assert math.isclose(information, mutual_info_score(first, second), abs_tol=1e-12)

"""Every fast formula of the measures equals the slow thing that it stands for."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from infoplane.errors import UserError
from infoplane.measures.decoding import logistic
from infoplane.measures.decoding.gram import (
    centred_eigenbasis,
    median_distance,
    rbf,
    squared_distances,
    standardised_gram,
)
from infoplane.measures.decoding.ridge import (
    choose_ridge,
    constant_losses,
    decades,
    leave_one_out,
    loss_curve,
    score_losses,
    vertex,
)
from infoplane.measures.targets import Targets, prepare, rotate_to_rank

CPU = torch.device("cpu")
RIDGES = (1e-6, 1e-3, 0.5)


def standardised(z: np.ndarray) -> np.ndarray:
    return (z - z.mean(0)) / z.std(0)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("d", [3, 20, 200])
@pytest.mark.parametrize("ridge", RIDGES)
def test_linear_leave_one_out_is_n_refits(d: int, ridge: float) -> None:
    n = 30
    z, x = standardised(random(n, d)), random(n, 4, seed=1) + random(n, d, seed=0)[:, :1]
    features = z / math.sqrt(d)
    refitted = np.empty_like(x)
    for i in range(n):
        others = np.delete(np.arange(n), i)
        middle, mean = features[others].mean(0), x[others].mean(0)
        # the ridge as extra rows, so that nothing is squared
        rows = np.concatenate([features[others] - middle, math.sqrt(ridge) * np.eye(d)])
        weights = np.linalg.lstsq(rows, np.concatenate([x[others] - mean, np.zeros((d, 4))]), rcond=None)[0]
        refitted[i] = x[i] - mean - (features[i] - middle) @ weights
    basis = centred_eigenbasis(standardised_gram(torch.as_tensor(z)).products)
    fast = leave_one_out(basis, basis.vectors.T @ torch.as_tensor(x), ridge).numpy()
    assert np.abs(fast - refitted).max() < 1e-10 * max(1, np.abs(refitted).max())


@pytest.mark.parametrize("d", [2, 100])
@pytest.mark.parametrize("ridge", RIDGES)
def test_kernel_leave_one_out_is_n_refits(d: int, ridge: float) -> None:
    n = 30
    z, x = random(n, d), random(n, 4, seed=1)
    distances = squared_distances(standardised_gram(torch.as_tensor(z)))
    kernel = rbf(distances, median_distance(distances))
    k = kernel.numpy()
    refitted = np.empty_like(x)
    for i in range(n):
        others = np.delete(np.arange(n), i)
        # stationarity: (K + ridge) alpha + 1 b = x, 1'alpha = 0
        system = np.ones((n, n))
        system[:-1, :-1] = k[np.ix_(others, others)] + ridge * np.eye(n - 1)
        system[-1, -1] = 0
        solution = np.linalg.solve(system, np.concatenate([x[others], np.zeros((1, 4))]))
        refitted[i] = x[i] - k[i, others] @ solution[:-1] - solution[-1]
    basis = centred_eigenbasis(kernel)
    fast = leave_one_out(basis, basis.vectors.T @ torch.as_tensor(x), ridge).numpy()
    # the narrow case has eigenvalues down to rounding, and no method is better than its condition number
    tolerance = max(1e-10, np.finfo(float).eps * n / ridge)
    assert np.abs(fast - refitted).max() < tolerance * max(1, np.abs(refitted).max())


def test_constant_predictor_is_the_limit_of_a_strong_ridge() -> None:
    x = torch.as_tensor(random(20, 3))
    refitted = torch.stack([x[i] - x[torch.arange(20) != i].mean(0) for i in range(20)])
    assert torch.allclose(constant_losses(x), refitted.square().sum(1), atol=1e-12)
    basis = centred_eigenbasis(standardised_gram(torch.as_tensor(random(20, 5, seed=1))).products)
    for ridge in (math.inf, 1e12):
        assert torch.allclose(leave_one_out(basis, basis.vectors.T @ x, ridge), refitted, atol=1e-9)


def test_basis_diagonalises_the_centred_kernel() -> None:
    n = 40
    kernel = rbf(squared_distances(standardised_gram(torch.as_tensor(random(n, 6)))), torch.tensor(1.0))
    basis = centred_eigenbasis(kernel)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    assert torch.allclose(basis.vectors.T @ basis.vectors, torch.eye(n - 1, dtype=torch.float64), atol=1e-12)
    assert basis.vectors.sum(0).abs().max() < 1e-12
    rebuilt = basis.vectors * basis.values @ basis.vectors.T
    assert torch.allclose(rebuilt, centre @ kernel @ centre, atol=1e-12)


def test_gram_drops_and_counts_constant_features(monkeypatch: pytest.MonkeyPatch) -> None:
    z = random(25, 12).astype(np.float32)
    z[:, 3], z[:, 7] = 5.0, 0.0
    z[:, 9] = 1e4 + 1e-4 * np.arange(25)  # rounds to a few steps of float32: noise, not a feature
    expected = standardised(np.delete(z.astype(float), (3, 7, 9), axis=1))
    whole = standardised_gram(torch.as_tensor(z))
    assert (whole.features, whole.constant) == (9, 3)
    assert np.allclose(whole.products.numpy(), expected @ expected.T / 9, atol=1e-12)
    monkeypatch.setattr("infoplane.measures.decoding.gram.BLOCK", 60)
    blocks = standardised_gram(torch.as_tensor(z.reshape(25, 3, 2, 2)))
    assert (blocks.features, blocks.constant) == (9, 3)
    assert torch.allclose(blocks.products, whole.products, atol=1e-12)


def test_rotated_inputs_lose_nothing() -> None:
    z, x = random(20, 8), random(20, 300, seed=1)
    few = rotate_to_rank(torch.as_tensor(x))
    assert few.shape == (20, 19)
    basis = centred_eigenbasis(standardised_gram(torch.as_tensor(z)).products)
    for ridge in RIDGES:
        whole = leave_one_out(basis, basis.vectors.T @ torch.as_tensor(x), ridge).square().sum(1)
        assert torch.allclose(leave_one_out(basis, basis.vectors.T @ few, ridge).square().sum(1), whole, rtol=1e-9)


def test_ridge_is_the_best_of_a_fine_grid() -> None:
    z = random(60, 5)
    x = torch.as_tensor(z @ random(5, 3, seed=2) + random(60, 3, seed=3))
    basis = centred_eigenbasis(standardised_gram(torch.as_tensor(z)).products)
    projected = basis.vectors.T @ x
    chosen = choose_ridge(basis, x, decades(1e-6, 1e3))
    fine = [float(leave_one_out(basis, projected, 10**e).square().sum()) for e in np.arange(-6, 3, 0.02)]
    assert float(chosen.losses.sum()) <= 1.002 * min(fine)
    assert chosen.edge == "" and 1e-6 < chosen.ridge < 1e3
    curve = loss_curve(basis, projected, decades(1e-6, 1e3))
    exact = [float(leave_one_out(basis, projected, r).square().sum()) for r in decades(1e-6, 1e3)]
    assert np.allclose(curve, exact, rtol=1e-4)


def test_ridge_at_the_weak_end_is_an_edge_and_noise_takes_the_constant() -> None:
    z = torch.as_tensor(random(50, 4))
    basis = centred_eigenbasis(standardised_gram(z).products)
    assert choose_ridge(basis, z, decades(1e-4, 1e3)).edge == "ridge:low"
    wide = centred_eigenbasis(standardised_gram(torch.as_tensor(random(50, 2000, seed=5))).products)
    nothing = choose_ridge(wide, z, decades(1e-8, 1e3))
    assert math.isinf(nothing.ridge) or nothing.ridge > 1
    assert float(nothing.losses.sum()) > 0.97 * float(constant_losses(z).sum())


def test_decades_and_vertex() -> None:
    assert np.allclose(decades(1e-3, 10), [10, 1, 0.1, 0.01, 1e-3])
    ridges = decades(1e-3, 10)
    losses = [(math.log10(r) + 1.3) ** 2 for r in ridges]
    found = vertex(ridges, losses, int(np.argmin(losses)))
    assert found is not None and math.isclose(found, 10**-1.3, rel_tol=1e-9)
    assert vertex(ridges, losses, 0) is None and vertex(ridges, [1.0] * 5, 2) is None


def labelled(n: int = 90, classes: int = 3, d: int = 4) -> tuple[torch.Tensor, Targets]:
    rng = np.random.default_rng(4)
    y = rng.integers(0, classes, n)
    z = rng.normal(size=(classes, d))[y] + rng.normal(size=(n, d))
    return torch.as_tensor(z), prepare(z, y, CPU)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
@pytest.mark.parametrize("ridge", [10.0, 0.1, 1e-3])
def test_logistic_regression_equals_scikit_learn_per_fold(
    kind: str, ridge: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 5000)
    z, targets = labelled()
    gram = standardised_gram(z)
    distances = squared_distances(gram)
    basis = centred_eigenbasis(rbf(distances, median_distance(distances)) if kind == "rbf" else gram.products)
    folds = targets.folds(5, seed=0)
    training = (folds[None] != torch.arange(5)[:, None]).double()
    posed = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
    fitted = logistic.fit(posed, ridge, logistic.constant_fit(posed), tolerance=1e-15)
    assert fitted.converged
    losses = logistic.left_out_losses(fitted.logits, targets.y_classes.labels, folds)

    features, labels = posed.features[:-1].T.numpy(), targets.y_classes.labels.numpy()
    expected = np.empty(len(labels))
    for fold in range(5):
        left_out = folds.numpy() == fold
        model = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=100_000, solver="newton-cg")
        model.fit(features[~left_out], labels[~left_out])
        own = model.predict_log_proba(features[left_out])
        expected[left_out] = -own[np.arange(left_out.sum()), labels[left_out]]
    assert np.allclose(losses.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_numpy_and_torch_descend_alike() -> None:
    """The CPU's library and the GPU's, on the CPU."""
    z, targets = labelled()
    basis = centred_eigenbasis(standardised_gram(z).products)
    training = (targets.folds(5, seed=0)[None] != torch.arange(5)[:, None]).double()
    posed = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
    start = logistic.constant_fit(posed)
    given = (
        posed.values,
        posed.features,
        posed.one_hot,
        posed.training,
        torch.tensor(0.1),
        start.weights,
        start.logits,
    )
    by_torch = logistic._descend(torch, 1e-12, *given)
    by_numpy = logistic._descend(np, 1e-12, *(one.numpy() for one in given))
    assert bool(by_torch[2]) and bool(by_numpy[2])
    for one, other in zip(by_torch[:2], by_numpy[:2], strict=True):
        assert np.allclose(one.numpy(), other, atol=1e-9)


def test_float32_and_the_tolerance_cost_less_than_a_hundredth_of_a_nat() -> None:
    z, targets = labelled(n=200, classes=5)
    basis = centred_eigenbasis(standardised_gram(z).products)
    folds = targets.folds(5, seed=0)
    training = (folds[None] != torch.arange(5)[:, None]).double()
    fast = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float32)
    slow = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
    ridges = decades(1e-8, 1e3)
    loose = logistic.cross_validate(fast, targets.y_classes.labels, folds, ridges, 5e-6)
    exact = logistic.cross_validate(slow, targets.y_classes.labels, folds, ridges, 1e-13)
    assert abs(float(loose.losses.mean()) - float(exact.losses.mean())) < 2e-3
    assert float(exact.losses.mean()) < targets.y.entropy - 0.1


def test_line_search_survives_a_start_far_from_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 5000)
    z, targets = labelled()
    basis = centred_eigenbasis(standardised_gram(z).products)
    training = torch.ones(1, targets.n, dtype=torch.float64)
    posed = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
    near = logistic.fit(posed, 0.1, logistic.constant_fit(posed), 1e-14)
    weights = 30 * torch.as_tensor(random(*near.weights.shape, seed=8))
    far = logistic.Fit(weights, weights @ posed.features, True)
    found = logistic.fit(posed, 0.1, far, 1e-14)
    assert torch.allclose(found.logits.log_softmax(1), near.logits.log_softmax(1), atol=1e-5)


def test_unconverged_regression_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 1)
    z, targets = labelled()
    basis = centred_eigenbasis(standardised_gram(z).products)
    folds = targets.folds(5, seed=0)
    training = (folds[None] != torch.arange(5)[:, None]).double()
    posed = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
    choice = logistic.cross_validate(posed, targets.y_classes.labels, folds, [1e-3], 1e-12)
    assert choice.note == "logistic regression not converged" and choice.edge == "ridge:low"


def test_score_losses_prefers_the_kernel_that_knows() -> None:
    z, targets = labelled(n=150)
    knows = centred_eigenbasis(standardised_gram(z).products)
    noise = centred_eigenbasis(standardised_gram(torch.as_tensor(random(150, 4, seed=9))).products)
    ridges = decades(1e-8, 1e3)
    good, bad = (float(score_losses(basis, targets.y_classes.one_hot, ridges).mean()) for basis in (knows, noise))
    assert good < 0.9 * targets.y.entropy < bad


def test_folds_are_stratified_fixed_and_disjoint() -> None:
    labels = np.repeat([5, 7, 9, 11], [40, 21, 2, 1])
    targets = prepare(random(64, 2), labels, CPU)
    folds = targets.folds(5, seed=3)
    assert torch.equal(folds, targets.folds(5, seed=3)) and not torch.equal(folds, targets.folds(5, seed=4))
    counts = np.array(
        [[int(((folds == f) & (targets.y_classes.labels == k)).sum()) for f in range(5)] for k in range(4)]
    )
    assert counts[0].tolist() == [8] * 5 and set(counts[1]) == {4, 5} and counts[2].max() == 1
    assert int(folds[63]) == -1 and counts[3].sum() == 0
    assert counts.sum(0).max() - counts.sum(0).min() <= 1


def test_targets_refuse_what_cannot_be_measured() -> None:
    targets = prepare(random(20, 3), np.arange(20) % 2, CPU)
    with pytest.raises(UserError, match="21 cross-validation folds cannot be made of 20"):
        targets.folds(21, seed=0)
    with pytest.raises(UserError, match="at least 8"):
        prepare(random(5, 3), np.zeros(5, int), CPU)
    with pytest.raises(UserError, match="20 inputs but 19 labels"):
        prepare(random(20, 3), np.zeros(19, int), CPU)
    with pytest.raises(UserError, match="NaN or infinity"):
        prepare(np.full((20, 3), np.nan), np.zeros(20, int), CPU)

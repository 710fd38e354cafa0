"""More samples than an n x n matrix can serve: features and landmarks, and the learning curve."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from infoplane import registry
from infoplane.measures.decoding.features import (
    NEAR,
    feature_eigenbasis,
    nystroem,
    standardised_features,
    to_landmarks,
)
from infoplane.measures.decoding.gram import (
    centred_eigenbasis,
    median_distance,
    rbf,
    squared_distances,
    standardised_gram,
)
from infoplane.measures.decoding.learning_curve import halves, limit_of_numbers
from infoplane.measures.decoding.ridge import (
    SKETCH,
    choose_ridge,
    decades,
    leave_one_out,
    loss_curve,
    score_losses,
    squared_losses,
    unreached,
)
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets, prepare

CPU = torch.device("cpu")
RIDGES = (1e-6, 1e-3, 0.5)
FAMILIES = ("linear", "kernel")
SMALL: dict[str, Any] = {"exact_up_to": 200, "landmarks": 150}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def refitted(features: np.ndarray, x: np.ndarray, ridge: float) -> np.ndarray:
    """Residuals of n ridge regressions, each without one sample, intercept and centring included."""
    n, m = features.shape
    found = np.empty_like(x)
    for i in range(n):
        others = np.delete(np.arange(n), i)
        middle, mean = features[others].mean(0), x[others].mean(0)
        # the ridge as extra rows, so that nothing is squared
        rows = np.concatenate([features[others] - middle, math.sqrt(ridge) * np.eye(m)])
        targets = np.concatenate([x[others] - mean, np.zeros((m, x.shape[1]))])
        found[i] = x[i] - mean - (features[i] - middle) @ np.linalg.lstsq(rows, targets, rcond=None)[0]
    return found


def features_of(kind: str) -> np.ndarray:
    features = random(60, 12)
    if kind == "rare":  # a unit that is active for one sample, of which nothing is known without it
        features[:, 3] = 0
        features[7, 3] = 3
    elif kind == "dependent":
        features[:, 5], features[10:20] = features[:, 4], features[0]
    elif kind == "unlike sizes":
        features *= 10.0 ** np.linspace(-2, 1, 12)
    elif kind == "landmarks":
        distances = squared_distances(standardised_gram(torch.as_tensor(random(60, 3))))
        kernel = rbf(distances, median_distance(distances))
        features = nystroem(kernel[:, :15], torch.arange(15)).numpy()
    return features


@pytest.mark.parametrize("kind", ["plain", "rare", "dependent", "unlike sizes", "landmarks"])
@pytest.mark.parametrize("ridge", RIDGES)
def test_leave_one_out_in_few_features_is_n_refits(kind: str, ridge: float) -> None:
    features = features_of(kind)
    x = random(60, 3, seed=1) + features[:, :1]
    basis = feature_eigenbasis(torch.as_tensor(features))
    targets = torch.as_tensor(x)
    projected = basis.vectors.T @ targets
    expected = refitted(features, x, ridge)
    fast = leave_one_out(basis, projected, ridge, unreached(basis, targets, projected)).numpy()
    # what a ridge leaves of a sample that has a feature to itself has no more digits than ridge / weight
    tolerance = max(1e-8, 1e-13 / ridge) if kind == "rare" else 1e-8
    assert np.abs(fast - expected).max() < tolerance
    losses = squared_losses(basis, targets, ridge).numpy()
    assert np.allclose(losses, np.square(expected).sum(1), rtol=10 * tolerance)
    curve = loss_curve(basis, projected, [ridge], unreached(basis, targets, projected))
    assert np.allclose(curve, np.square(expected).sum(), rtol=1e-3)


def test_a_sample_that_has_a_feature_to_itself_keeps_its_digits() -> None:
    features = torch.as_tensor(features_of("rare"))
    beyond = feature_eigenbasis(features).beyond
    assert beyond is not None and beyond.near.tolist() == [7]
    assert 0 <= float(beyond.share[7]) < 1e-28  # exactly 0, where a subtraction would leave 1e-16
    assert float(beyond.share.min()) < NEAR < float(beyond.share.median())


def test_the_basis_of_features_is_that_of_their_gram_matrix() -> None:
    features = torch.as_tensor(random(40, 9))
    basis, whole = feature_eigenbasis(features), centred_eigenbasis(features @ features.T)
    assert torch.allclose(basis.values, whole.values[-9:], rtol=1e-10)
    assert torch.allclose(basis.vectors.T @ basis.vectors, torch.eye(9, dtype=torch.float64), atol=1e-13)
    assert basis.vectors.sum(0).abs().max() < 1e-13
    assert basis.beyond is not None
    projector = torch.eye(40, dtype=torch.float64) - 1 / 40 - basis.vectors @ basis.vectors.T
    assert torch.allclose(basis.beyond.share, projector.diagonal(), atol=1e-13)


def test_all_samples_as_landmarks_lose_nothing() -> None:
    distances = squared_distances(standardised_gram(torch.as_tensor(random(50, 4))))
    kernel = rbf(distances, median_distance(distances))
    features = nystroem(kernel, torch.arange(50))
    assert torch.allclose(features @ features.T, kernel, atol=1e-9)
    few = nystroem(kernel[:, :20], torch.arange(20))
    missing = kernel - few @ few.T
    assert missing[:20].abs().max() < 1e-8 and torch.linalg.eigvalsh(missing)[0] > -1e-8


def test_products_with_landmarks_are_columns_of_the_gram_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    z = torch.as_tensor(random(30, 14)).float()
    z[:, 4] = 2.0
    monkeypatch.setattr("infoplane.measures.decoding.features.BLOCK", 90)
    chosen = torch.tensor([2, 3, 11, 29])
    some, whole = to_landmarks(z.reshape(30, 2, 7), chosen), standardised_gram(z)
    assert (some.features, some.constant) == (13, 1)
    assert torch.allclose(some.products, whole.products[:, chosen], atol=1e-12)
    assert torch.allclose(some.squared_distances(), squared_distances(whole)[:, chosen], atol=1e-12)
    assert torch.allclose(some.gram.products, whole.products[chosen][:, chosen], atol=1e-12)
    features = standardised_features(z)
    assert torch.allclose(features @ features.T, whole.products, atol=1e-12)


def test_a_ridge_chosen_by_projections_is_as_good() -> None:
    z, n = random(700, 30), 700
    x = torch.as_tensor(z @ random(30, 2 * SKETCH, seed=2) + 3 * random(n, 2 * SKETCH, seed=3))
    basis = feature_eigenbasis(torch.as_tensor(z / math.sqrt(30)))
    chosen = choose_ridge(basis, x, decades(1e-6, 1e3))
    fine = [float(squared_losses(basis, x, 10**e).sum()) for e in np.arange(-6, 3, 0.1)]
    assert float(chosen.losses.sum()) <= 1.001 * min(fine) and chosen.edge == ""
    noise = choose_ridge(basis, torch.as_tensor(random(n, 5, seed=9)), decades(1e-6, 1e3))
    assert math.isinf(noise.ridge) or noise.ridge > 1


def draw(n: int = 260, d: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), np.arange(n) % 4
    z = np.concatenate([x[:, :3] + 0.5 * rng.normal(size=(n, 3)), np.eye(4)[y] + rng.normal(size=(n, 4))], axis=1)
    return np.tanh(z), x, y


def estimate(
    family: str, z: np.ndarray, x: np.ndarray, y: np.ndarray, dtype: torch.dtype = torch.float32, **options: Any
) -> dict[str, Estimate]:
    module = registry.load("measure", family)
    found = module.estimate(torch.as_tensor(z).to(dtype), prepare(x, y, CPU), module.Options(**options))
    return {one.measure: one for one in found}


@pytest.mark.parametrize("family", FAMILIES)
def test_landmarks_come_near_the_exact_value(family: str) -> None:
    exact, near = estimate(family, *draw()), estimate(family, *draw(), **SMALL)
    modes = {one: json.loads(near[one].detail)["mode"] for one in near}
    assert set(modes.values()) == {"features" if family == "linear" else "landmarks"}
    assert {json.loads(one.detail)["mode"] for one in exact.values()} == {"exact"}
    for measure, one in exact.items():
        assert one.value is not None and one.extrapolated is not None
        assert math.isclose(near[measure].value or 0, one.value, abs_tol=1e-4 if family == "linear" else 0.02)
        assert math.isclose(
            near[measure].extrapolated or 0, one.extrapolated, abs_tol=3e-3 if family == "linear" else 0.05
        )


def test_a_wide_linear_decoder_has_landmarks_and_says_what_they_miss() -> None:
    z, x, y = draw()
    wide = np.concatenate([z, 0.1 * random(len(z), 400, seed=3)], axis=1)
    found = estimate("linear", wide, x, y, **SMALL)
    exact = estimate("linear", wide, x, y)
    for measure, one in found.items():
        detail = json.loads(one.detail)
        assert (detail["mode"], detail["landmarks"]) == ("landmarks", 150) and 0.1 < detail["unseen"] < 0.6
        assert one.value is not None and 0 < one.value < (one.reference or 0)
        assert one.value > (exact[measure].value or 9) - 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_independent_noise_is_worth_nothing_at_scale(family: str) -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(400, 1500)), rng.normal(size=(400, 5)), np.arange(400) % 4
    for one in estimate(family, z, x, y, **SMALL).values():
        assert json.loads(one.detail)["mode"] == "landmarks"
        assert one.value is not None and abs(one.value - (one.reference or 0)) < 0.02
        assert one.extrapolated is not None and abs(one.extrapolated - (one.reference or 0)) < 0.02


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_copies_are_decodable_at_scale_in_every_precision(family: str, dtype: torch.dtype) -> None:
    x = torch.as_tensor(random(300, 4)).to(dtype).double().numpy()
    zx = estimate(family, x, x, np.arange(300) % 2, dtype, **SMALL)["zx"]
    assert zx.value is not None and zx.value < 1e-6 and zx.extrapolated is not None and zx.extrapolated < 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_bad_activations_at_scale(family: str) -> None:
    z, x, y = draw()
    for one in estimate(family, np.full_like(z, 0.5), x, y, **SMALL).values():
        assert one.value == one.reference and one.note == "constant" and one.constant_features == one.d
    z[259, 2] = 1e6
    for one in estimate(family, z, x, y, torch.float16, **SMALL).values():
        assert one.value is None and one.note == "non-finite"


@pytest.mark.parametrize("family", FAMILIES)
def test_few_distinct_points_at_scale(family: str) -> None:
    _, x, y = draw()
    found = estimate(family, np.eye(4)[y], x, y, **SMALL)
    assert found["zx"].value is not None and found["zx"].value > 0.95
    assert found["zy"].value is not None and found["zy"].value < 0.02


@pytest.mark.parametrize("family", FAMILIES)
def test_same_input_same_bits_at_scale(family: str) -> None:
    assert estimate(family, *draw(), **SMALL) == estimate(family, *draw(), **SMALL)


def test_options_of_scale_are_checked() -> None:
    for family in FAMILIES:
        with pytest.raises(ValueError, match="exact_up_to"):
            registry.load("measure", family).Options(landmarks=4000)


# The learning curve


def linear_gaussian(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x + rng.normal(size=(n, d)), x, np.arange(n) % 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_learning_curve_leads_to_the_value_of_unlimited_samples(family: str) -> None:
    zx = estimate(family, *linear_gaussian(1000, 64, seed=0))["zx"]
    assert zx.value is not None and zx.extrapolated is not None
    assert zx.value > 0.525 and abs(zx.extrapolated - 0.5) < 0.015
    detail = json.loads(zx.detail)
    assert math.isclose(zx.extrapolated, 2 * zx.value - detail["value_at_half"], rel_tol=1e-12)
    assert 0.002 < detail["extrapolated_stderr"] < 0.01


def test_the_standard_error_of_the_limit_is_its_spread_over_samples() -> None:
    found = [estimate("linear", *linear_gaussian(200, 4, seed))["zx"] for seed in range(25)]
    spread = np.std([one.extrapolated or 0 for one in found])
    told = np.mean([json.loads(one.detail)["extrapolated_stderr"] for one in found])
    assert 0.6 < told / spread < 1.6


def test_the_limit_is_the_line_through_brute_force_halves() -> None:
    z, x, y = draw(n=80)
    targets = prepare(x, y, CPU)
    gram, ridges = standardised_gram(torch.as_tensor(z)), [0.1]
    parts = halves(targets, targets.x, 5, seed=0)
    assert sorted(torch.cat(parts).tolist()) == list(range(80))
    assert all(np.bincount(targets.y_classes.labels[rows]).tolist() == [10] * 4 for rows in parts)
    values = []
    for rows in [torch.arange(80), *parts]:
        features = torch.linalg.cholesky(gram.products[rows][:, rows] + 1e-10 * torch.eye(len(rows))).numpy()
        values.append(np.square(refitted(features, x[rows], 0.1)).sum())
    bases = [centred_eigenbasis(gram.products[rows][:, rows]) for rows in parts]
    whole = choose_ridge(centred_eigenbasis(gram.products), targets.x_numbers.values, ridges)
    limit = limit_of_numbers(whole.losses, targets.x_numbers, None, parts, bases, ridges)
    constants = [
        np.square(x[rows] - x[rows].mean(0)).sum() * (len(rows) / (len(rows) - 1)) ** 2
        for rows in (np.arange(80), *[rows.numpy() for rows in parts])
    ]
    half = (values[1] + values[2]) / (constants[1] + constants[2])
    assert limit is not None and math.isclose(limit.half, half, rel_tol=1e-6)
    assert math.isclose(limit.value, 2 * values[0] / constants[0] - half, rel_tol=1e-6)


def test_cross_entropy_falls_to_that_of_unlimited_samples() -> None:
    means = 0.6 * random(6, 8, seed=3)
    excess, left = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 6, 400)
        z = means[y] + rng.normal(size=(400, 8))
        logits = z @ means.T - np.square(means).sum(1) / 2
        # on the same samples, so that their chance is not in the difference
        known = float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(400), y]))
        zy = estimate("linear", z, z, y)["zy"]
        assert zy.value is not None and zy.extrapolated is not None
        excess.append(zy.value - known)
        left.append(zy.extrapolated - known)
    assert np.mean(excess) > 0.03 and abs(np.mean(left)) < 0.5 * np.mean(excess)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_value_does_not_depend_on_its_limit(family: str) -> None:
    plain, with_limit = estimate(family, *draw(), extrapolate=False), estimate(family, *draw())
    for measure, one in plain.items():
        assert one.extrapolated is None and "value_at_half" not in one.detail
        assert (one.value, one.stderr, one.ridge) == tuple(
            getattr(with_limit[measure], name) for name in ("value", "stderr", "ridge")
        )


def test_no_limit_of_what_halves_cannot_tell() -> None:
    z, x, y = draw(n=20)
    found = estimate("linear", z, x, y, folds=12)
    assert all(one.value is not None and one.extrapolated is None for one in found.values())
    z, x, y = draw()
    lone = estimate("linear", z, x, np.where(np.arange(len(y)) == 11, 9, y))["zy"]
    assert lone.extrapolated is not None and math.isfinite(lone.extrapolated)
    one_class = estimate("linear", z, x, np.zeros_like(y))["zy"]
    assert one_class.value == 0 and one_class.extrapolated is None
    rare = np.zeros_like(y)
    rare[3] = 1  # one half has never heard of it
    assert estimate("linear", z, x, rare)["zy"].extrapolated is None


def test_parts_of_targets_count_their_own_classes() -> None:
    targets = prepare(random(12, 2), np.repeat([3, 5, 8], 4), CPU)
    part: Targets = targets.only(torch.tensor([0, 1, 9, 10]))
    assert part.y_classes.count == 2 and part.y_classes.labels.tolist() == [0, 0, 1, 1] and part.n == 4
    assert torch.equal(part.x_numbers.values, targets.x_numbers.values[[0, 1, 9, 10]])


def test_screening_scores_see_what_lies_beyond_the_features() -> None:
    targets = prepare(random(150, 2), np.arange(150) % 3, CPU)
    z = torch.as_tensor(np.eye(3)[np.arange(150) % 3] + 0.5 * random(150, 3, seed=7))
    ridges = decades(1e-6, 1e3)
    whole = score_losses(centred_eigenbasis(z @ z.T), targets.y_classes.one_hot, ridges)
    few = score_losses(feature_eigenbasis(z), targets.y_classes.one_hot, ridges)
    assert torch.allclose(whole, few, atol=1e-3)

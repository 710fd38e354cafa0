"""True values by a second way: Monte Carlo for what has a closed form or comes from quadrature."""

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp, ndtri
from scipy.stats import multivariate_t
from truth_samples import MANY, draw, gaussian_information, log_normal

from infoplane.measures import truths
from infoplane.measures.truths import Truth, all_truths
from infoplane.measures.truths.channels import additive_uniform, mixture_channel, sign_channel
from infoplane.measures.truths.classes import label_uncertainty, means, mixture, noisy_classes
from infoplane.measures.truths.controls import frozen_network
from infoplane.measures.truths.discrete import confusion, ten_symbols
from infoplane.measures.truths.gaussian import correlated, linear_gaussian, rotations
from infoplane.measures.truths.pictures import SIDE, blobs, pictures, rectangles
from infoplane.measures.truths.transforms import asinh, half_cube, injective_maps, normal_cdf, spiral, student
from infoplane.measures.truths.waves import clusters, waves


def absolute(spread: float, d: int) -> float:
    return math.sqrt(1e-3)


TRUTHS = all_truths(absolute)


# What all have


def test_names_differ_and_values_are_finite() -> None:
    assert len({truth.name for truth in TRUTHS}) == len(TRUTHS)
    assert all(math.isfinite(value) for truth in TRUTHS for value in truth.values.values())
    assert {"zx", "zy", "ixz", "izy", "ixz_given_y"} == {name for truth in TRUTHS for name in truth.values}
    assert len(all_truths()) < len(TRUTHS)


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_a_seed_is_a_sample(truth: Truth) -> None:
    n = 2 * truth.multiple if truth.multiple > 1 else 40
    first, second, other = (draw(truth, n, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert [len(part) for part in first] == [n] * 3 and first[2].ndim == 1
    assert all(np.isfinite(part).all() for part in first)


def test_a_bound_has_the_truth_of_what_it_bounds() -> None:
    truth = correlated(1, 3)
    assert truth.truth_of("ixz_upper") == truth.truth_of("ixz_lower") == truth.truth_of("ixz") == 3
    assert truth.truth_of("zy") is None and truth.truth_of("izy_upper") is None


def test_the_floor_of_gaussians_is_the_error_of_the_sample_correlation() -> None:
    rng = np.random.default_rng(0)
    for truth, rho_squared in ((linear_gaussian(1, 1.0), 0.5), (correlated(1, 1.0), 1 - math.exp(-2))):
        errors = []
        for _ in range(2000):
            z, x, _ = truth.draw(rng, 500)
            errors.append(abs(1 - np.corrcoef(z[:, 0], x[:, 0])[0, 1] ** 2 - (1 - rho_squared)))
        assert truth.floor and truth.floor(500)["zx"] == pytest.approx(np.median(errors), rel=0.06)
    wide, narrow = linear_gaussian(16, 1.0), linear_gaussian(1, 1.0)
    assert wide.floor and narrow.floor and wide.floor(100) == pytest.approx(narrow.floor(1600))


@pytest.mark.parametrize("truth", [ten_symbols(), confusion()], ids=lambda truth: truth.name)
def test_the_floor_of_counting_is_its_best_leave_one_out(truth: Truth) -> None:
    z, _, y = draw(truth, 1000, 0)
    n = len(y)
    symbol = np.unique(z, axis=0, return_inverse=True)[1].ravel()
    pairs = [(symbol == symbol[i]).sum() - 1 for i in range(n)]
    same = [((symbol == symbol[i]) & (y == y[i])).sum() - 1 for i in range(n)]
    classes = y.max() + 1
    losses = [
        np.mean([-math.log((a + b) / (m + classes * b)) for a, m in zip(same, pairs, strict=True)])
        for b in np.geomspace(0.05, 20, 60)
    ]
    assert truth.floor and truth.floor(n)["zy"] == pytest.approx(min(losses) - truth.values["zy"], abs=1e-4)


def test_the_distributions_need_numpy_and_scipy_alone() -> None:
    for path in Path(truths.__file__).parent.glob("*.py"):
        imported = {
            (node.module or "").split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        if path.stem != "run":
            assert imported <= {"collections", "dataclasses", "functools", "infoplane", "pathlib", "scipy"}, path.name


@pytest.mark.parametrize(
    "truth",
    [one for one in TRUTHS if one.optimal and one.name != "heavy tails through noise"],
    ids=lambda truth: truth.name,
)
def test_the_best_decoder_attains_the_value(truth: Truth) -> None:
    assert truth.optimal
    width = sum(part[0].size for part in draw(truth, 8)[:2])
    sample = draw(truth, MANY if width < 40 else 20_000 if width < 1000 else 1000)
    for measure, value in truth.optimal(*sample).items():
        assert value == pytest.approx(truth.values[measure], abs=0.01)


# Gaussians


@pytest.mark.parametrize(
    "truth",
    [linear_gaussian(1, 0.25), linear_gaussian(8), linear_gaussian(8, mixed=True), correlated(1, 5), correlated(4, 3)],
    ids=lambda truth: truth.name,
)
def test_gaussian_information(truth: Truth) -> None:
    z, x, _ = draw(truth)
    assert gaussian_information(x, z) == pytest.approx(truth.values["ixz"], abs=0.02)
    residual = x - z @ np.linalg.lstsq(z, x, rcond=None)[0]
    assert residual.var(0).sum() / x.var(0).sum() == pytest.approx(truth.values["zx"], rel=0.02)


def test_nats_are_split_equally() -> None:
    z, x, _ = draw(correlated(2, 3))
    turn_x, turn_z = rotations(2)
    pairs = zip((x @ turn_x.T).T, (z @ turn_z.T).T, strict=True)
    assert [gaussian_information(a[:, None], b[:, None]) for a, b in pairs] == pytest.approx([1.5, 1.5], abs=0.02)


# Scalar channels


def conditional_variance(x: np.ndarray, z: np.ndarray, cells: int = 400) -> float:
    """E Var(X|Z) / Var X of scalars, from the means of X in cells of Z that hold equally many."""
    order = x[np.argsort(z[:, 0]), 0].reshape(cells, -1)
    return float(order.var(1).mean() / x.var())


CHANNELS: dict[str, tuple[Truth, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "sign": (
        sign_channel(0.5),
        lambda x, z: (
            log_normal(z, np.sign(x), 0.5)
            - np.logaddexp(log_normal(z, 1.0, 0.5), log_normal(z, -1.0, 0.5))
            + math.log(2)
        ),
    ),
    "mixture": (
        mixture_channel(2.0, 0.5, 1.0),
        lambda x, z: (
            log_normal(z, x, 1.0)
            - np.logaddexp(log_normal(z, 2.0, math.sqrt(1.25)), log_normal(z, -2.0, math.sqrt(1.25)))
            + math.log(2)
        ),
    ),
    "narrow uniform": (
        additive_uniform(0.1),
        lambda x, z: -np.log(np.minimum(z + 0.1, 1) - np.maximum(z - 0.1, 0))[:, 0],
    ),
    "wide uniform": (
        additive_uniform(0.75),
        lambda x, z: -np.log(np.minimum(z + 0.75, 1) - np.maximum(z - 0.75, 0))[:, 0],
    ),
}
"""Each with its log p(z|x) / p(z), written out by hand."""


@pytest.mark.parametrize("name", CHANNELS)
def test_scalar_channels(name: str) -> None:
    truth, log_ratio = CHANNELS[name]
    z, x, _ = draw(truth)
    assert log_ratio(x, z).mean() == pytest.approx(truth.values["ixz"], abs=0.01)
    assert conditional_variance(x, z) == pytest.approx(truth.values["zx"], abs=0.01)


# Student-t and injective maps


@pytest.mark.parametrize(("d", "freedom"), [(1, 2), (1, 5), (2, 5)])
def test_student(d: int, freedom: int) -> None:
    truth = student(d, 1, freedom)
    rho = math.sqrt(1 - math.exp(-2 / d))
    turn_x, turn_z = rotations(d)
    cross = rho * turn_z.T @ turn_x
    shape = np.block([[np.eye(d), cross], [cross.T, np.eye(d)]])
    z, x, _ = draw(truth)
    alone = multivariate_t(shape=np.eye(d), df=freedom)
    log_ratio = multivariate_t(shape=shape, df=freedom).logpdf(np.concatenate([z, x], axis=1))
    log_ratio = log_ratio - alone.logpdf(z) - alone.logpdf(x)
    assert log_ratio.mean() == pytest.approx(truth.values["ixz"], abs=0.02)


INVERSES: dict[str, tuple[Any, Any]] = {
    "asinh": (asinh, np.sinh),
    "half-cube": (half_cube, lambda y: np.sign(y) * np.abs(y) ** (2 / 3)),
    "normal-cdf": (normal_cdf, ndtri),
    "spiral": (spiral, lambda y: spiral(y, speed=-0.5)),
}


@pytest.mark.parametrize("name", INVERSES)
def test_maps_are_injective_and_move_something(name: str) -> None:
    change, inverse = INVERSES[name]
    x = np.random.default_rng(0).normal(size=(1000, 2))
    assert np.allclose(inverse(change(x)), x) and not np.allclose(change(x), x, atol=0.1)


def test_a_map_changes_the_samples_and_not_the_information() -> None:
    assert all(truth.values.keys() == {"ixz"} for truth in injective_maps())
    mapped = next(truth for truth in injective_maps() if truth.name == "correlated Gaussians, d = 2, 3 nats, asinh")
    plain = draw(correlated(2, 3), 50)
    assert mapped.values["ixz"] == 3
    assert all(np.allclose(np.sinh(a), b) for a, b in zip(draw(mapped, 50)[:2], plain[:2], strict=True))


def test_thin_waves() -> None:
    z, x, _ = draw(waves())
    second = 2 * x[:, 1]
    first = 10 * (x[:, 0] + 0.8) - 5 * np.sin(3 * second)
    places, groups = clusters()
    each = [
        log_normal(one[:, None, None], mean[:, None], math.sqrt(0.1))
        for one, mean in ((first, places), (z[:, 0], groups))
    ]
    log_ratio = (
        logsumexp(each[0] + each[1], axis=1) + math.log(12) - logsumexp(each[0], axis=1) - logsumexp(each[1], axis=1)
    )
    assert log_ratio.mean() == pytest.approx(waves().values["ixz"], abs=0.01)


def test_continuous_truths_of_few_dimensions_have_distinct_values() -> None:
    few = [truth for truth in TRUTHS if truth.continuous and truth.dimension <= 4]
    assert len(few) > 20
    for truth in few:
        z, x, _ = draw(truth, 400)
        assert truth.dimension == max(z.shape[1], x.shape[1] if "ixz" in truth.values else 0)
        for part in (z, x) if "ixz" in truth.values else (z,):
            assert len(np.unique(part, axis=0)) == 400


# Classes


@pytest.mark.parametrize(("classes", "d"), [(4, 4), (10, 10)])
def test_classes(classes: int, d: int) -> None:
    truth = mixture(classes, d, 0.6)
    z, _, y = draw(truth)
    log_each = np.stack([log_normal(z, centre, 1.0) for centre in means(classes, d, 0.6)], axis=1)
    posterior = log_each[np.arange(len(y)), y] - logsumexp(log_each, axis=1)
    assert -posterior.mean() == pytest.approx(truth.values["zy"], abs=0.008)
    assert truth.values["izy"] == pytest.approx(math.log(classes) - truth.values["zy"])
    assert label_uncertainty(classes, d, 0.6, 1.0) == truth.values["zy"]


def test_permuted_labels_know_nothing_of_z() -> None:
    truth = mixture(4, 4, 0.6, permuted=True)
    z, _, y = draw(truth)
    averages = np.stack([z[y == label].mean(0) for label in range(4)])
    assert np.abs(averages - z.mean(0)).max() < 0.02
    assert truth.values == {"zy": math.log(4), "izy": 0.0}


def test_classes_through_noise() -> None:
    truth = noisy_classes(4, 2, 1.5, 0.5)
    z, x, y = draw(truth)
    within = [gaussian_information(x[y == label], z[y == label]) for label in range(4)]
    assert np.mean(within) == pytest.approx(truth.values["ixz_given_y"], abs=0.02)
    log_z = logsumexp([log_normal(z, centre, math.sqrt(1.25)) for centre in means(4, 2, 1.5)], axis=0) - math.log(4)
    assert (log_normal(z, x, 0.5) - log_z).mean() == pytest.approx(truth.values["ixz"], abs=0.01)


# Pictures


def blob_latent(images: np.ndarray) -> np.ndarray:
    """The latent of a blob, from the ratio of neighbouring pixels, whose logarithm is linear in the centre."""
    profiles = [images.sum((1, 3)), images.sum((1, 2))]
    pixels = np.arange(SIDE) + 0.5
    middle = SIDE // 2
    ratio = [np.log(profile[:, middle] / profile[:, middle - 1]) for profile in profiles]
    centre = np.stack([(pixels[middle] + pixels[middle - 1]) / 2 + 4 * one for one in ratio], axis=1)
    return np.asarray((centre - SIDE / 4) / (SIDE / 2))


def rectangle_latent(images: np.ndarray) -> np.ndarray:
    """The latent of a rectangle, from the lengths of its sides."""
    sides = np.stack([images.max((1, 3)).sum(1), images.max((1, 2)).sum(1)], axis=1)
    return np.asarray((sides - 4) / 8)


@pytest.mark.parametrize(("name", "picture", "latent"), [
    ("blobs", blobs, blob_latent),
    ("rectangles", rectangles, rectangle_latent),
])  # fmt: skip
def test_pictures_hold_their_latent(name: str, picture: Any, latent: Any) -> None:
    given = np.random.default_rng(0).uniform(size=(200, 2))
    assert np.allclose(latent(picture(given)), given)
    z, x, _ = draw(pictures(name, picture, 3), 20_000)
    assert z.shape == x.shape == (20_000, 1, SIDE, SIDE) and z.min() >= 0 and z.max() <= 1
    codes = [ndtri(np.clip(latent(images), 1e-12, 1 - 1e-12)) for images in (x, z)]
    assert gaussian_information(*codes) == pytest.approx(3, abs=0.05)


# Controls


def test_a_frozen_network_only_renumbers_its_units() -> None:
    truth = frozen_network()
    z, x, y = draw(truth, 50)
    assert truth.again
    later = truth.again(np.random.default_rng(1), z)
    assert not np.array_equal(later, z) and np.array_equal(np.sort(later, axis=1), np.sort(z, axis=1))
    assert truth.truth_of("zx") == truth.truth_of("anything") == 0
    residual = x - z @ np.linalg.lstsq(z, x, rcond=None)[0]
    assert residual.var() < x.var() and len(np.unique(y)) == 4


def test_noise_and_copies() -> None:
    found = {truth.name: truth for truth in TRUTHS}
    z, x, _ = draw(found["Z = X, d = 8"], 30)
    assert np.array_equal(z, x) and found["Z = X, d = 8"].values == {"zx": 0.0}
    z, x, y = draw(found["independent noise, d = 8"])
    assert np.abs(np.corrcoef(np.concatenate([z, x], axis=1).T) - np.eye(24)).max() < 0.02
    assert np.ptp(np.bincount(y)) == 0
    assert found["independent noise, d = 8"].values == {"zx": 1.0, "zy": math.log(10), "ixz": 0.0, "izy": 0.0}

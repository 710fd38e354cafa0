"""Nearest-neighbour estimators: exact counts, closed forms, invariances, and what they refuse."""

import json
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures.information import nearest as searching
from infoplane.measures.information.coordinates import smooth_scores, whiten
from infoplane.measures.information.differential import (
    entropy_class_information,
    entropy_information,
    neighbour_entropy,
)
from infoplane.measures.information.mutual import NEIGHBOURS, Estimator, class_information, mutual_information
from infoplane.measures.information.nearest import count_within, intrinsic_dimension, nearest
from infoplane.measures.information.neighbours import ksg_information, ross_information
from infoplane.measures.information.weights import GUARD, neighbour_weights
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")
ESTIMATORS: tuple[Estimator, ...] = ("ksg1", "ksg2", "kl", "weighted_kl")


def normal_pair(seed: int, n: int, d: int, nats: float) -> tuple[Tensor, Tensor]:
    """X and Z of shape (n, d), their information split equally over the columns."""
    rng, rho = np.random.default_rng(seed), math.sqrt(1 - math.exp(-2 * nats / d))
    x = rng.normal(size=(n, d))
    return torch.as_tensor(x), torch.as_tensor(rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, d)))


def mixture(n: int, gap: float) -> tuple[float, Tensor, Tensor]:
    """I(Z;Y) by quadrature, Z and two equally frequent labels; Z normal around -gap and gap."""
    grid = np.linspace(-gap - 12, gap + 12, 100_001)
    density = (norm.pdf(grid, -gap) + norm.pdf(grid, gap)) / 2
    entropy = -float((density * np.log(density)).sum() * (grid[1] - grid[0]))
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % 2)
    truth = entropy - 0.5 * math.log(2 * math.pi * math.e)
    return truth, torch.as_tensor(gap * (2 * labels - 1) + rng.normal(size=n)), torch.as_tensor(labels)


# Searching and counting


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", [6, 300])
@pytest.mark.parametrize("many", [2000, 100])
def test_counts_are_those_of_all_distances(
    many: int, n: int, d: int, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MANY", many)
    rng = np.random.default_rng(d)
    points, radii = rng.normal(size=(n, d)), rng.random(n)
    if tied:  # binary fractions, so that distances and radii are exact
        points, radii = np.round(points * 4) / 4, np.round(radii * 4) / 4
    distances = np.abs(points[:, None] - points).max(2)
    near = distances <= radii[:, None]
    nearer = np.where(radii[:, None] > 0, distances < radii[:, None], distances == 0)
    found = [count_within(torch.as_tensor(points), torch.as_tensor(radii), strict=strict) for strict in (False, True)]
    assert found[0].tolist() == (near.sum(1) - 1).tolist()
    assert found[1].tolist() == (nearer.sum(1) - 1).tolist()


@pytest.mark.parametrize("d", [1, 4, 14])
@pytest.mark.parametrize("order", [2, math.inf])
@pytest.mark.parametrize("many", [2000, 100])
def test_nearest_are_those_of_all_distances(many: int, d: int, order: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MANY", many)
    points = torch.as_tensor(np.random.default_rng(d).normal(size=(200, d)))
    distances = torch.cdist(points, points, p=order, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(np.inf)
    expected = distances.sort(1)
    found, positions = nearest(points, 4, order)
    torch.testing.assert_close(found, expected.values[:, :4], rtol=1e-12, atol=1e-12)
    assert torch.equal(positions, expected.indices[:, :4])


def test_the_neighbour_that_gave_the_radius_is_not_strictly_nearer() -> None:
    # value + (distance to a neighbour) is rounded; counted wrongly, KSG loses 0.3 nats at 5 nats
    x, z = normal_pair(0, 4000, 1, 5.0)
    assert abs(ksg_information(x + 1000, z + 1000, 1, "ksg1", scores=False).value - 5) < 0.1
    assert abs(ksg_information(x + 1000, z + 1000, 1, "ksg2", scores=False).value - 5) < 0.1


# Closed forms


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("d", "nats"), [(1, 0.0), (1, 2.0), (1, 5.0), (2, 1.0), (2, 5.0)])
def test_normal_pairs(estimator: Estimator, d: int, nats: float) -> None:
    found = [mutual_information(*normal_pair(s, 5000, d, nats), estimator, NEIGHBOURS[estimator]) for s in range(2)]
    assert abs(np.mean([one.value for one in found]) - nats) < 0.1
    assert all(0 < one.about["sampling"] < 0.05 and one.stderr < 0.3 and one.note == "" for one in found)  # type: ignore[operator]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_information_does_not_change_under_maps_of_columns(estimator: Estimator) -> None:
    x, z = normal_pair(3, 2000, 2, 2.0)
    maps: list[Callable[[Tensor], Tensor]] = [lambda t: t**3, torch.asinh, lambda t: -5 * t + 100, torch.special.ndtr]
    plain = mutual_information(x, z, estimator, NEIGHBOURS[estimator]).value
    for change in maps:
        found = mutual_information(change(x), change(z), estimator, NEIGHBOURS[estimator]).value
        assert abs(found - plain) < 0.06


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_order_of_samples_and_of_variables_does_not_matter(estimator: Estimator) -> None:
    x, z = normal_pair(4, 500, 2, 1.0)
    order = torch.as_tensor(np.random.default_rng(0).permutation(500))
    value = mutual_information(x, z, estimator, 4).value
    assert math.isclose(mutual_information(x[order], z[order], estimator, 4).value, value, abs_tol=1e-9)
    assert math.isclose(mutual_information(z, x, estimator, 4).value, value, abs_tol=1e-9)


def test_weighted_entropies_see_through_a_spiral() -> None:
    x, z = normal_pair(0, 5000, 2, 3.0)
    angle = x.square().sum(1) / 3
    turned = torch.stack(
        [angle.cos() * x[:, 0] - angle.sin() * x[:, 1], angle.sin() * x[:, 0] + angle.cos() * x[:, 1]], 1
    )
    weighted = entropy_information(turned, z, 20, weighted=True).value
    assert abs(weighted - 3) < 0.1 < 3 - entropy_information(turned, z, 20).value


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 3, 6])
def test_entropies_of_normals(d: int, weighted: bool) -> None:
    rng = np.random.default_rng(d)
    mix = rng.normal(size=(d, d)) + 2 * np.eye(d)
    x = torch.as_tensor(rng.normal(size=(4000, d)) @ mix.T * 7)
    truth = d / 2 * math.log(2 * math.pi * math.e) + math.log(abs(np.linalg.det(mix))) + d * math.log(7)
    assert abs(neighbour_entropy(x, 5, weighted).value - truth) < (0.06 if d < 6 or weighted else 0.3)


@pytest.mark.parametrize("gap", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("estimator", ["ross", "kl", "weighted_kl"])
def test_a_label_and_a_normal_mixture(estimator: str, gap: float) -> None:
    truth, z, labels = mixture(4000, gap)
    found = class_information(z, labels, estimator, 3)  # type: ignore[arg-type]
    assert abs(found.value - truth) < 0.04


def test_labels_may_be_any_integers() -> None:
    _, z, labels = mixture(300, 1.0)
    assert ross_information(z, labels * 40 - 7).value == ross_information(z, labels).value


# Weights


@pytest.mark.parametrize(("d", "k"), [(4, 5), (6, 20), (8, 20), (12, 40)])
def test_weights_meet_their_conditions(d: int, k: int) -> None:
    weights, refused = neighbour_weights(d, k)
    assert not refused and max(map(abs, weights)) <= GUARD
    assert math.isclose(sum(weights), 1, abs_tol=1e-8)
    for order in range(1, d // 4 + 1):
        terms = [w * math.exp(math.lgamma(j + 2 * order / d) - math.lgamma(j)) for j, w in enumerate(weights, 1)]
        assert abs(sum(terms)) < 1e-6


def test_weights_that_explode_are_refused() -> None:
    for d, k in ((12, 5), (16, 5), (8, 2)):
        weights, refused = neighbour_weights(d, k)
        assert refused and weights == (0.0,) * (k - 1) + (1.0,)
    assert neighbour_weights(3, 5) == ((0.0, 0.0, 0.0, 0.0, 1.0), False)
    x, z = normal_pair(0, 400, 6, 1.0)
    found = entropy_information(x, z, 5, weighted=True)
    assert (
        found.note == "weights larger than 20: the unweighted estimate is used"
        and found.value != entropy_information(x, z, 4).value
    )


# Coordinates


def test_smooth_scores_are_increasing_and_nearly_normal() -> None:
    x = torch.as_tensor(np.random.default_rng(0).exponential(size=(3000, 1))) ** 2
    scores = smooth_scores(x)
    assert bool((scores[x[:, 0].argsort(), 0].diff() > 0).all())
    assert abs(float(scores.mean())) < 0.02 and abs(float(scores.std()) - 1) < 0.03
    tied = smooth_scores(torch.tensor([[0.0]] * 30 + [[1.0]] * 10, dtype=torch.float64))
    assert len(tied.unique()) == 2


def test_whitening_keeps_the_volume() -> None:
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)))
    white, volume = whiten(x)
    covariance = torch.cov(x.T, correction=0)
    assert math.isclose(volume, float(torch.logdet(covariance)) / 2, abs_tol=1e-9)
    torch.testing.assert_close(torch.cov(white.T, correction=0), torch.eye(3, dtype=torch.float64))


# What they refuse, and what they flag


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bad_samples(estimator: Estimator) -> None:
    x, z = normal_pair(0, 50, 2, 1.0)
    with pytest.raises(UserError, match="NaN or infinity"):
        mutual_information(torch.where(x > 1, torch.nan, x), z, estimator, 3)
    with pytest.raises(UserError, match="NaN or infinity"):
        mutual_information(x, torch.full_like(z, torch.inf), estimator, 3)
    with pytest.raises(UserError, match="4 samples are too few for 3 nearest neighbours"):
        mutual_information(x[:4], z[:4], estimator, 3)
    with pytest.raises(UserError, match="have to be paired"):
        mutual_information(x[:40], z, estimator, 3)
    constant = mutual_information(x, torch.ones_like(z), estimator, 3)
    assert (constant.value, constant.note) == (0.0, "constant")
    half = torch.stack([z[:, 0], torch.full((50,), 3.0)], 1)
    assert mutual_information(x, half, estimator, 3) == mutual_information(x, z[:, :1], estimator, 3)


def test_duplicate_rows_never_pass_in_silence() -> None:
    x, z = (torch.cat([part[:30]] * 5) for part in normal_pair(0, 50, 1, 1.0))
    for variant in ("ksg1", "ksg2"):
        assert ksg_information(x, z, 3, variant).note == "duplicate rows"  # type: ignore[arg-type]
    for weighted in (False, True):
        with pytest.raises(UserError, match="occurs more than 3 times"):
            entropy_information(x, z, 3, weighted=weighted)
    assert "duplicate rows" in ross_information(x, torch.arange(150) % 2).note


def test_linearly_dependent_columns_have_no_density() -> None:
    x, z = normal_pair(0, 200, 1, 1.0)
    with pytest.raises(UserError, match="depend on each other linearly"):
        entropy_information(torch.cat([x, 2 * x], 1), z, scores=False)
    with pytest.raises(UserError, match="depend on each other linearly"):
        neighbour_entropy(torch.ones(50))
    with pytest.raises(UserError, match="too few for 3 nearest neighbours in 60 dimensions"):
        neighbour_entropy(torch.randn(50, 60))


def test_odd_classes() -> None:
    _, z, labels = mixture(60, 1.0)
    for function in (ross_information, entropy_class_information):
        assert function(z, torch.zeros_like(labels))[::2] == (0.0, "one class")
        assert function(torch.ones(60), labels)[::2] == (0.0, "constant")
    labels[0] = 5
    assert ross_information(z, labels).note == "classes of one sample left out: 1 of 60 samples"
    with pytest.raises(UserError, match="a class of 1 samples is too small"):
        entropy_class_information(z, labels)
    with pytest.raises(UserError, match="no class has two samples"):
        ross_information(z, torch.arange(60))
    with pytest.raises(UserError, match="only one class has two samples"):
        ross_information(z, torch.arange(60).clamp(min=1))


# The family

NEIGHBOURS_FAMILY = registry.load("measure", "neighbours")


def test_a_wide_activation_is_compressed_calibrated_and_flagged() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(600, 40)), np.arange(600) % 3
    targets = prepare(x, labels, CPU)
    z = torch.as_tensor(x @ rng.normal(size=(40, 100)), dtype=torch.float32) + 3 * torch.randn(
        600, 100, generator=torch.Generator().manual_seed(0)
    )
    ixz, izy = NEIGHBOURS_FAMILY.estimate(z, targets, NEIGHBOURS_FAMILY.Options())
    assert (ixz.measure, izy.measure, ixz.unit, ixz.n, ixz.d) == ("ixz", "izy", "nats", 600, 100)
    assert ixz.value > 0.5 > 0.1 > abs(izy.value)
    assert ixz.note == "of at most 4 dimensions each (pca)" and json.loads(ixz.detail)["noise"] == 0.001
    assert abs(ixz.calibration) < 0.5 and abs(izy.calibration) < 0.1
    many = NEIGHBOURS_FAMILY.estimate(z, targets, NEIGHBOURS_FAMILY.Options(dimensions=10, calibrate=False))[0]
    assert "joint dimension 20: not trusted beyond 8" in many.note and many.calibration is None


def test_a_copy_of_the_input_is_said_to_be_beyond_the_estimator() -> None:
    x = np.random.default_rng(0).normal(size=(400, 2))
    targets = prepare(x, np.arange(400) % 2, CPU)
    ixz, _ = NEIGHBOURS_FAMILY.estimate(torch.as_tensor(x), targets, NEIGHBOURS_FAMILY.Options(noise=1e-6))
    assert ixz.value > 10 and "saturated: more than this estimator can measure with 400 samples" in ixz.note
    exact, _ = NEIGHBOURS_FAMILY.estimate(torch.as_tensor(x), targets, NEIGHBOURS_FAMILY.Options(noise=0.0))
    assert exact.value is None and "depend on each other linearly" in exact.note


@pytest.mark.parametrize("bad", [{"estimator": "ksg"}, {"k": -1}, {"noise": -1.0}, {"dimensions": 0}, {"class_k": 0}])
def test_options_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        NEIGHBOURS_FAMILY.Options(**bad)


def test_a_surface_of_fewer_dimensions_is_flagged() -> None:
    # a curved line in three dimensions has no density there
    along = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, z = (torch.stack([t, (2 * t).sin(), (3 * t).cos()], 1) for t in along.T)
    targets = prepare(x.numpy(), np.arange(1000) % 2, CPU)
    ixz, _ = NEIGHBOURS_FAMILY.estimate(z, targets, NEIGHBOURS_FAMILY.Options(calibrate=False))
    assert re.search(r"X fills about 1\.\d of its 3 dimensions.*; Z fills about 1\.\d of its 3 dimensions", ixz.note)
    full, _ = NEIGHBOURS_FAMILY.estimate(
        torch.randn(1000, 3, generator=torch.Generator().manual_seed(1)),
        targets,
        NEIGHBOURS_FAMILY.Options(calibrate=False),
    )
    assert "Z fills" not in full.note


@pytest.mark.parametrize("d", [1, 2, 4])
def test_intrinsic_dimension(d: int) -> None:
    points = torch.randn(2000, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    found = intrinsic_dimension(points @ torch.eye(d, 6, dtype=torch.float64))
    assert found is not None and 0.85 * d < found < 1.15 * d
    assert intrinsic_dimension(points[:8]) is None and intrinsic_dimension(torch.zeros(50, 2)) is None
    assert intrinsic_dimension(torch.cat([points, points[:1]])) == intrinsic_dimension(points), "one row twice"

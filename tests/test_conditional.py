"""I(X;Z) and I(X;Z|Y) of stochastic layers, against closed forms and brute force."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures.information import conditional
from infoplane.measures.information.conditional import (
    conditional_information,
    draw_layer,
    informations,
    log_densities,
    stochastic_information,
)
from infoplane.measures.information.neighbours import ross_information
from infoplane.measures.targets import prepare, rotate_to_rank

FAMILY = registry.load("measure", "conditional")


def layer(n: int, d: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.normal(size=(n, d))), torch.as_tensor(rng.uniform(0.2, 2, size=(n, d)))


@pytest.mark.parametrize("alike", [False, True])
def test_densities_are_those_of_normals(alike: bool) -> None:
    mu, sigma = layer(20, 3)
    sigma = torch.full_like(sigma, 0.4) if alike else sigma
    z = draw_layer(mu, sigma, 1)
    expected = norm.logpdf(z.numpy()[:, None], mu.numpy(), sigma.numpy()).sum(2) + 1.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(log_densities(mu + 1e4, sigma)(z + 1e4).numpy(), expected, atol=1e-8)


def test_values_are_those_of_the_formula() -> None:
    mu, sigma = layer(30, 2)
    labels = torch.arange(30) % 3
    z = draw_layer(mu, sigma, 5)
    q = np.exp(norm.logpdf(z.numpy()[:, None], mu.numpy(), sigma.numpy()).sum(2))
    expected = np.mean(np.log(np.diag(q)) - np.log(q.mean(1)))
    assert math.isclose(stochastic_information(mu, sigma, z=z).value, expected, abs_tol=1e-12)
    assert stochastic_information(mu, sigma, seed=5).value == stochastic_information(mu, sigma, z=z).value
    inside = [np.log(q[i, i]) - np.log(q[i, labels.numpy() == int(labels[i])].mean()) for i in range(30)]
    assert math.isclose(conditional_information(mu, sigma, labels, z=z).value, np.mean(inside), abs_tol=1e-12)


@pytest.mark.parametrize("alike", [False, True])
def test_classes_that_are_far_apart_hold_what_each_holds(alike: bool) -> None:
    mu, sigma = layer(100, 2)
    sigma = torch.full_like(sigma, 0.4) if alike else sigma
    labels = torch.arange(100) % 2
    far = mu + 1e8 * (2 * labels[:, None] - 1)
    everyone, within = informations(far, sigma, labels)
    assert everyone.value == pytest.approx(within.value + math.log(2), abs=1e-6)
    assert within.value == pytest.approx(informations(mu, sigma, labels)[1].value, abs=1e-4)


def test_an_offset_changes_nothing_and_an_outlier_is_noted() -> None:
    rng = np.random.default_rng(0)
    z, y = torch.as_tensor(rng.normal(size=(200, 3))), np.arange(200) % 2
    targets = prepare(z.numpy(), y, torch.device("cpu"))
    still, moved = ([one.value for one in FAMILY.estimate(each, targets, FAMILY.Options())] for each in (z, z + 1e9))
    assert moved == pytest.approx(still, abs=1e-5)
    z[3, 0] = 1e10
    for one in FAMILY.estimate(z, targets, FAMILY.Options()):
        assert "outliers: 2 of 200 samples make 100.0% of the spread of Z" in one.note


@pytest.mark.parametrize("alike", [False, True])
def test_both_at_once_are_each_alone(alike: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    mu, sigma = layer(50, 3)
    sigma = torch.tensor(0.4) if alike else sigma
    labels = torch.as_tensor(np.random.default_rng(3).integers(0, 4, 50))
    labels[7] = 9  # alone in its class
    z = draw_layer(mu, sigma.expand(50, 3), 2)
    found = [informations(mu, sigma, labels, seed=2)]
    monkeypatch.setattr(conditional, "BLOCK", 7 * 50)
    found.append(informations(mu, sigma, labels, z=z))
    q = np.exp(norm.logpdf(z.numpy()[:, None], mu.numpy(), sigma.expand(50, 3).numpy()).sum(2))
    gains = [np.log(q[i, i]) - np.log(q[i, labels.numpy() == int(labels[i])].mean()) for i in range(50)]
    for among_all, within in found:
        assert math.isclose(among_all.value, np.mean(np.log(np.diag(q)) - np.log(q.mean(1))), abs_tol=1e-12)
        assert math.isclose(within.value, np.mean(gains), abs_tol=1e-12)
        assert math.isclose(within.stderr, np.std(gains, ddof=1) / math.sqrt(50), abs_tol=1e-12)


@pytest.mark.parametrize(("d", "sigma"), [(1, 0.5), (2, 0.5), (4, 1.0)])
def test_a_normal_channel(d: int, sigma: float) -> None:
    mu = layer(2500, d)[0]
    truth = d / 2 * math.log(1 + 1 / sigma**2)
    found = stochastic_information(mu, torch.tensor(sigma))
    assert abs(found.value - truth) < max(0.06, 3 * found.stderr) and found.note == ""


def test_noise_is_not_what_a_user_drew_with_the_same_seed() -> None:
    # mu + sigma eps with eps = mu is a larger mu without noise; draws of one seed are not those of the next
    mu = torch.randn(500, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma = torch.tensor(1.0, dtype=torch.float64)
    eps = [draw_layer(mu, sigma.expand(500, 1), seed, draw) - mu for seed, draw in ((0, 0), (0, 1), (1, 0))]
    together = torch.corrcoef(torch.cat([mu, *eps], 1).T) - torch.eye(4, dtype=torch.float64)
    assert float(together.abs().max()) < 0.15
    assert abs(stochastic_information(mu, sigma.expand(500, 1)).value - math.log(2) / 2) < 0.1


def test_without_overlap_every_sample_is_known() -> None:
    mu = 100 * torch.arange(12.0)[:, None]
    labels = torch.tensor([0] * 8 + [1] * 4)
    found = stochastic_information(mu, torch.tensor(1.0))
    assert math.isclose(found.value, math.log(12), abs_tol=1e-9) and "saturated: it cannot exceed 2.48" in found.note
    given = conditional_information(mu, torch.tensor(1.0), labels)
    assert math.isclose(given.value, 2 / 3 * math.log(8) + 1 / 3 * math.log(4), abs_tol=1e-9)
    # what is left is I(Z;Y) = H(Y)
    assert math.isclose(found.value - given.value, -2 / 3 * math.log(2 / 3) - 1 / 3 * math.log(1 / 3), abs_tol=1e-9)


def test_without_difference_nothing_is_known() -> None:
    same = torch.ones(40, 3)
    assert abs(stochastic_information(same, torch.tensor(0.3)).value) < 1e-9
    assert abs(conditional_information(same, torch.tensor(0.3), torch.arange(40) % 2).value) < 1e-9


def test_the_chain_rule() -> None:
    # I(X;Z) = I(X;Z|Y) + I(Z;Y) where the label is a function of the input
    rng = np.random.default_rng(1)
    labels = torch.arange(2000) % 2
    mu = torch.as_tensor(rng.normal(size=(2000, 1))) + 3 * labels[:, None]
    sigma = torch.tensor(0.8)
    gap = stochastic_information(mu, sigma).value - conditional_information(mu, sigma, labels).value
    assert abs(gap - ross_information(draw_layer(mu, sigma.expand(2000, 1)), labels).value) < 0.05


def test_bad_layers() -> None:
    mu, sigma = layer(10, 2)
    with pytest.raises(UserError, match="NaN or infinity"):
        stochastic_information(mu * torch.inf, sigma)
    with pytest.raises(UserError, match="sigma must be above 0"):
        stochastic_information(mu, torch.zeros(10, 2))
    with pytest.raises(UserError, match="10 samples but 4 labels"):
        conditional_information(mu, sigma, torch.zeros(4))
    alone = conditional_information(mu, sigma, torch.arange(10))
    assert alone.value == pytest.approx(0, abs=1e-12) and alone.note == ""


# The family


def test_wide_activations_are_rotated_without_loss() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    narrow = rng.normal(size=(300, 4)) + 4 * labels[:, None]
    targets = prepare(narrow, labels, torch.device("cpu"))
    wide = torch.as_tensor(narrow @ np.linalg.qr(rng.normal(size=(900, 4)))[0].T + 5)
    options = FAMILY.Options(draws=16)
    for small, large in zip(
        FAMILY.estimate(torch.as_tensor(narrow), targets, options), FAMILY.estimate(wide, targets, options), strict=True
    ):
        assert small.measure == large.measure and abs(small.value - large.value) < 0.1
        assert (large.n, large.d, large.unit) == (300, 900, "nats") and "of Z with noise 0.2" in large.note
    ixz, given = FAMILY.estimate(wide, targets, options)
    assert 0.9 < ixz.value - given.value < math.log(3) + 0.01


def test_a_root_of_the_inner_products_keeps_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILY, "BLOCK", 13 * 40)
    monkeypatch.setattr(FAMILY, "ROWS", 16)
    z = torch.as_tensor(np.random.default_rng(0).normal(size=(40, 100)) * np.geomspace(1e-3, 10, 100) + 50)
    repeated = torch.cat([z[:30], z[:9], z[:1]])
    low_rank = z[:, :5] @ torch.as_tensor(np.random.default_rng(1).normal(size=(5, 60)))
    for given in (z, z[:, :12], z[:, :39], z[:, :40], repeated, low_rank):
        points, spread = FAMILY.root(given)
        assert points.shape[1] <= 39
        ours, theirs = ((one[:, None] - one).square().sum(2) for one in (points, given))
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.max()))
        assert math.isclose(spread, float((given - given.mean(0)).square().sum(1).mean().sqrt()), rel_tol=1e-12)


def test_a_root_gives_the_values_of_the_rotated_points() -> None:
    """The same noise, turned with the points, gives the same values."""
    z = torch.as_tensor(np.random.default_rng(0).normal(size=(60, 200)))
    labels = torch.arange(60) % 3
    points, spread = FAMILY.root(z)
    turned = rotate_to_rank(z)
    assert points.shape == turned.shape == (60, 59)
    turn = torch.linalg.lstsq(points - points.mean(0), turned).solution
    assert torch.allclose(turn @ turn.T, torch.eye(59, dtype=torch.float64), atol=1e-9)
    sigma, noise = torch.tensor(0.3 * spread), torch.as_tensor(np.random.default_rng(1).normal(size=(60, 59)))
    ours = informations(points, sigma, labels, z=points + sigma * noise)
    theirs = informations(turned, sigma, labels, z=turned + sigma * noise @ turn)
    for one, other in zip(ours, theirs, strict=True):
        assert math.isclose(one.value, other.value, abs_tol=1e-9) and one.value > 0.5
        assert math.isclose(one.stderr, other.stderr, abs_tol=1e-9)


def test_more_noise_leaves_less() -> None:
    x = np.random.default_rng(0).normal(size=(200, 6))
    targets = prepare(x, np.arange(200) % 2, torch.device("cpu"))
    values = [FAMILY.estimate(torch.as_tensor(x), targets, FAMILY.Options(noise=s))[0].value for s in (0.1, 0.3, 1, 5)]
    assert values == sorted(values, reverse=True) and values[0] > 4 and values[-1] < 0.2
    scaled = FAMILY.estimate(torch.as_tensor(1000 * x), targets, FAMILY.Options(noise=0.3))[0].value
    assert math.isclose(scaled, values[1], rel_tol=1e-6)
    with pytest.raises(ValueError, match="noise must be above 0"):
        FAMILY.Options(noise=0.0)

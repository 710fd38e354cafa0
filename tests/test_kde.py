"""Kernel-density bounds on mutual information: closed forms, and mixtures whose information is known."""

import json
import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.families.kde import MEASURES, Options, estimate
from infoplane.measures.information import kde
from infoplane.measures.information.kde import kde_information
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")


def points(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points in two overlapping clouds, and which cloud they are of."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return torch.as_tensor(rng.normal(size=(n, d)) + y[:, None]), torch.as_tensor(y)


def plainly(z: Tensor, labels: Tensor, variance: float, divisor: float) -> tuple[float, float]:
    """I(X;Z) and the field's I(Z;Y) from all pairs at once, in float64."""
    kernel = torch.exp(-(z[:, None] - z[None]).square().sum(2) / (divisor * variance))
    same = labels[:, None] == labels[None]
    h = -(kernel.mean(1).log()).mean()
    h_given = -((kernel * same).sum(1) / same.sum(1)).log().mean()
    return float(h), float(h - h_given)


def information_of_mixture(z: Tensor, labels: Tensor, variance: float, draws: int) -> dict[str, tuple[float, float]]:
    """I(X;T) and I(T;Y) of T = Z + noise, X one of the points: mean and standard error of Monte Carlo draws."""
    generator = torch.Generator().manual_seed(5)
    found: dict[str, list[Tensor]] = {"ixz": [], "izy": []}
    for _ in range(draws):
        noise = torch.randn(z.shape, generator=generator, dtype=torch.float64)
        t = z + math.sqrt(variance) * noise
        logs = -torch.cdist(t, z).square() / (2 * variance)
        mixed = logs.logsumexp(1) - math.log(len(z))
        same = labels[:, None] == labels[None]
        of_class = logs.masked_fill(~same, -torch.inf).logsumexp(1) - same.sum(1).double().log()
        found["ixz"].append(-noise.square().sum(1) / 2 - mixed)
        found["izy"].append(of_class - mixed)
    return {
        name: (float(torch.cat(each).mean()), float(torch.cat(each).std()) / math.sqrt(draws * len(z)))
        for name, each in found.items()
    }


@pytest.mark.parametrize("variance", [0.003, 0.03, 0.3, 3.0])
@pytest.mark.parametrize("d", [1, 2, 6])
def test_the_bounds_hold_the_information_of_a_mixture_between_them(d: int, variance: float) -> None:
    z, y = points(150, d)
    found = kde_information(z, y, variance)
    truth = information_of_mixture(z, y, variance, draws=40)
    for name in ("ixz", "izy"):
        value, error = truth[name]
        lower, upper = getattr(found, f"{name}_lower"), getattr(found, f"{name}_upper")
        assert lower - 4 * error <= value <= upper + 4 * error
    # and they say more than nothing of X
    assert found.ixz_upper - found.ixz_lower < math.log(150) and found.ixz_lower > 0


def test_the_difference_of_two_lower_bounds_may_lie_above_the_truth() -> None:
    first, second = np.array([0.4, 0.4, 0.9, 1.8, 2.0, 5.6]), np.array([0.5, 2.0, 5.7, 6.2])
    grid = np.linspace(-9, 16, 20_001)

    def entropy(centres: np.ndarray) -> float:
        density = np.exp(-((grid[:, None] - centres) ** 2) / 2).mean(1) / math.sqrt(2 * math.pi)
        return -float((density * np.log(density)).sum()) * (grid[1] - grid[0])

    z = np.concatenate([first, second])
    truth = entropy(z) - 0.6 * entropy(first) - 0.4 * entropy(second)
    found = kde_information(torch.as_tensor(z[:, None]), torch.tensor([0] * 6 + [1] * 4), 1.0)
    assert found.izy_lower <= truth <= found.izy_upper
    assert found.izy_of_lowers > truth + 1e-3


@pytest.mark.parametrize("tile", [7, 64, 300, 512])
@pytest.mark.parametrize("classes", [1, 2, 40])
def test_tiles_change_nothing(tile: int, classes: int) -> None:
    rng = np.random.default_rng(classes)
    z, y = torch.as_tensor(rng.normal(size=(300, 5))), torch.as_tensor(rng.integers(0, classes, 300))
    found = kde_information(z, y, 0.05, tile=tile)
    for divisor, ixz, izy in ((2, found.ixz_upper, found.izy_of_uppers), (8, found.ixz_lower, found.izy_of_lowers)):
        assert (ixz, izy) == pytest.approx(plainly(z, y, 0.05, divisor), abs=2e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("variance", [1e-3, 10.0])
def test_rounding_stays_small_wherever_the_layer_lies(variance: float, offset: float) -> None:
    z, y = points(200, 30)
    z = (z.float() + offset).float()
    found = kde_information(z, y, variance)
    assert found.ixz_upper == pytest.approx(plainly(z.double(), y, variance, 2)[0], abs=1e-4)
    assert found.ixz_lower == pytest.approx(plainly(z.double(), y, variance, 8)[0], abs=1e-4)


def test_equal_points_tell_nothing_and_distant_ones_everything() -> None:
    y = torch.arange(100) % 4
    nothing = kde_information(torch.full((100, 3), 0.7), y)
    assert (nothing.ixz_upper, nothing.ixz_lower, nothing.izy_upper, nothing.izy_lower) == (0, 0, 0, 0)
    everything = kde_information(100.0 * torch.arange(100)[:, None], y)
    assert everything.ixz_upper == everything.ixz_lower == pytest.approx(math.log(100), abs=1e-12)
    assert everything.izy_upper == pytest.approx(math.log(4), abs=1e-12)
    assert everything.izy_lower == pytest.approx(math.log(4), abs=1e-12)
    assert (nothing.alone, everything.alone) == (0, 1)
    # one point per class: exactly H(Y)
    classes = kde_information(100.0 * y[:, None], y)
    assert classes.ixz_upper == pytest.approx(math.log(4)) and classes.izy_lower == pytest.approx(math.log(4))


def test_order_and_rotation_change_nothing() -> None:
    z, y = points(120, 4)
    turned = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    order = torch.randperm(120, generator=torch.Generator().manual_seed(2))
    first, second = kde_information(z, y, 0.1), kde_information((z @ turned)[order], y[order], 0.1)
    for name in ("ixz_upper", "ixz_lower", "izy_upper", "izy_lower", "izy_of_uppers"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-6)


def test_relative_noise_follows_the_scale_of_the_layer() -> None:
    z, y = points(120, 4)
    relative, larger = (kde_information(scale * z, y, 0.05, relative=True) for scale in (1.0, 7.0))
    assert larger.variance == pytest.approx(49 * relative.variance)
    assert larger.ixz_upper == pytest.approx(relative.ixz_upper, abs=1e-6)
    absolute, grown = (kde_information(scale * z, y, 0.05) for scale in (1.0, 7.0))
    assert grown.ixz_lower > absolute.ixz_lower + 0.1


def test_a_family_in_bits() -> None:
    z, y = points(200, 2)
    targets = prepare(z.numpy(), y.numpy(), CPU)
    found = {one.measure: one for one in estimate(z, targets, Options(variance=0.1))}
    assert tuple(found) == MEASURES and {one.unit for one in found.values()} == {"bits"}
    nats = kde_information(z, y, 0.1)
    assert found["ixz_upper"].value == pytest.approx(nats.ixz_upper / math.log(2))
    assert found["izy"].value == pytest.approx(nats.izy_of_uppers / math.log(2))
    detail = json.loads(found["izy"].detail)
    assert detail["variance"] == 0.1 and detail["izy_of_lowers"] == pytest.approx(nats.izy_of_lowers / math.log(2))
    assert found["ixz_upper"].note == ""
    alone = estimate(1e3 * z, targets, Options())
    assert all(one.note.startswith("saturated: 100% of the samples are alone") for one in alone)


def two_clouds(at: float) -> tuple[Tensor, Tensor]:
    """200 points in the plane with deviation 0.1 around (at, at) and (-at, -at)."""
    y = np.arange(200) % 2
    return torch.as_tensor(
        (2 * y - 1)[:, None] * at + 0.1 * np.random.default_rng(0).normal(size=(200, 2))
    ), torch.as_tensor(y)


@pytest.mark.parametrize("at", [1e3, 1e7, 1e8])
def test_clouds_that_are_far_apart_hold_what_each_holds(at: float) -> None:
    z, y = two_clouds(at)
    found, clouds = kde_information(z, y), [kde_information(z[y == one], y[y == one]) for one in range(2)]
    for name in ("ixz_upper", "ixz_lower"):
        alone = [getattr(one, name) for one in clouds]
        assert getattr(found, name) == pytest.approx(math.log(2) + np.mean(alone), abs=1e-5)
    assert found.ixz_upper / math.log(2) == pytest.approx(5.4, abs=0.1)
    assert found.izy_lower <= found.izy_upper == pytest.approx(math.log(2))


def test_differences_say_what_inner_products_say(monkeypatch: pytest.MonkeyPatch) -> None:
    z, y = points(150, 6)
    inner = kde_information(z, y, 0.3, tile=64)
    monkeypatch.setattr(kde, "ROUNDING", 0.0)
    assert astuple(kde_information(z, y, 0.3, tile=64)) == pytest.approx(astuple(inner), abs=1e-5)


@pytest.mark.parametrize("relative", [False, True])
def test_large_values_have_bounds_in_order(relative: bool) -> None:
    z, y = points(100, 3)
    outlier, twice = z.clone(), z.repeat_interleave(2, 0) * 1e8
    outlier[7, 0] = 1e10
    for each, label in ((outlier, y), (twice, y.repeat_interleave(2)), (z * 1e200, y), (z * 1e-200, y), (z * 1e307, y)):
        found = kde_information(each, label, relative=relative)
        assert all(map(math.isfinite, astuple(found)))
        assert 0 <= found.ixz_lower <= found.ixz_upper and 0 <= found.izy_lower <= found.izy_upper
    assert kde_information(twice, y.repeat_interleave(2)).ixz_upper == pytest.approx(math.log(100))


def test_an_offset_and_with_relative_noise_the_unit_change_nothing() -> None:
    z, y = points(100, 3)
    still = astuple(kde_information(z, y, 0.1))
    assert astuple(kde_information(z + 1e9, y, 0.1)) == pytest.approx(still, abs=1e-5)
    plain = kde_information(z, y, 0.1, relative=True)
    for unit in (1e-200, 1e-3, 1e200):
        other = kde_information(z * unit, y, 0.1, relative=True)
        assert astuple(other)[:-1] == pytest.approx(astuple(plain)[:-1], abs=1e-5)
    targets = prepare(z.numpy(), y.numpy(), CPU)
    z[7, 0] = 1e10
    assert all(row.value is not None for row in estimate(z, targets, Options()))
    for row in estimate(z, targets, Options(noise="relative")):
        assert "outliers: 1 of 100 samples make 100.0% of the spread of Z" in row.note


def test_bad_input_is_flagged() -> None:
    z, y = points(50, 3)
    targets = prepare(z.numpy(), y.numpy(), CPU)
    for bad in (math.nan, math.inf):
        broken = z.clone()
        broken[3, 1] = bad
        assert {(one.value, one.note) for one in estimate(broken, targets, Options())} == {(None, "non-finite")}
        with pytest.raises(UserError, match="NaN or infinity"):
            kde_information(broken, y)
    assert {(one.value, one.note) for one in estimate(torch.ones(50, 3), targets, Options())} == {(0.0, "constant")}
    one_class = prepare(z.numpy(), np.zeros(50, np.int64), CPU)
    label = [one for one in estimate(z, one_class, Options(variance=0.1)) if one.measure.startswith("izy")]
    assert [one.value for one in label] == pytest.approx([0, 0, 0], abs=1e-9)
    assert all("one class only" in one.note for one in label)
    wide = estimate(torch.randn(50, 5000, generator=torch.Generator().manual_seed(0)), targets, Options())
    assert wide[0].value == pytest.approx(math.log2(50)) and "saturated" in wide[0].note
    half = estimate(z.half(), targets, Options(variance=0.1))
    assert half[0].value == pytest.approx(estimate(z, targets, Options(variance=0.1))[0].value, abs=0.05)
    for wrong in ({"variance": 0.0}, {"noise": "loud"}):
        with pytest.raises(ValueError, match="must be"):
            Options(**wrong)

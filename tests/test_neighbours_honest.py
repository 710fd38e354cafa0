"""Neighbour estimators on what people have: far classes, values that repeat, heavy tails; and honest intervals."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.special import digamma
from test_neighbours import CPU, ESTIMATORS, NEIGHBOURS_FAMILY, normal_pair

from infoplane.measures.estimate import Estimate
from infoplane.measures.information.coordinates import add_noise, normal_columns
from infoplane.measures.information.entropy import plug_in_mutual_information
from infoplane.measures.information.mutual import NEIGHBOURS, Estimator, class_information, mutual_information
from infoplane.measures.targets import prepare


def family(
    z: np.ndarray, x: np.ndarray | None = None, y: np.ndarray | None = None, **options: object
) -> list[Estimate]:
    targets = prepare(z if x is None else x, np.arange(len(z)) % 2 if y is None else y, CPU)
    return NEIGHBOURS_FAMILY.estimate(torch.as_tensor(z), targets, NEIGHBOURS_FAMILY.Options(**options))


@pytest.mark.parametrize("estimator", ["ross", "kl", "weighted_kl"])
@pytest.mark.parametrize("turned", [False, True])
def test_classes_far_apart_along_one_direction(estimator: str, turned: bool) -> None:
    # scores alone pushed the classes together: .845 nats
    rng, y = np.random.default_rng(0), np.arange(400) % 10
    z = rng.normal(size=(400, 4))
    z[:, 0] += 1000 * y
    if turned:
        z = z @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    found = class_information(torch.as_tensor(z), torch.as_tensor(y), estimator, 3)  # type: ignore[arg-type]
    assert abs(found.value - math.log(10)) < 0.1 and found.note == ""
    izy = family(z, y=y, classes=estimator)[1]
    assert abs(izy.value - math.log(10)) < 0.1 and izy.value <= math.log(10) + 1e-12 and izy.note == ""


@pytest.mark.parametrize("estimator", ["ksg1", "weighted_kl"])
@pytest.mark.parametrize("d", [1, 2])
def test_noise_on_both_sides_tells_nothing(estimator: str, d: int) -> None:
    # the same noise on X and Z: 4.2 nats for independent values
    rng = np.random.default_rng(0)
    x, z = (rng.integers(0, 2, (400, d)).astype(float) for _ in range(2))
    ixz = family(z, x, estimator=estimator, jitter=1e-3)[0]
    assert abs(ixz.value) < 0.1
    sides = [add_noise(torch.zeros(400, d), 1.0, 0, name) for name in "XZ"]
    assert abs(float((sides[0] * sides[1]).mean())) < 0.15
    assert abs(mutual_information(*sides, "ksg1", 1).value) < 0.15


def test_a_useless_unit_of_another_scale_drowns_nothing() -> None:
    # noise followed the largest unit: I(Z;Y) fell from .44 to .014
    rng, y = np.random.default_rng(0), np.arange(1000) % 4
    z = rng.normal(size=(4, 3))[y] + rng.normal(size=(1000, 3))
    x = z + 0.5 * rng.normal(size=z.shape)
    small = family(z, x, y)
    large = family(np.column_stack([z, 1e4 * rng.normal(size=1000)]), x, y)
    assert all(abs(one.value - two.value) < 0.15 for one, two in zip(small, large, strict=True))
    assert large[1].value > 0.3


@pytest.mark.parametrize("shape", [1.0, 0.1])
def test_heavy_tails_do_not_set_the_noise(shape: float) -> None:
    # the tail's deviation was the noise: .17 and -.05 nats
    rng = np.random.default_rng(3)
    x = rng.gamma(shape, size=1000)
    z = rng.exponential(size=1000) / x
    ixz = family(z[:, None], x[:, None], calibrate=False)[0]
    truth = float(digamma(shape + 1)) - math.log(shape)
    assert abs(ixz.value - truth) < min(0.15, 1.96 * ixz.stderr)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_that_repeat_are_counted_or_labels(estimator: Estimator) -> None:
    # ksg2 said .61 of 1.61
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, 1000)
    far = x[:, None] * 6 + rng.normal(size=(1000, 1))
    found = mutual_information(torch.as_tensor(x), torch.as_tensor(far), estimator, 3)
    assert abs(found.value - math.log(5)) < 0.02 and found.note == "X has few values and is used as a label"
    again = mutual_information(torch.as_tensor(far), torch.as_tensor(x), estimator, 3)
    assert again.note == "Z has few values and is used as a label" and math.isclose(again.value, found.value)
    counted = mutual_information(torch.as_tensor(x), torch.as_tensor(x // 2), estimator, 3)
    assert (
        math.isclose(counted.value, plug_in_mutual_information(x, x // 2))
        and counted.note == "X and Z have few values: estimated from how often each pair occurs"
    )
    izy = family(far, y=x)[1]
    assert abs(izy.value - math.log(5)) < 0.02 and izy.note == "", "saturated, where all is known"


def test_a_mixture_of_values_and_densities() -> None:
    # a rectified unit: half of the values are 0; the information is that of the sign, and of the rest within it
    rng, n = np.random.default_rng(0), 4000
    x = rng.normal(size=n)
    z = np.where(x > 0, 0.6 * x + 0.8 * rng.normal(size=n), 0.0)
    joint = mutual_information(torch.as_tensor(x), torch.as_tensor(z))
    positive = x > 0
    inside = mutual_information(torch.as_tensor(x[positive]), torch.as_tensor(z[positive]))
    assert joint.note.startswith("some values repeat") and inside.note == ""
    assert abs(joint.value - math.log(2) - positive.mean() * inside.value) < 0.05
    nothing = mutual_information(torch.as_tensor(rng.normal(size=n)), torch.as_tensor(z))
    assert abs(nothing.value) < 0.05


def test_rows_that_come_twice_are_used_once() -> None:
    rng = np.random.default_rng(0)
    x, z, y = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)), np.arange(200) % 2
    twice = family(*(np.repeat(each, 2, 0) for each in (z, x, y)), calibrate=False)
    once = family(z, x, y, calibrate=False)
    for one, two in zip(once, twice, strict=True):
        assert abs(one.value - two.value) < 0.05 and "200 repeated rows left out" in two.note
    one_more = family(*(np.concatenate([each, each[:1]]) for each in (z, x, y)), calibrate=False)
    assert abs(one_more[0].value - once[0].value) < 0.05


@pytest.mark.parametrize("twice", [False, True])
def test_a_curve_in_the_plane_is_flagged_whether_or_not_a_row_repeats(twice: bool) -> None:
    t = np.random.default_rng(0).normal(size=(500, 1))
    t[1] = t[0] if twice else t[1]
    ixz = family(np.column_stack([t, t**2]), np.column_stack([np.sin(t), t]), calibrate=False)[0]
    assert "X fills about 1.0 of its 2 dimensions" in ixz.note and "Z fills about 1.0" in ixz.note


def test_thin_directions_of_an_affine_image_are_seen() -> None:
    # columns that are bent one by one blur what lies between nearly equal ones: 2.0 and .5 of 3 nats
    x, z = normal_pair(0, 1000, 2, 3.0)
    thin = torch.tensor([[1.0, 1.0], [1.0, 1.03]], dtype=torch.float64)
    for estimator in ("ksg1", "weighted_kl"):
        found = mutual_information(x @ thin, z @ thin, estimator, NEIGHBOURS[estimator])  # type: ignore[index]
        assert abs(found.value - 3) < 0.25, estimator
    assert bool((torch.corrcoef(normal_columns(x @ thin).T)[0, 1].abs() < 0.01).all())


def test_two_estimators_that_disagree_are_said_to() -> None:
    # thin waves: 20 neighbours reach across them
    rng = np.random.default_rng(0)
    x = rng.uniform(size=2000)
    z = np.sin(60 * x) + 0.02 * rng.normal(size=2000)
    found = mutual_information(torch.as_tensor(x), torch.as_tensor(z))
    second = found.about["second_says"]
    assert isinstance(second, float) and second > found.value + 0.3
    assert f"ksg1 (k = 3) says {second:.2f} nats, which is further away than both intervals allow" in found.note
    ixz = family(z[:, None], x[:, None], calibrate=False)[0]
    assert "ksg1 (k = 3) says" in ixz.note and json.loads(ixz.detail)["second"] == "ksg1 (k = 3)"


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_intervals_hold_the_truth(estimator: Estimator) -> None:
    # sampling alone held it in 29 to 35 % of such draws
    held = []
    for d, nats in ((1, 0.0), (1, 1.0), (2, 1.0), (2, 3.0)):
        for seed in range(5):
            found = mutual_information(*normal_pair(seed, 1000, d, nats), estimator, NEIGHBOURS[estimator])
            assert found.stderr >= found.about["sampling"]  # type: ignore[operator]
            held.append(abs(found.value - nats) < 1.96 * found.stderr)
    assert np.mean(held) >= 0.85

"""Decoders where Z or X stands far from 0 or in an odd unit, and where the samples are too few for what is decoded."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from infoplane import registry
from infoplane.measures.decoding.learning_curve import Limit
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")
FEW = "too few samples for this decoder"


def estimate(family: str, z: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[Estimate]:
    module = registry.load("measure", family)
    found: list[Estimate] = module.estimate(torch.as_tensor(z), prepare(x, y, CPU), module.Options())
    return found


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z that knows a part of X and Y."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 4)), np.arange(90) % 3
    return np.concatenate([x[:, :2], 2 * np.eye(3)[y]], 1) + 0.5 * rng.normal(size=(90, 5)), x, y


@pytest.mark.parametrize("family", ["linear", "kernel"])
def test_neither_offset_nor_unit_changes_a_value(family: str) -> None:
    z, x, y = draw()
    plain = [one.value for one in estimate(family, z, x, y)]
    for changed in (z + 1e8, 1e-6 * z + 1e3, 1e200 * z, 1e-200 * z):
        assert [one.value for one in estimate(family, changed, x, y)] == pytest.approx(plain, abs=1e-5)
    for unit in (1e20, 1e-27):
        assert [one.value for one in estimate(family, z, unit * x, y)] == pytest.approx(plain, abs=1e-5)


def test_networks_read_deviations_and_not_offsets() -> None:
    z = torch.as_tensor(draw()[0])
    plain, _ = standardise(z)
    for changed in (z + 1e8, 1e200 * z):
        found, constant = standardise(changed)
        assert constant == 0 and torch.allclose(found, plain, atol=1e-5)


def test_a_constant_feature_is_constant_at_its_own_precision() -> None:
    z = draw()[0]
    z[:, 0] = 1e8 + 1e-9 * z[:, 0]
    assert standardise(torch.as_tensor(z))[1] == 1
    assert standardise(torch.as_tensor(z + 1e8).float())[1] == 5


def test_too_few_samples_are_told_from_the_learning_curve() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(300, 1000))
    zx, _ = estimate("linear", wide, wide[:, :1] + 0.1 * rng.normal(size=(300, 1)), np.arange(300) % 2)
    assert zx.note.startswith(FEW) and zx.extrapolated is not None and zx.value is not None
    assert zx.extrapolated < zx.value - 0.1
    means, y = rng.normal(size=(60, 20)), np.arange(600) % 60
    _, zy = estimate("linear", means[y] + rng.normal(size=(600, 20)), rng.normal(size=(600, 2)), y)
    assert zy.note.startswith(FEW)


@pytest.mark.parametrize("family", ["linear", "kernel"])
def test_values_that_more_samples_would_hardly_change_carry_no_note(family: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)), np.arange(300) % 4
    noise = rng.normal(size=(300, 8))
    for z in (x, x + noise, noise, np.eye(4)[y] + 0.5 * noise[:, :4], 10 * y[:, None] + noise):
        assert [one.note for one in estimate(family, z, x, y)] == ["", ""]


def test_a_fall_is_far_by_the_value_or_by_what_is_known() -> None:
    one_unit_of_5000, images = Limit(0.755, 0.04, 0.926, 0.01), Limit(0.162, 0.01, 0.28, 0.003)
    assert one_unit_of_5000.note(0.8406, 1.0).startswith(FEW) and images.note(0.221, 1.0) == ""


def test_ordinary_images_carry_hardly_a_note() -> None:
    images = load_digits()
    x, y, rng = images.data[:256] / 16, images.target[:256], np.random.default_rng(0)
    noted = []
    for width in (16, 32, 64, 128):
        z = np.maximum(x @ rng.normal(size=(64, width)) / 8, 0)
        noted += [bool(one.note) for one in estimate("linear", z, x, y)]
    assert sum(noted) <= 1


def test_heavy_tails_are_told_where_one_sample_is_much_of_the_variance() -> None:
    rng = np.random.default_rng(101)
    x = rng.standard_t(2.5, size=(1000, 1))
    noise, y = rng.normal(size=(1000, 1)), np.arange(1000) % 2
    zx, zy = estimate("linear", x + noise, x, y)
    assert "of X's variance" in zx.note and zy.note == ""
    assert all(estimate("linear", noise + one, one, y)[0].note == "" for one in (noise, rng.standard_t(8, (1000, 1))))

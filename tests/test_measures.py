"""Every measure family against known truths, and against activations that cannot be measured."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from infoplane import registry
from infoplane.charts.tolerances import tolerance
from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import prepare
from infoplane.measures.truths import Truth, all_truths

CPU = torch.device("cpu")
FAMILIES = ("linear", "kernel")


def estimate(
    family: str, z: np.ndarray, x: np.ndarray, y: np.ndarray, dtype: torch.dtype = torch.float32, **options: Any
) -> dict[str, Estimate]:
    module = registry.load("measure", family)
    found = module.estimate(torch.as_tensor(z).to(dtype), prepare(x, y, CPU), module.Options(**options))
    return {one.measure: one for one in found}


@cache
def draw(n: int = 200, d: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z that knows a part of X and Y."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), np.arange(n) % 4
    z = np.concatenate([x[:, :3] + 0.5 * rng.normal(size=(n, 3)), np.eye(4)[y] + rng.normal(size=(n, 4))], axis=1)
    return z, x, y


TRUTHS = {truth.name: truth for truth in all_truths()}

DRAWN = [
    ("zx", "linear-Gaussian, d = 1, SNR 4"),
    ("zx", "linear-Gaussian, d = 8, SNR 1"),
    ("zx", "linear-Gaussian, d = 64, SNR 1"),
    ("zx", "correlated Gaussians, d = 1, 5 nats"),
    ("zx", "sign channel"),
    ("zx", "Z = X, d = 8"),
    ("zx", "independent noise, d = 8"),
    ("zx", "independent noise, d = 4000"),
    ("zy", "independent noise, d = 8"),
    ("zy", "independent noise, d = 4000"),
    ("zy", "confused corners"),
    ("zy", "4 Gaussian classes, d = 4"),
    ("zy", "10 Gaussian classes, d = 10"),
    ("zy", "10 Gaussian classes, d = 10, labels permuted"),
    ("zy", "exclusive or of two bits"),
]
"""A part of the accuracy table, so that a change that spoils an estimator fails here."""


def off(truth: Truth, measure: str, value: float, sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    """How far from the truth, or from what the best decoder scores on this very sample, whichever is nearer."""
    best = truth.optimal(*sample) if truth.optimal else {}
    return min(abs(value - known) for known in (truth.values[measure], best.get(measure, math.inf)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("measure", "name"), DRAWN)
def test_truths(family: str, measure: str, name: str) -> None:
    truth = TRUTHS[name]
    certain = name.startswith(("Z = X", "independent", "confused")) or name.endswith("permuted")
    errors = []
    for seed in range(1 if certain else 3):
        sample = truth.draw(np.random.default_rng(seed), 1000)
        one = estimate(family, *sample)[measure]
        assert one.value is not None and one.stderr is not None
        # A left-out value lies below the truth by chance only, whatever the family.
        assert one.value > truth.values[measure] - 4 * one.stderr - 0.005
        assert "too few samples" not in one.note
        errors.append(off(truth, measure, one.value, sample))
    if measure in truth.linear or family == "kernel":
        assert np.median(errors) < tolerance(measure, name, family).limit


def test_the_kernel_sees_what_a_linear_decoder_cannot() -> None:
    sample = TRUTHS["exclusive or of two bits"].draw(np.random.default_rng(0), 400)
    assert (estimate("linear", *sample)["zy"].value or 0) > 0.65
    assert (estimate("kernel", *sample)["zy"].value or 9) < 0.45


@pytest.mark.parametrize("family", FAMILIES)
def test_diagnostics(family: str) -> None:
    z, x, y = draw()
    z = np.concatenate([z, np.full((len(z), 2), 3.0)], axis=1)
    zx, zy = (estimate(family, z, x, y)[measure] for measure in ("zx", "zy"))
    assert (zx.unit, zx.reference, zy.unit) == ("nmse", 1.0, "nats")
    assert math.isclose(zy.reference or 0, math.log(4))
    for one in (zx, zy):
        assert (one.n, one.d, one.constant_features, one.note) == (200, 9, 2, "")
        assert one.value is not None and 0 < one.value < (one.reference or 0)
        assert one.stderr is not None and 0 < one.stderr < 0.2


@pytest.mark.parametrize("family", FAMILIES)
def test_values_do_not_depend_on_units_order_or_shape(family: str) -> None:
    z, x, y = draw()
    plain = estimate(family, z, x, y, torch.float64)
    rng = np.random.default_rng(1)
    columns = rng.permutation(z.shape[1])
    scaled = (z * 10.0 ** rng.integers(-3, 4, z.shape[1]) + rng.normal(size=z.shape[1]))[:, columns]
    other = estimate(family, scaled.reshape(len(z), 7, 1, 1), 3 * x - 1, y + 5, torch.float64)
    for measure, one in plain.items():
        assert math.isclose(one.value or 0, other[measure].value or 1, rel_tol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_same_input_same_bits(family: str) -> None:
    assert estimate(family, *draw()) == estimate(family, *draw())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e6])
def test_activations_that_are_not_finite_have_no_value(family: str, bad: float) -> None:
    z, x, y = draw()
    z = z.copy()
    z[17, 2] = bad  # 1e6 overflows float16
    for one in estimate(family, z, x, y, torch.float16).values():
        assert one.value is None and one.stderr is None and one.note == "non-finite"


@pytest.mark.parametrize("family", FAMILIES)
def test_constant_activations_know_nothing(family: str) -> None:
    z, x, y = draw()
    for one in estimate(family, np.full_like(z, 0.5), x, y).values():
        assert one.value == one.reference and one.note == "constant" and one.constant_features == one.d


@pytest.mark.parametrize("family", FAMILIES)
def test_one_class_only(family: str) -> None:
    z, x, y = draw()
    found = estimate(family, z, x, np.full_like(y, 3))
    assert found["zy"].value == 0.0 and found["zy"].reference == 0.0 and found["zy"].note == "one class only"
    assert found["zx"].value is not None and found["zx"].note == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_constant_input_has_no_zx(family: str) -> None:
    z, x, y = draw()
    found = estimate(family, z, np.ones_like(x), y)
    assert found["zx"].value is None and found["zx"].note == "constant input"
    assert found["zy"].value is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_with_one_sample_is_never_left_out(family: str) -> None:
    z, x, y = draw()
    rare = np.where(np.arange(len(y)) == 11, 9, y)
    zy = estimate(family, z, x, rare)["zy"]
    assert zy.value is not None and math.isfinite(zy.value) and zy.value < 1.4
    assert zy.note == "alone in their class and never left out: 1"


@pytest.mark.parametrize("family", [*FAMILIES, "neural"])
def test_labels_that_are_no_classes_are_refused(family: str) -> None:
    z, x, _ = draw(40)
    for labels, judged in ((np.arange(40), 0), (np.r_[np.arange(37), 36, 36, 36], 4)):
        with pytest.raises(UserError, match=f"only {judged} of 40 samples share their label"):
            estimate(family, z, x, labels)
    few = np.r_[np.arange(34), [34] * 6]  # enough for five folds of the whole, not of halves
    found = estimate("linear", z, x, few)
    assert found["zx"].value is not None and found["zx"].extrapolated is None and found["zy"].value is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_more_folds_than_samples(family: str) -> None:
    z, x, y = draw()
    with pytest.raises(UserError, match="30 cross-validation folds cannot be made of 20 samples"):
        estimate(family, z[:20], x[:20], y[:20], folds=30)


@pytest.mark.parametrize("family", FAMILIES)
def test_duplicate_rows_and_few_distinct_points(family: str) -> None:
    _, x, y = draw()
    found = estimate(family, np.eye(4)[y], x, y)
    assert found["zx"].value is not None and found["zx"].value > 0.95
    assert found["zy"].value is not None and found["zy"].value < 0.02


@pytest.mark.parametrize("family", FAMILIES)
def test_options_are_checked(family: str) -> None:
    module = registry.load("measure", family)
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        module.Options(folds=1)
    with pytest.raises(ValueError, match="ridges must rise"):
        module.Options(weakest_ridge=10.0, strongest_ridge=1.0)
    assert registry.options_class("measure", family)() == registry.options_class("measure", family)()


def test_kernel_options_are_checked() -> None:
    options = registry.load("measure", "kernel").Options
    for wrong in ((), (4.0, 1.0), (0.0, 1.0)):
        with pytest.raises(ValueError, match="bandwidths must rise from above 0"):
            options(bandwidths=wrong)
    with pytest.raises(ValueError, match="screen"):
        options(screen=3)
    with pytest.raises(ValueError, match="finalists"):
        options(finalists=0)


def test_screening_costs_little() -> None:
    z, x, y = TRUTHS["sign channel"].draw(np.random.default_rng(2), 400)
    screened = estimate("kernel", z, x, y)["zx"]
    everything = estimate("kernel", z, x, y, screen=400, finalists=9)["zx"]
    assert (everything.value or 9) <= (screened.value or 0) <= 1.02 * (everything.value or 0)


def test_bandwidth_at_the_narrow_end_is_an_edge() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 1, (300, 1))
    found = estimate("kernel", t, np.sin(40 * t), np.arange(300) % 2, bandwidths=[4.0, 16.0])["zx"]
    assert found.bandwidth == 4.0 and "bandwidth:low" in found.edge

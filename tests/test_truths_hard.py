"""True values of the hard cases by a second way: inverses written out, Monte Carlo, and quadrature against counting."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import expon, gamma
from truth_samples import draw, gaussian_information, log_normal

from infoplane.measures.truths import Truth
from infoplane.measures.truths.channels import sign_channel
from infoplane.measures.truths.classes import noisy_classes, on_a_grid
from infoplane.measures.truths.controls import repeated_rows
from infoplane.measures.truths.gaussian import correlated, linear_gaussian
from infoplane.measures.truths.hard import (
    circle,
    cubes,
    gamma_exponential,
    heavy_tailed,
    heavy_tails,
    one_unit,
)
from infoplane.measures.truths.reversible import backward, reversible_digits
from infoplane.measures.truths.transforms import affine


def test_steep_and_jumping_inverses_lose_nothing() -> None:
    z, x, _ = draw(cubes(8), 1000)
    assert np.allclose(np.cbrt(z), x) and cubes(8).values == {"zx": 0.0}
    z, x, _ = draw(circle(), 1000)
    assert np.allclose(np.arctan2(z[:, 1], z[:, 0]), x[:, 0]) and circle().values == {"zx": 0.0}


def test_heavy_tails() -> None:
    truth = heavy_tails()
    z, x, _ = draw(truth)
    # the variance of a sample of such tails is no stable unit: in units of the true one, 5
    left = np.mean((x - heavy_tailed().decode(z)) ** 2) / 5
    assert left == pytest.approx(truth.values["zx"], abs=0.002)
    by_cells = x[np.argsort(z[:, 0]), 0].reshape(20_000, 10).var(1, ddof=1)
    assert np.median(by_cells) < 1 and np.mean(by_cells[2000:-2000]) == pytest.approx(
        np.mean(((x - heavy_tailed().decode(z)) ** 2)[np.argsort(z[:, 0])][20_000:-20_000]), rel=0.02
    )
    assert abs(heavy_tailed().decode(np.array([[1e6]])) - 1e6) < 1e-3
    z, x, _ = truth.draw(np.random.default_rng(101), 1000)
    assert truth.optimal and truth.optimal(z, x, np.zeros(1000))["zx"] == pytest.approx(0.139, abs=0.001)


def test_gamma_exponential() -> None:
    truth = gamma_exponential(0.3)
    z, x, _ = draw(truth)
    log_z = math.log(0.3) - 1.3 * np.log1p(z)
    assert (expon.logpdf(z, scale=1 / x) - log_z).mean() == pytest.approx(truth.values["ixz"], abs=0.02)
    # the density of Z is the mixture of exponentials over X
    assert expon.pdf(2.0, scale=1 / gamma.rvs(0.3, size=200_000, random_state=0)).mean() == pytest.approx(
        0.3 * 3**-1.3, rel=0.02
    )


def test_one_unit_of_many() -> None:
    truth = one_unit(d=5)
    z, x, _ = draw(truth)
    residual = x - z @ np.linalg.lstsq(z, x, rcond=None)[0]
    assert residual.var() / x.var() == pytest.approx(truth.values["zx"], rel=0.02)
    assert gaussian_information(x, z[:, :1]) == pytest.approx(truth.values["ixz"], abs=0.02)


@pytest.mark.parametrize(("classes", "apart", "axes"), [(10, 1000, 1), (5, 6, 1), (5, 1.5, 1), (10, 2.5, 2)])
def test_classes_on_a_line_and_on_a_grid(classes: int, apart: float, axes: int) -> None:
    truth = on_a_grid(classes, 3, apart, axes)
    z, x, y = draw(truth, 50_000)
    assert np.ptp(np.bincount(y)) == 0 and np.array_equal(z, x)
    centres = np.zeros((classes**axes, 3))
    for axis in range(axes):
        centres[:, axis] = apart * (np.arange(classes**axes) // classes**axis % classes)
    log_each = np.stack([log_normal(z, centre, 1.0) for centre in centres], axis=1)
    losses = logsumexp(log_each, axis=1) - log_each[np.arange(len(y)), y]
    assert losses.mean() == pytest.approx(truth.values["zy"], abs=0.012)
    assert truth.values["izy"] == pytest.approx(axes * math.log(classes) - truth.values["zy"])


def test_digits_come_back_from_the_reversible_network() -> None:
    z, x, y = draw(reversible_digits(), 300)
    stored = z.astype(np.float32)
    assert np.abs(backward(stored, 12) - x).max() < 1e-5
    assert len(np.unique(x, axis=0)) == 300 and set(y) == set(range(10))
    ones = np.hstack([z, np.ones((300, 1))])
    residual = x - ones @ np.linalg.lstsq(ones, x, rcond=None)[0]
    assert residual.var() > 0.02 * x.var(), "a linear decoder cannot undo it"


def test_every_row_comes_twice() -> None:
    z, x, y = draw(repeated_rows(), 400)
    both, counts = np.unique(np.hstack([z, x, y[:, None]]), axis=0, return_counts=True)
    assert len(both) == 200 and set(counts) == {2}
    assert np.abs(np.corrcoef(z.T, x.T)[:8, 8:]).max() < 0.25


@pytest.mark.parametrize("base", [linear_gaussian(8), correlated(2, 1), sign_channel(), noisy_classes()])
def test_other_units_change_the_samples_and_no_value(base: Truth) -> None:
    moved = affine(base)
    z, x, _ = draw(moved, 500)
    plain = draw(base, 500)
    assert np.allclose((z - 10) * 1e3, plain[0], atol=1e-8) and np.allclose((x + 1e9) * 1e-3, plain[1], atol=1e-8)
    assert moved.values == base.values
    # float32, as activations are stored, keeps them apart
    assert len(np.unique(z[:, 0].astype(np.float32))) > 450

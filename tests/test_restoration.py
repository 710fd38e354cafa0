"""Restoration: PSNR and SSIM against closed forms and brute force, and what it refuses."""

import math

import numpy as np
import pytest
import torch

from infoplane.options import Field, Fields, label
from infoplane.tasks import restoration

OPTIONS = restoration.Options(ssim_window=7)


def pictures(*shape: int, **changes: str) -> Field:
    return Field(shape, "chw", "float32", scale="none", **changes)


def test_losses_by_hand() -> None:
    of, output = {"y": torch.zeros(1, 1, 2, 2)}, torch.tensor([[[[0.0, 0.2], [-0.4, 0.6]]]])
    for loss, expected in (("l1", 0.3), ("mse", 0.14)):
        found = restoration.losses(output, of, restoration.Options(loss=loss))
        torch.testing.assert_close(found, torch.tensor([expected]))


def test_psnr_by_hand() -> None:
    wanted = torch.full((3, 2, 8, 8), 0.5)
    output = wanted + torch.tensor([0.1, -0.01, 0.0]).view(3, 1, 1, 1)
    found = restoration.scores(output, {"y": wanted}, OPTIONS)["psnr"]
    torch.testing.assert_close(found, torch.tensor([20.0, 40.0, 100.0]), rtol=1e-4, atol=0)


def test_an_answer_is_judged_as_it_would_be_shown() -> None:
    black_and_white = {"y": torch.tensor([0.0, 1.0]).repeat(32).view(1, 1, 8, 8)}
    beyond = 5 * black_and_white["y"] - 2
    found = restoration.scores(beyond, black_and_white, OPTIONS)
    assert float(found["psnr"]) == 100 and float(found["ssim"]) == pytest.approx(1)


def test_ssim_of_even_pictures_by_its_formula() -> None:
    """Without variances only the term of the means is left: (2ab + C) / (a^2 + b^2 + C), C = 0.01^2."""
    a, b = torch.full((1, 1, 9, 9), 0.3), torch.full((1, 1, 9, 9), 0.5)
    expected = (2 * 0.15 + 1e-4) / (0.09 + 0.25 + 1e-4)
    assert float(restoration.scores(a, {"y": b}, OPTIONS)["ssim"]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("window", [3, 7, 11])
def test_ssim_window_by_window(window: int) -> None:
    """Equation 13 of Wang et al. at every place where the window fits, in float64, channel by channel."""
    random = np.random.default_rng(0)
    a, b = random.uniform(size=(2, 3, 2, 12, 13))
    line = np.exp(-((np.arange(window) - window // 2) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    expected = np.empty((3, 2, 13 - window, 14 - window))
    for n, c, row, column in np.ndindex(expected.shape):
        p, q = (one[n, c, row : row + window, column : column + window] for one in (a, b))
        p_mean, q_mean = (weights * p).sum(), (weights * q).sum()
        p_var, q_var = (weights * (p - p_mean) ** 2).sum(), (weights * (q - q_mean) ** 2).sum()
        both = (weights * (p - p_mean) * (q - q_mean)).sum()
        means = (2 * p_mean * q_mean + 1e-4) / (p_mean**2 + q_mean**2 + 1e-4)
        expected[n, c, row, column] = means * (2 * both + 9e-4) / (p_var + q_var + 9e-4)
    of = {"y": torch.tensor(b, dtype=torch.float32)}
    options = restoration.Options(ssim_window=window)
    found = restoration.scores(torch.tensor(a, dtype=torch.float32), of, options)["ssim"]
    np.testing.assert_allclose(found.numpy(), expected.mean((1, 2, 3)), atol=1e-5)


def test_the_trivial_answer_is_the_picture_and_of_a_smaller_one_its_interpolation() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) / 8
    assert torch.equal(restoration.trivial({}, {"x": ramp, "y": torch.zeros(1, 1, 8, 8)}, OPTIONS), ramp)
    larger = restoration.trivial({}, {"x": ramp, "y": torch.zeros(1, 1, 16, 16)}, OPTIONS)
    steps = larger[0, 0, 0].diff()[4:-4]
    assert larger.shape == (1, 1, 16, 16) and torch.allclose(steps, torch.full_like(steps, 1 / 16), atol=1e-6)


GOOD: Fields = {"x": pictures(1, 8, 8), "y": pictures(1, 16, 16)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": label(3)}, "'y' is one of 3 classes: a restoration needs pictures, channels x height x width"),
        ({"x": Field((8,), "d", "float32", scale="none")}, r"'x' is 8 \(features\): a restoration needs pictures"),
        ({"x": Field((1, 8, 8), "chw", "uint8")}, "'x' has the scale per_channel: .* with the scale none, from 0 to 1"),
        ({"x": pictures(3, 8, 8)}, "'x' has 3 channels and 'y' 1: a restoration needs as many"),
        ({"y": pictures(1, 16, 9)}, "ssim_window is 11 pixels, and the shorter side of 'y' has 9"),
    ],
)
def test_data_that_do_not_fit(changed: Fields, said: str) -> None:
    restoration.Options().check(GOOD)
    with pytest.raises(ValueError, match=said):
        restoration.Options().check(GOOD | changed)


@pytest.mark.parametrize("options", [{"loss": "l2"}, {"ssim_window": 8}, {"ssim_window": 1}])
def test_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be (l1 or mse|odd and at least 3), got"):
        restoration.Options(**options)  # type: ignore[arg-type]


def test_what_is_declared_of_the_metrics() -> None:
    psnr, ssim = restoration.Options().metrics(GOOD)
    assert psnr.is_learned(20.2, 20) and not psnr.is_learned(20.05, 20) and psnr.written(20) == "20 dB"
    assert math.isclose(ssim.high or 0, 1) and ssim.axis == "SSIM" and psnr.axis == "PSNR (dB)"

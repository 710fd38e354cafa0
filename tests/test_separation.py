"""Separation: SI-SDR against values computed by hand, its two invariances, and what is refused."""

import math

import pytest
import torch
from torch import Tensor

from infoplane.options import Field, Fields, label
from infoplane.tasks import separation
from infoplane.tasks.separation import best_order, si_sdr

OPTIONS = separation.Options()
FIRST, SECOND = torch.tensor([1.0, -1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, -1.0])
"""Two sources of mean 0 without anything in common."""


def sound(*shape: int) -> Field:
    return Field(shape, "ct", "float32")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_si_sdr_by_hand() -> None:
    """Of source + share x something else of the same energy: 20 log10 of 1 / share."""
    for share, expected in ((1.0, 0.0), (0.5, 6.0206), (0.1, 20.0), (10.0, -20.0)):
        assert float(si_sdr(FIRST + share * SECOND, FIRST)) == pytest.approx(expected, abs=1e-3)


def test_si_sdr_by_the_formula_of_the_paper() -> None:
    estimate, source = drawn(5, 50).double(), drawn(5, 50, seed=1).double()
    estimate, source = (one - one.mean(1, keepdim=True) for one in (estimate + source, source))
    scale = (estimate * source).sum(1) / source.square().sum(1)
    target = scale[:, None] * source
    expected = 10 * (target.square().sum(1) / (target - estimate).square().sum(1)).log10()
    torch.testing.assert_close(si_sdr(estimate, source), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-3, 7.0, -1.0, 1e4])
def test_neither_the_scale_nor_an_offset_changes_it(factor: float) -> None:
    source, estimate = drawn(4, 60), drawn(4, 60) + 0.3 * drawn(4, 60, seed=1)
    expected = si_sdr(estimate, source)
    torch.testing.assert_close(si_sdr(factor * estimate, source), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(si_sdr(estimate, factor * source + 3), expected, rtol=1e-3, atol=1e-3)


def test_silence_and_the_source_itself_have_the_worst_and_the_best_value() -> None:
    assert float(si_sdr(FIRST, FIRST)) == pytest.approx(80, abs=0.1)
    silence = torch.zeros(4, requires_grad=True)
    value = si_sdr(silence, FIRST)
    value.backward()
    assert value.item() == pytest.approx(-80) == float(si_sdr(FIRST, torch.zeros(4)))
    assert silence.grad is not None and bool(torch.isfinite(silence.grad).all())


@pytest.mark.parametrize("sources", [2, 3, 4])
def test_the_order_of_the_answers_does_not_matter(sources: int) -> None:
    wanted = drawn(6, sources, 40)
    answers = wanted + 0.5 * drawn(6, sources, 40, seed=1)
    in_order = si_sdr(answers, wanted).mean(1)
    for order in ([*range(1, sources), 0], [*reversed(range(sources))]):
        torch.testing.assert_close(best_order(answers[:, order], wanted), in_order)
    torch.testing.assert_close(separation.losses(answers, {"y": wanted}, OPTIONS), -in_order)


def test_every_sample_has_an_order_of_its_own() -> None:
    wanted = torch.stack([FIRST, SECOND]).expand(2, 2, 4)
    answers = torch.stack([wanted[0], wanted[1].flip(0)]) + 0.1 * torch.stack([SECOND, FIRST])
    expected = si_sdr(FIRST + 0.1 * SECOND, FIRST)
    assert best_order(answers, wanted)[0] == pytest.approx(float(expected), abs=1e-3)
    assert best_order(wanted.flip(1), wanted).tolist() == pytest.approx([80, 80], abs=0.1)


def test_improvement_over_the_mixture_by_hand() -> None:
    wanted = torch.stack([FIRST, SECOND])[None]
    of = {"x": (FIRST + SECOND)[None, None], "y": wanted}
    answers = torch.stack([SECOND + 0.1 * FIRST, FIRST + 0.1 * SECOND])[None]
    found = separation.scores(answers, of, OPTIONS)
    assert float(found["si_sdr"]) == pytest.approx(20, abs=1e-3)  # the mixture has 0 dB of either source
    assert float(found["si_sdr_improvement"]) == pytest.approx(20, abs=1e-3)
    nothing = separation.scores(separation.trivial({}, of, OPTIONS), of, OPTIONS)
    assert float(nothing["si_sdr_improvement"]) == pytest.approx(0, abs=1e-5)


def test_the_gradient_leads_to_the_sources() -> None:
    wanted = drawn(3, 2, 30)
    answers = drawn(3, 2, 30, seed=1).requires_grad_()
    optimizer = torch.optim.Adam([answers], 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        separation.losses(answers, {"y": wanted}, OPTIONS).sum().backward()
        optimizer.step()
    assert best_order(answers, wanted).min().item() > 20


GOOD: Fields = {"x": sound(1, 40), "y": sound(2, 40)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": label(3)}, "'y' is one of 3 classes: a separation needs sound, channels x time"),
        ({"x": Field((40,), "d", "float32")}, r"'x' is 40 \(features\): a separation needs sound"),
        ({"y": sound(1, 40)}, "'y' has 1 channels: a separation needs 2 to 4, one for each source"),
        ({"y": sound(5, 40)}, "'y' has 5 channels"),
        ({"x": sound(2, 40)}, "'x' has 2 channels of 40 samples: a separation needs one, as long as the sources"),
        ({"x": sound(1, 50)}, "'x' has 1 channels of 50 samples: .* in 'y', 40"),
    ],
)
def test_data_that_do_not_fit(changed: Fields, said: str) -> None:
    OPTIONS.check(GOOD)
    with pytest.raises(ValueError, match=said):
        OPTIONS.check(GOOD | changed)


def test_what_is_declared_of_the_metrics() -> None:
    gain, _ = OPTIONS.metrics(GOOD)
    assert gain.is_learned(0.6, 0) and not gain.is_learned(0.4, 0)
    assert OPTIONS.loss_unit == "dB" and math.isclose(gain.margin, 0.5)

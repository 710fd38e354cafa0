"""Representation health: each number against data of which it is known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import training
from fitting import CLASSIFICATION
from torch import Tensor

from infoplane.activations.dump import dump
from infoplane.measures.families import health as family
from infoplane.measures.health import (
    active_share,
    alignment,
    cantelli_bound,
    centred_products,
    channels,
    effective_rank,
    intensity,
    largest_share,
    largest_step,
    last_to_max,
    matrix_entropy,
    mean_and_variance,
    mean_cosine,
    mean_share,
    participation_ratio,
    predicted_survivors,
    response_range,
    spatial_deviation,
    spectrum,
    surviving_share,
)
from infoplane.measures.subject import Measured, Subject
from infoplane.specs import ActivationsSpec, Plugin, TrainSpec
from infoplane.training.run import train

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


# Neurons


def test_half_of_all_neurons_survive_a_mean_of_zero() -> None:
    assert surviving_share(normal(2000, 30)) == pytest.approx(0.5, abs=0.01)
    assert surviving_share(torch.tensor([[1.0, 0.0, -2.0, 3.0]])) == 0.5


def test_a_unit_that_never_changes_is_not_active() -> None:
    z = torch.relu(normal(50, 10)).half()
    z[:, 2], z[:, 7] = 0, 3
    assert active_share(z) == pytest.approx(0.8)
    assert active_share(torch.full((50, 4), 2.5)) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.5, 2.0])
def test_the_bound_holds_for_whatever_distribution(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    for draw in (rng.normal(size=(200, 5)), rng.standard_t(1.5, size=(200, 5)), rng.exponential(size=(200, 5)) - 1):
        z = torch.from_numpy(draw + shift)
        assert cantelli_bound(*mean_and_variance(z)) <= surviving_share(z)


def test_the_bound_is_met_by_two_points_and_is_nothing_without_a_mean() -> None:
    p = 0.2  # 1 with probability p, else just below 0: Cantelli's extreme case
    z = torch.tensor([1.0] * 20 + [-1e-12] * 80).double()[:, None]
    assert cantelli_bound(*mean_and_variance(z)) == pytest.approx(p) and surviving_share(z) == p
    assert cantelli_bound(0.0, 1.0) == cantelli_bound(-3.0, 1.0) == predicted_survivors(0.0, 2.0) == 0
    assert predicted_survivors(1.0, 1.0) == 0.25 and predicted_survivors(2.0, 0.0) == 1


# Intensity


@pytest.mark.parametrize("shape", [(40, 3, 5, 4), (40, 20, 3), (40, 3)])
def test_moments_of_channels(shape: tuple[int, ...]) -> None:
    scale, shift = torch.tensor([1.0, 2.0, 5.0]).double(), torch.tensor([0.0, -4.0, 1.0]).double()
    flat = (-1, 1, 1) if len(shape) == 4 else (-1,)
    z = normal(*shape) * scale.view(flat) + shift.view(flat)
    values = z.movedim(1, -1).reshape(-1, 3) if len(shape) == 4 else z.reshape(-1, 3)
    mean, variance = channels(z)
    torch.testing.assert_close(mean, values.mean(0))
    torch.testing.assert_close(variance, values.var(0, correction=0))
    assert mean_and_variance(z) == pytest.approx((float(z.mean()), float(z.var(correction=0))))


def test_large_means_in_half_precision_lose_no_digits() -> None:
    z = (torch.arange(4096).view(2048, 2) % 2 * 2 + 1000.0).half()
    assert channels(z)[0].tolist() == [1000.0, 1002.0] and mean_and_variance(z) == pytest.approx((1001, 1))


def test_deviation_over_space_alone() -> None:
    ramp = torch.arange(4.0).expand(10, 3, 2, 4) + 100 * normal(10, 3, 1, 1)
    assert spatial_deviation(ramp) == pytest.approx(math.sqrt(1.25))
    assert spatial_deviation(torch.arange(4.0)[:, None].expand(10, 4, 6)) == pytest.approx(math.sqrt(1.25))
    assert spatial_deviation(normal(10, 6)) is None


def test_intensity_and_range() -> None:
    z = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
    assert intensity(z) == 1.5 and response_range(z) == 3


def test_cosine_of_two_activations() -> None:
    z = normal(50, 3, 4)
    assert mean_cosine(z, 3 * z) == pytest.approx(1) and mean_cosine(z, -z) == pytest.approx(-1)
    one, other = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    assert mean_cosine(one, other) == pytest.approx(0.5)
    zero = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert mean_cosine(zero, torch.ones(2, 2)) == pytest.approx(math.sqrt(0.5)), "a sample of zeros has no angle"
    assert mean_cosine(z, 0 * z) is None


def test_a_sum_is_compared_with_the_sum_before_it(subject: Subject) -> None:
    found = list(family.survey(subject, family.Options()))
    one, two = (next(s for s in subject.sites if (s.name, s.part) == (name, "z")) for name in ("block1", "block2"))
    angle = mean_cosine(subject.read(0, one), subject.read(0, two))
    assert value(found, "block2", "cosine_before") == pytest.approx(angle) and angle is not None and 0 < angle < 1
    having = {(m.site, m.part) for m in found for e in m.estimates if e.measure == "cosine_before"}
    assert having == {("block1", "z"), ("block2", "z")}, "not the stem, no shortcut or branch, nothing of another shape"


def test_intensity_over_depth() -> None:
    assert last_to_max([1, 4, 2]) == 0.5 and last_to_max([1, 2, 3]) == 1 and last_to_max([0, 0]) is None
    assert largest_step([1, 2, 3, 0.5]) == (pytest.approx(1 / 6), 3)
    assert largest_step([1, 5, 6]) == (5, 1)
    assert largest_step([1]) is None and largest_step([1, 0]) is None


# Rank and alignment


def test_rank_of_isotropic_data_is_their_dimension() -> None:
    values = spectrum(normal(4000, 10))
    assert effective_rank(values) == pytest.approx(10, abs=0.02)
    assert participation_ratio(values) == pytest.approx(10, abs=0.1)


def test_rank_of_a_line_is_one() -> None:
    line = normal(50, 1) @ normal(1, 70) + 5
    values = spectrum(line)
    assert effective_rank(values) == pytest.approx(1) and participation_ratio(values) == pytest.approx(1)
    nothing = spectrum(torch.ones(50, 7))
    assert effective_rank(nothing) == participation_ratio(nothing) == 0


@pytest.mark.parametrize("shape", [(30, 4, 2, 3), (30, 5), (12, 30)])
def test_the_spectrum_is_that_of_the_singular_values(shape: tuple[int, ...]) -> None:
    z = normal(*shape) + 3
    flat = z.flatten(1)
    expected = torch.linalg.svdvals(flat - flat.mean(0)).square().flip(0)
    for found in (spectrum(z), spectrum(z, centred_products(z))):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_rank_by_hand() -> None:
    values = torch.tensor([0.0, 1.0, 4.0]).double()  # singular values 1 and 2: shares 1/3 and 2/3
    assert effective_rank(values) == pytest.approx(math.exp(math.log(3) - 2 / 3 * math.log(2)))
    assert participation_ratio(values) == pytest.approx(25 / 17)
    assert matrix_entropy(values) == pytest.approx(math.log(5) - 0.8 * math.log(4))  # eigenvalues' shares 1/5 and 4/5
    assert largest_share(values) == pytest.approx(0.8)


def test_matrix_entropy_is_the_log_of_the_rank_where_all_eigenvalues_are_equal() -> None:
    orthogonal = torch.cat([torch.eye(7), -torch.eye(7)]).double()  # mean 0, seven equal directions
    values = spectrum(orthogonal)
    assert matrix_entropy(values) == pytest.approx(math.log(7)) and largest_share(values) == pytest.approx(1 / 7)
    nothing = spectrum(torch.ones(50, 7))
    assert matrix_entropy(nothing) == largest_share(nothing) == 0


def test_share_of_the_mean() -> None:
    z = torch.tensor([[3.0, 1.0], [3.0, -1.0]])  # mean (3, 0): 9 of a mean squared norm of 10
    assert mean_share(z) == pytest.approx(0.9)
    assert mean_share(torch.full((9, 4, 2, 3), -2.0)) == 1 and mean_share(torch.zeros(5, 3)) == 0
    assert mean_share(normal(4000, 50)) == pytest.approx(1 / 4000, abs=2e-4)


def test_rank_cannot_exceed_the_samples() -> None:
    assert 30 < effective_rank(spectrum(normal(40, 3000))) <= 39


@pytest.mark.parametrize("unbiased", [True, False])
def test_alignment_ignores_rotation_scale_and_shift(unbiased: bool) -> None:
    z = normal(60, 8)
    turned = 3 * z @ torch.linalg.qr(normal(8, 8, seed=1))[0] + 10
    assert alignment(centred_products(z), centred_products(turned), unbiased) == pytest.approx(1)
    uncentred = turned @ turned.T
    assert alignment(centred_products(z), uncentred, unbiased) == pytest.approx(1)


def test_alignment_of_what_is_independent() -> None:
    """The plain form is far from 0 where dimensions outnumber the samples, the unbiased one has the mean 0."""
    pairs = [[centred_products(normal(40, 400, seed=2 * i + j)) for j in (0, 1)] for i in range(20)]
    unbiased = [alignment(one, other) for one, other in pairs]
    assert abs(float(np.mean(unbiased))) < 4 * float(np.std(unbiased)) / math.sqrt(20)
    assert max(map(abs, unbiased)) < 0.1  # type: ignore[arg-type]
    assert min(alignment(one, other, unbiased=False) or 0 for one, other in pairs) > 0.85


def test_alignment_by_its_definition() -> None:
    """Plain: |Z'X|^2 / (|Z'Z| |X'X|) of centred features (Kornblith et al. 2019, equation 3)."""
    z, x = normal(30, 4), normal(30, 3, seed=1) + normal(30, 4)[:, :3]
    a, b = z - z.mean(0), x - x.mean(0)
    expected = (a.T @ b).square().sum() / ((a.T @ a).norm() * (b.T @ b).norm())
    assert alignment(centred_products(z), centred_products(x), unbiased=False) == pytest.approx(float(expected))


def test_alignment_needs_something_that_varies() -> None:
    z, same = centred_products(normal(20, 3)), torch.ones(20, 20).double()
    for unbiased in (True, False):
        assert alignment(z, same, unbiased) is None and alignment(torch.zeros_like(z), z, unbiased) is None
    assert alignment(z[:3, :3], z[:3, :3]) is None


# The family


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory, splits: dict[str, Path]) -> Subject:
    folder = tmp_path_factory.mktemp("health")
    network = Plugin("resnet", {"width": 4, "blocks": 2}), Plugin("identity")
    spec = TrainSpec(*network, Plugin("classification", CLASSIFICATION), training(steps=4, warmup=1), 0)
    train(spec, splits["train"], splits["validation"], folder / "c", folder / "h", folder / "state", CPU)
    dump(
        ActivationsSpec(["*"], "float16", {}, {}, 100, 0),
        folder / "c",
        splits["train"],
        splits["held_out"],
        folder / "a",
        CPU,
    )
    return Subject(splits["held_out"], CPU, folder / "a")


def value(found: list[Measured], site: str, measure: str, part: str = "z", step: int = 0) -> float | None:
    (measured,) = (m for m in found if (m.step, m.site, m.part) == (step, site, part))
    (estimate,) = (e for e in measured.estimates if e.measure == measure)
    return estimate.value


def test_every_site_of_a_run_and_its_depths(subject: Subject) -> None:
    found = list(family.survey(subject, family.Options()))
    assert {(m.site, m.part) for m in found} == {(s.name, s.part) for s in subject.sites} | {("network", "z")}
    stem = next(site for site in subject.sites if site.name == "stem")
    assert value(found, "stem", "intensity") == intensity(subject.read(0, stem))
    assert value(found, "stem", "spatial_deviation") is not None
    mean, variance = mean_and_variance(subject.read(0, stem))  # the shortcut of block1 is the stem
    assert value(found, "block1", "surviving_bound_predicted") == pytest.approx(mean**2 / (mean**2 + 3 * variance))
    ratio = intensities(found, "block2") / max(intensities(found, "block1"), intensities(found, "block2"))
    assert value(found, "network", "intensity_last_to_max") == pytest.approx(ratio)
    step = next(e for m in found for e in m.estimates if e.measure == "intensity_largest_step")
    assert json.loads(step.detail) == {"from": "block1", "to": "block2"}
    assert step.value == pytest.approx(intensities(found, "block2") / intensities(found, "block1"))


def intensities(found: list[Measured], site: str) -> float:
    known = value(found, site, "intensity")
    assert known is not None
    return known


def test_plain_alignment_is_another_number(subject: Subject) -> None:
    unbiased, plain = (list(family.survey(subject, family.Options(alignment=a))) for a in ("unbiased", "plain"))  # type: ignore[arg-type]
    assert value(unbiased, "stem", "cka_input") != value(plain, "stem", "cka_input")
    for found in (unbiased, plain):
        assert 0 < (value(found, "stem", "cka_input") or 0) < 1


@pytest.mark.parametrize("fill", [0.0, 7.0, math.nan, math.inf])
def test_dead_and_overflowed_activations(subject: Subject, fill: float, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Subject.read

    def spoilt(self: Subject, step: int, site: object) -> Tensor:
        z = honest(self, step, site)  # type: ignore[arg-type]
        return torch.full_like(z, fill) if site.name == "block2" and site.part == "z" else z  # type: ignore[attr-defined]

    monkeypatch.setattr(Subject, "read", spoilt)
    found = list(family.survey(subject, family.Options()))
    bad = next(m for m in found if (m.site, m.part) == ("block2", "z")).estimates
    if not math.isfinite(fill):
        own = [e for e in bad if e.measure != "surviving_bound_predicted"]
        assert {(e.value, e.note) for e in own} == {(None, "non-finite")}
        assert value(found, "network", "intensity_last_to_max") is None
        return
    assert value(found, "block2", "active_share") == value(found, "block2", "effective_rank") == 0
    assert value(found, "block2", "cka_input") == 0 and value(found, "block2", "intensity") == fill
    assert {e.note for e in bad if e.measure != "surviving_bound_predicted"} == {"constant"}
    if fill == 0:
        assert value(found, "network", "intensity_last_to_max") == 0
        assert value(found, "network", "intensity_largest_step") is None


def test_one_class_has_no_alignment_with_the_label() -> None:
    z, one_hot = normal(20, 3), torch.ones(20, 20).double()
    found = {e.measure: e for e in family._site(z, True, centred_products(z), one_hot, "one class only", True)}
    assert (found["cka_label"].value, found["cka_label"].note) == (None, "one class only")
    assert found["cka_input"].value == pytest.approx(1) and "spatial_deviation" not in found


def test_a_layer_without_a_shortcut_promises_no_survivors() -> None:
    estimate = family._predicted(normal(20, 3), None, {})
    assert (estimate.measure, estimate.value, estimate.note) == ("surviving_bound_predicted", 0.0, "no shortcut")

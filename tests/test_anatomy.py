"""Shortcut, branch and sum: planted relations between them, and counterfactuals against decoders that are refitted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import training
from fitting import CLASSIFICATION
from torch import Tensor

from infoplane.activations.dump import dump
from infoplane.errors import UserError
from infoplane.measures.anatomy import (
    branch_ratios,
    cosines,
    decoder_basis,
    is_sum,
    principal_basis,
    regression_coefficient,
    restrict,
    variance_shares,
)
from infoplane.measures.estimate import Estimate
from infoplane.measures.families import anatomy, linear
from infoplane.measures.subject import Subject
from infoplane.measures.targets import Targets, prepare
from infoplane.specs import ActivationsSpec, Plugin, TrainSpec
from infoplane.training.run import train

CPU = torch.device("cpu")
RIDGES = [10.0**exponent for exponent in range(3, -9, -1)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def targets_of(x: Tensor, classes: int = 2) -> Targets:
    return prepare(x.numpy(), np.arange(len(x)) % classes, CPU)


def told(s: Tensor, f: Tensor, targets: Targets, **options: object) -> dict[tuple[str, str], Estimate]:
    """(part, measure) -> what the family says of one addition."""
    found = list(anatomy.relations(s, f, s + f, targets, anatomy.Options(**options)))  # type: ignore[arg-type]
    assert len({(part, estimate.measure) for part, estimate in found}) == len(found)
    return {(part, estimate.measure): estimate for part, estimate in found}


# Geometry


def test_a_branch_that_cancels_half_of_the_shortcut() -> None:
    s = normal(50, 4, 3) + 2
    assert regression_coefficient(s, -0.5 * s) == pytest.approx(-0.5)
    assert torch.allclose(cosines(s, -0.5 * s), torch.full((50,), -1.0, dtype=torch.float64))
    assert torch.allclose(branch_ratios(s, -0.5 * s), torch.full((50,), 0.5, dtype=torch.float64))
    assert variance_shares(s, -0.5 * s) == pytest.approx((4, 1, -4))


def test_regression_and_shares_leave_the_means_out() -> None:
    s, noise = normal(2000, 5), normal(2000, 5, seed=1)
    f = -0.3 * s + 0.4 * noise + 7
    assert regression_coefficient(s, f) == pytest.approx(-0.3, abs=0.02)
    assert float(cosines(s, f).mean()) == pytest.approx(0, abs=0.05)
    shares = variance_shares(s, f)
    assert shares is not None and sum(shares) == pytest.approx(1)
    assert shares == pytest.approx((1 / 0.65, 0.25 / 0.65, -0.6 / 0.65), abs=0.05)


def test_what_is_not_there_has_no_relation() -> None:
    s = normal(20, 3)
    zero = torch.zeros_like(s)
    assert regression_coefficient(zero + 4, s) is None and regression_coefficient(s, zero) == 0
    assert len(cosines(s, zero)) == len(branch_ratios(zero, s)) == 0
    assert variance_shares(s, -s) is None and variance_shares(s, zero) == pytest.approx((1, 0, 0))


def test_a_sum_is_known_from_what_was_stored_in_half_precision() -> None:
    s, f = normal(40, 30).half(), normal(40, 30, seed=1).half()
    assert is_sum(s, f, (s.double() + f.double()).half())
    assert is_sum(s, f, torch.relu(s + f)) is False
    assert is_sum(s, f, s[:, :4]) is None


# The informative subspace


@pytest.mark.parametrize(("n", "d"), [(200, 12), (30, 100)])
def test_the_leading_components_hold_the_share_and_no_more(n: int, d: int) -> None:
    s = normal(n, d) * torch.linspace(5, 0.1, d, dtype=torch.float64)
    basis = principal_basis(s, 0.8)
    centred = s - s.mean(0)
    held = [float((centred @ basis[:, :k]).square().sum() / centred.square().sum()) for k in range(basis.shape[1] + 1)]
    assert held[-1] >= 0.8 > held[-2] and 1 < basis.shape[1] < min(n, d)
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
    assert principal_basis(s, 1.0).shape[1] == min(n - 1, d)
    assert principal_basis(torch.ones(20, 3), 0.9).shape == (3, 0)


def test_the_decoder_reads_the_directions_of_the_input_alone() -> None:
    """s holds 2 dimensions of X and, far larger, 6 of noise: components see the noise, the decoder the input."""
    x = normal(300, 2)
    s = torch.cat([x, 5 * normal(300, 6, seed=1)], 1)
    read = decoder_basis(s, targets_of(x).x_numbers.values, 0.95, RIDGES)
    assert read.shape == (8, 2) and float(read[:2].square().sum()) > 1.99
    seen = principal_basis(s, 0.9)
    assert float(seen[:2].square().sum()) < 0.05
    assert decoder_basis(torch.ones(300, 4), targets_of(x).x_numbers.values, 0.95, RIDGES).shape == (4, 0)


def test_what_lies_outside_a_subspace_is_nothing_not_rounding() -> None:
    basis = principal_basis(torch.cat([normal(50, 3), torch.zeros(50, 3)], 1), 1.0)
    outside = torch.cat([torch.zeros(50, 3), normal(50, 3)], 1) @ torch.linalg.qr(torch.eye(6).double())[0]
    assert bool((restrict(outside, basis) == 0).all())


def test_cancellation_inside_the_subspace_is_told_apart_from_writing_outside() -> None:
    s = torch.cat([normal(200, 3), torch.zeros(200, 40)], 1)
    f = torch.cat([-0.9 * s[:, :3], 3 * normal(200, 40, seed=1)], 1)
    found = told(s, f, targets_of(s[:, :3]), counterfactuals=False)
    assert found["f", "cosine"].value > -0.2
    assert found["f", "cosine_informative"].value == pytest.approx(-1)
    assert found["f", "regression_f_on_s_informative"].value == pytest.approx(-0.9)
    assert json.loads(found["f", "cosine_informative"].detail)["dimensions"] == 3


# Counterfactuals


def test_removing_the_cancelling_part_brings_the_input_back() -> None:
    """f = -0.97 s + noise: the shortcut tells X, the sum hardly does, and without the antiparallel part it does."""
    x = normal(300, 4)
    s = torch.cat([x, torch.zeros(300, 4)], 1)
    f = -0.97 * s + 0.2 * normal(300, 8, seed=1)
    found = told(s, f, targets_of(x))
    assert found["z", "zx_intact"].value > 0.8
    assert found["z", "zx_without_antiparallel_refitted"].value < 0.1
    assert found["z", "zx_branch_x0_refitted"].value < 0.001
    assert found["z", "zx_permuted_branch_refitted"].value < found["z", "zx_intact"].value


def test_an_uninformative_branch_may_be_permuted() -> None:
    x = normal(400, 4)
    s, f = x + 0.3 * normal(400, 4, seed=1), 0.5 * normal(400, 4, seed=2)
    found = told(s, f, targets_of(x), subspace="decoder")
    for how in ("fixed", "refitted"):
        for measure in ("zx", "zy"):
            before, after = found["z", f"{measure}_intact"], found["z", f"{measure}_permuted_branch_{how}"]
            assert after.value == pytest.approx(before.value, abs=4 * before.stderr + 1e-3)


def test_a_branch_that_the_decoder_relies_on_may_not() -> None:
    """s and f each hold half of X; labels are the sign of what f holds."""
    a, b = normal(400, 3), normal(400, 3, seed=1)
    x = torch.cat([a, b], 1)
    s, f = torch.cat([a, torch.zeros(400, 3)], 1), torch.cat([torch.zeros(400, 3), b], 1)
    targets = prepare(x.numpy(), (b[:, 0] > 0).long().numpy(), CPU)
    found = told(s, f, targets)
    assert found["z", "zx_intact"].value < 0.01 and found["z", "zy_intact"].value < 0.2
    assert found["z", "zx_permuted_branch_fixed"].value == pytest.approx(1, abs=0.15)  # half of X swapped for another's
    assert found["z", "zx_permuted_branch_refitted"].value == pytest.approx(0.5, abs=0.03)
    assert found["z", "zx_branch_x0_refitted"].value == pytest.approx(0.5, abs=0.03)
    assert found["z", "zy_branch_x0_refitted"].value == pytest.approx(np.log(2), abs=0.02)
    assert found["z", "zy_permuted_branch_fixed"].value > 2
    assert found["z", "zx_branch_x2_fixed"].value == pytest.approx(0.5, abs=0.08)
    assert found["z", "zx_branch_x2_refitted"].value < 0.01


# Bad input


def test_constants_overflows_and_one_class() -> None:
    x = normal(40, 3)
    s, f = normal(40, 6), torch.zeros(40, 6).double()
    found = told(s, f, targets_of(x))
    assert found["f", "branch_ratio"].value == 0 and found["f", "regression_f_on_s"].value == 0
    assert (found["f", "cosine"].value, found["f", "cosine"].note) == (None, "s or f is zero")
    assert found["z", "zx_branch_x2_fixed"].value == found["z", "zx_intact"].value
    found = told(torch.ones_like(s), f, targets_of(x))
    assert {round(e.value, 12) for (_, name), e in found.items() if name.startswith("zx")} == {1.0}
    assert (found["z", "zy_intact"].value, found["z", "zy_intact"].note) == (pytest.approx(np.log(2)), "constant")
    assert found["f", "regression_f_on_s"].note == "constant s" and found["f", "regression_f_on_s"].value is None
    found = told(s, -s, targets_of(x))
    assert found["z", "variance_share_s"].note == "constant sum" and found["z", "zx_branch_x2_fixed"].value == 1
    assert found["z", "zx_intact"].note == "constant" and found["z", "zx_branch_x0_refitted"].note == ""
    assert np.isfinite([estimate.value for estimate in found.values() if estimate.value is not None]).all()
    broken = s.half()
    broken[0, 0] = torch.inf
    found = told(broken, f.half(), targets_of(x))
    assert {(estimate.value, estimate.note) for estimate in found.values()} == {(None, "non-finite")}
    found = told(s, normal(40, 6, seed=1), targets_of(x, classes=1))
    assert (found["z", "zy_intact"].value, found["z", "zy_intact"].note) == (0.0, "one class only")


@pytest.mark.parametrize("d", [2, 300])
def test_more_dimensions_than_samples_and_duplicates(d: int) -> None:
    s = normal(20, d).repeat(2, 1)
    found = told(s, 0.1 * normal(40, d, seed=1), targets_of(normal(40, 3, seed=2)))
    for estimate in found.values():
        assert estimate.value is not None and np.isfinite(estimate.value)
    assert found["z", "zx_intact"].value == pytest.approx(1, abs=0.15)


def test_shapes_and_projections_that_do_not_fit_together() -> None:
    targets = targets_of(normal(40, 3))
    s, f = normal(40, 6), normal(40, 5)
    found = [estimate for _, estimate in anatomy.relations(s, f, f, targets, anatomy.Options())]
    assert all(estimate.value is None and "[6] and [5]" in estimate.note for estimate in found)
    found = [estimate for _, estimate in anatomy.relations(s, s, s, targets, anatomy.Options(), projected=True)]
    assert all(estimate.value is None and "activations.project" in estimate.note for estimate in found)


# A real run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, splits: dict[str, Path]) -> Callable[..., Subject]:
    """Makes the subject of a tiny network: ``run("identity", ["*"])``."""

    def make(shortcut: str, sites: list[str]) -> Subject:
        folder = tmp_path_factory.mktemp("anatomy")
        architecture = Plugin("mlp", {"width": 12, "blocks": 2, "norm": "none"})
        task = Plugin("classification", CLASSIFICATION)
        spec = TrainSpec(architecture, Plugin(shortcut), task, training(steps=4, warmup=1), 0)
        train(spec, splits["train"], splits["validation"], folder / "c", folder / "h", folder / "state", CPU)
        reading = ActivationsSpec(sites, "float16", {}, {}, 100, 0)
        dump(reading, folder / "c", splits["train"], splits["held_out"], folder / "a", CPU)
        return Subject(splits["held_out"], CPU, folder / "a")

    return make


def test_a_run_with_and_without_shortcuts(run: Callable[..., Subject]) -> None:
    subject = run("identity", ["*"])
    found = list(anatomy.survey(subject, anatomy.Options(scales=())))
    assert [(m.step, m.site, m.part) for m in found] == [
        (step, site, part) for step in subject.steps for site in ("block1", "block2") for part in "sfz"
    ]
    by_part = {part: next(m for m in found if m.part == part) for part in "sfz"}
    z = by_part["z"]
    assert json.loads(next(e for e in z.estimates if e.measure == "zx_intact").detail) == {"z_equals_s_plus_f": True}
    site = next(site for site in subject.sites if site.column == "block1.z")
    assert z.estimates[:2] == linear.estimate(subject.read(0, site), subject.targets, linear.Options())
    stem = next(site for site in subject.sites if site.column == "stem.z")
    same = linear.estimate(subject.read(0, stem), subject.targets, linear.Options())
    assert by_part["s"].estimates[:2] == same
    plain = list(anatomy.survey(run("none", ["*"]), anatomy.Options()))
    assert {m.part for m in plain} == {"f", "z"}
    assert {estimate.measure for m in plain for estimate in m.estimates} == {"zx", "zy"}


@pytest.mark.parametrize("sites", [["*.z"], ["*.z", "*.f"]])
def test_sites_that_were_not_read(run: Callable[..., Subject], sites: list[str]) -> None:
    with pytest.raises(UserError, match=r'lacks .* set activations\.sites to \["\*"\]'):
        list(anatomy.survey(run("identity", sites), anatomy.Options()))

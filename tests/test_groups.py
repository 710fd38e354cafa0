"""Samples that belong together, and rows that come twice: judged together, and never by a decoder that knows a part."""

import math

import numpy as np
import pytest
import torch

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures import measure
from infoplane.measures.blocks import blocks
from infoplane.measures.decoding.cross_fitting import cross_fit
from infoplane.measures.decoding.features import feature_eigenbasis
from infoplane.measures.decoding.gram import centred_eigenbasis
from infoplane.measures.decoding.left_out import leave_groups_out
from infoplane.measures.decoding.ridge import constant_losses, unreached
from infoplane.measures.estimate import BLOCKS, Estimate
from infoplane.measures.groups import COPIES, FEW_VALUES, IGNORED, standard_error
from infoplane.measures.information.variational import infonce
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")


def estimate(
    family: str, z: np.ndarray, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, **options: object
) -> list[Estimate]:
    module = registry.load("measure", family)
    targets = prepare(x, y, CPU, groups)
    found: list[Estimate] = module.estimate(torch.as_tensor(z), targets, module.Options(**options))
    return found


def values(found: list[Estimate]) -> list[float]:
    return [one.value for one in found if one.value is not None]


def refits(z: np.ndarray, x: np.ndarray, ridge: float, groups: np.ndarray) -> np.ndarray:
    """Residuals of ridge regression with an unpenalised intercept, fitted anew without each group."""
    found = np.empty_like(x)
    for group in np.unique(groups):
        out = groups == group
        middle, mean = z[~out].mean(0), x[~out].mean(0)
        fitted = z[~out] - middle
        dual = np.linalg.solve(fitted @ fitted.T + ridge * np.eye(len(fitted)), x[~out] - mean)
        found[out] = x[out] - mean - (z[out] - middle) @ fitted.T @ dual
    return found


@pytest.mark.parametrize("d", [3, 80])
@pytest.mark.parametrize("ridge", [1e-4, 0.1, 100.0])
@pytest.mark.parametrize("twice", [False, True])
def test_leaving_groups_out_is_one_refit_per_group(d: int, ridge: float, twice: bool) -> None:
    rng = np.random.default_rng(0)
    z, x, groups = rng.normal(size=(40, d)), rng.normal(size=(40, 2)), rng.permutation(np.arange(40) // 3)
    if twice:
        z, x, groups = (np.concatenate([one, one]) for one in (z, x, np.arange(40)))
    z /= math.sqrt(d)
    features, targets, ids = torch.as_tensor(z), torch.as_tensor(x), torch.as_tensor(groups)
    bases = [centred_eigenbasis(features @ features.T)] + ([feature_eigenbasis(features)] if d < 40 else [])
    for basis in bases:
        projected = basis.vectors.T @ targets
        found = leave_groups_out(basis, projected, ridge, ids, unreached(basis, targets, projected))
        assert np.allclose(found.numpy(), refits(z, x, ridge, groups), rtol=0, atol=1e-10)
    constant = leave_groups_out(bases[0], bases[0].vectors.T @ targets, math.inf, ids)
    assert torch.allclose(constant.square().sum(1), constant_losses(targets, ids), atol=1e-12)


def test_folds_hold_out_whole_groups_by_their_labels() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 3)
    y = rng.permutation(np.arange(60) % 4)[groups]
    y[groups == 7] = 9
    folds = prepare(rng.normal(size=(180, 2)), y, CPU, groups).folds(5, 0).numpy()
    assert all(len(set(folds[groups == one])) == 1 for one in range(60))
    assert (folds[groups == 7] == -1).all() and (folds[groups != 7] >= 0).all()
    for label in range(4):
        counts = np.bincount(folds[y == label], minlength=5)
        assert counts.max() - counts.min() <= 3
    mixed = rng.integers(0, 3, 180)
    folds = prepare(rng.normal(size=(180, 2)), mixed, CPU, groups).folds(5, 0).numpy()
    assert all(len(set(folds[groups == one])) == 1 for one in range(60)) and set(folds) == set(range(5))
    with pytest.raises(UserError, match="groups"):
        prepare(rng.normal(size=(180, 2)), mixed, CPU, np.arange(180) // 60).folds(5, 0)


@pytest.mark.parametrize("family", ["linear", "kernel"])
def test_a_label_that_is_constant_in_a_group_is_not_known_from_the_others_of_it(family: str) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 4)
    centres, y = 5 * rng.normal(size=(60, 10)), rng.integers(0, 8, 60)[groups]
    z = centres[groups] + 0.1 * rng.normal(size=(240, 10))
    entropy = prepare(z, y, CPU).y.entropy
    x = rng.normal(size=(60, 2))[groups] + 0.01 * z[:, :2]
    if family == "kernel":
        assert max(values(estimate(family, z, x, y))) < 0.01
    zx, zy = estimate(family, z, x, y, groups)
    assert zy.value is not None and zy.value > entropy - 0.15
    assert zx.value is not None and zx.value > 0.85
    assert zy.blocks is not None and math.isclose(sum(zy.blocks) / BLOCKS, zy.value, abs_tol=1e-12)


@pytest.mark.parametrize("family", ["linear", "kernel", "neural"])
def test_every_row_twice_tells_no_more_than_every_row_once(family: str) -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(100, 8)), rng.normal(size=(100, 5)), np.arange(100) % 4
    twice = [np.concatenate([one, one]) for one in (z, x, y)]
    quick = {"folds": 3, "repeats": 1, "epochs": 20} if family == "neural" else {}
    found = estimate(family, *twice, **quick)
    zx, zy = values(found)
    assert zx > 0.97 and zy > math.log(4) - 0.02
    assert all(one.note == COPIES for one in found)
    if family != "neural":
        alone = values(estimate(family, *twice, groups=np.arange(200)))
        assert alone[0] < (1e-6 if family == "kernel" else zx)
        once = estimate(family, z, x, y, **quick)
        assert zx == pytest.approx(values(once)[0], abs=0.02)
        assert found[1].stderr is not None and once[1].stderr is not None
        assert found[1].stderr == pytest.approx(once[1].stderr, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_values_of_a_discrete_input_are_no_copies(count: int) -> None:
    x = np.arange(200) % count
    assert prepare(np.eye(count)[x], x, CPU).groups is None and prepare(np.eye(count)[x], x, CPU).note == ""
    rows = np.random.default_rng(0).normal(size=(20, 5)).repeat(10, axis=0)
    assert prepare(rows, np.arange(200) % 2, CPU).note == FEW_VALUES  # perhaps copies: which, only the user knows
    few = prepare(np.eye(4)[np.arange(12) % 4], np.arange(12) % 2, CPU)
    assert few.groups is None and few.note == FEW_VALUES
    none = prepare(np.zeros(8), np.arange(8) % 2, CPU)
    assert none.groups is None and none.note == ""


def test_the_standard_error_is_of_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)
    one_each = rng.normal(size=50)
    found = standard_error(torch.as_tensor(one_each[groups]), torch.as_tensor(groups))
    assert found == pytest.approx(one_each.std(ddof=1) / math.sqrt(50), rel=1e-12)
    alone = torch.as_tensor(rng.normal(size=80))
    assert standard_error(alone, torch.arange(80)) == pytest.approx(standard_error(alone), rel=1e-12)


def test_a_group_lies_in_one_part_of_the_errors() -> None:
    losses, groups = torch.rand(100, dtype=torch.float64), torch.arange(100) // 4
    found = blocks(losses, torch.arange(100), 100, groups)
    wanted = [BLOCKS * float(losses[groups % BLOCKS == part].sum()) / 100 for part in range(BLOCKS)]
    assert found == pytest.approx(wanted, abs=1e-14)


def test_networks_stop_and_are_judged_on_other_groups_than_they_learn_from() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 25, 150)
    targets = prepare(rng.normal(size=(150, 3)), rng.integers(0, 3, 150), CPU, groups)
    splits = cross_fit(targets, 5, 2, 0.2, 0)
    for split in range(len(splits)):
        parts = [splits.training[split], splits.validation[split], splits.tests(split)]
        seen = [set(groups[rows.numpy()]) for rows in parts]
        assert all(seen) and not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_critics_are_judged_on_other_groups_than_they_learn_from() -> None:
    rng = np.random.default_rng(0)
    rows, groups = torch.as_tensor(rng.normal(size=(40, 8))).repeat_interleave(8, 0), torch.arange(320) // 8
    other = torch.as_tensor(rng.normal(size=(40, 8))).repeat_interleave(8, 0)
    assert infonce(rows, other).value > 1
    assert infonce(rows, other, groups=groups).value < 0.3


def test_inputs_that_each_have_a_class_of_their_own_are_values_and_no_copies() -> None:
    """Left out by input, no class could be decoded: eight inputs of eight classes were refused."""
    x = np.arange(8).repeat(8)
    targets = prepare(np.eye(8)[x], x, CPU)
    assert targets.groups is None and targets.note == FEW_VALUES
    assert set(targets.folds(5, 0).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("family", ["neighbours", "binned", "kde", "conditional"])
def test_a_family_that_holds_nothing_out_says_that_it_does_not_use_groups(family: str) -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(80, 3)), rng.normal(size=(80, 2)), np.arange(80) % 2
    grouped = measure(z, x, y, family=family, group=np.arange(80) // 4)
    alone = measure(z, x, y, family=family)
    assert all(IGNORED in one.note for one in grouped) and not any(IGNORED in one.note for one in alone)
    assert [one.value for one in grouped] == [one.value for one in alone]

"""Counterfactual sums: closed forms against decoders that are really refitted, fold by fold."""

import numpy as np
import pytest
import torch
from torch import Tensor

from infoplane.measures import counterfactuals
from infoplane.measures.counterfactuals import (
    Change,
    Decoders,
    intact,
    permutation_within,
    permuted,
    products,
    rescaled,
    together,
    without_antiparallel,
)
from infoplane.measures.decoding.logistic import left_out_losses
from infoplane.measures.decoding.ridge import Choice
from infoplane.measures.targets import Targets, prepare

RIDGES = [10.0**exponent for exponent in range(3, -9, -1)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def targets_of(x: Tensor) -> Targets:
    return prepare(x.numpy(), np.arange(len(x)) % 2, torch.device("cpu"))


def brute_force(z: Tensor, changed: Tensor, x: Tensor, folds: Tensor, ridge: float) -> Tensor:
    """Squared errors on changed vectors of ridge regression, refitted on z without each fold; free intercept."""
    losses = torch.zeros(len(z), dtype=torch.float64)
    for fold in range(int(folds.max()) + 1):
        fitted, judged = folds != fold, folds == fold
        mean, middle = z[fitted].mean(0), x[fitted].mean(0)
        deviation = z[fitted] - mean
        penalty = ridge * torch.eye(z.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(deviation.T @ deviation + penalty, deviation.T @ (x[fitted] - middle))
        losses[judged] = (x[judged] - middle - (changed[judged] - mean) @ weights).square().sum(1)
    return losses[folds >= 0]


def changes(s: Tensor, f: Tensor, folds: Tensor) -> dict[str, Change]:
    return {
        "intact": intact,
        "rescaled": rescaled(0.3),
        "permuted": permuted(permutation_within(folds, 0)),
        "without": without_antiparallel(s, f),
    }


def own_unit(z: Tensor) -> float:
    """Mean squared distance of vectors from their mean, in which ridges are counted."""
    return float((z - z.mean(0)).square().sum(1).mean())


@pytest.mark.parametrize(("n", "d"), [(60, 7), (40, 90)])
@pytest.mark.parametrize("kind", ["intact", "rescaled", "permuted", "without"])
@pytest.mark.parametrize("ridge", [1e-4, 1.0])
def test_closed_forms_equal_refits(n: int, d: int, kind: str, ridge: float, monkeypatch: pytest.MonkeyPatch) -> None:
    s, f = normal(n, d) + 1, normal(n, d, seed=1) * 0.7 - 0.4 * normal(n, d) + 3
    x = normal(n, 3, seed=2)
    targets = targets_of(x)
    folds = targets.folds(4, 0)
    change = changes(s, f, folds)[kind]
    decoders = Decoders(products(s, f), targets, folds, RIDGES)
    monkeypatch.setattr(counterfactuals, "choose_ridge", lambda *_: Choice(torch.empty(0), ridge, ""))
    unit = (s + f).std(0, correction=0) * d**0.5
    z, moved = (s + f) / unit, change(s, f) / unit
    expected = brute_force(z, moved, targets.x_numbers.values, folds, ridge)
    torch.testing.assert_close(decoders.fixed(targets.x, change), expected, rtol=1e-8, atol=1e-10)
    refitted = brute_force(moved, moved, targets.x_numbers.values, folds, ridge * own_unit(moved))
    torch.testing.assert_close(decoders.refitted(targets.x, change), refitted, rtol=1e-8, atol=1e-10)
    if kind == "intact":
        torch.testing.assert_close(decoders.intact(targets.x), expected, rtol=1e-8, atol=1e-10)


def test_a_refitted_decoder_is_that_of_the_changed_sum() -> None:
    s, f = normal(80, 5), normal(80, 5, seed=1)
    targets = targets_of(s @ normal(5, 3, seed=2))
    folds = targets.folds(5, 0)
    change = rescaled(0.5)
    decoders = Decoders(products(s, f), targets, folds, RIDGES)
    unit = (s + f).std(0, correction=0)
    same = Decoders(together(change(s, f) / unit), targets, folds, RIDGES)
    torch.testing.assert_close(decoders.refitted(targets.x, change), same.intact(targets.x))
    torch.testing.assert_close(
        decoders.refitted(targets.y, change), same.refitted(targets.y, intact), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("d", [4, 90])
def test_a_logistic_regression_judges_other_samples_as_they_are(d: int) -> None:
    """A change that swaps whole samples within a fold swaps their logits."""
    s, f = normal(60, d), normal(60, d, seed=1)
    targets = targets_of(normal(60, 2))
    folds = targets.folds(4, 0)
    order = permutation_within(folds, 0)
    decoders = Decoders(products(s, f), targets, folds, RIDGES)
    posed, weights = decoders._logistic(targets.y_classes)
    swapped = left_out_losses((weights @ posed.features)[:, :, order], targets.y_classes.labels, folds)
    found = decoders.fixed(targets.y, lambda s, f: (s + f)[order])
    torch.testing.assert_close(found, swapped, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found, decoders.intact(targets.y), atol=1e-2)
    torch.testing.assert_close(decoders.fixed(targets.y, intact), decoders.intact(targets.y), rtol=1e-3, atol=1e-4)


def test_changed_vectors_and_changed_products_agree() -> None:
    s, f = normal(30, 6), normal(30, 6, seed=1) - 0.6 * normal(30, 6)
    folds = targets_of(normal(30, 2)).folds(3, 0)
    for change in changes(s, f, folds).values():
        own = products(s, f)
        with_z, with_itself = own.changed(change)
        unit = (s + f).std(0, correction=0) * 6**0.5
        z, moved = (((v - (s + f).mean(0)) / unit) for v in (s + f, change(s, f)))
        torch.testing.assert_close(with_z, moved @ z.T)
        torch.testing.assert_close(with_itself, moved @ moved.T)


def test_without_the_antiparallel_part_nothing_points_against_the_shortcut() -> None:
    s, f = normal(100, 8), normal(100, 8, seed=1) - 0.5 * normal(100, 8)
    kept = without_antiparallel(s, f)(s, f) - s
    along = ((kept - f.mean(0)) * (s - s.mean(0))).sum(1)
    before = ((f - f.mean(0)) * (s - s.mean(0))).sum(1)
    assert bool((before < -1e-9).any()) and bool((along > -1e-9).all())
    torch.testing.assert_close(kept[before >= 0], f[before >= 0])


def test_the_permutation_stays_within_folds() -> None:
    folds = torch.tensor([0, 1, 2] * 20 + [-1])
    order = permutation_within(folds, 0)
    assert torch.equal(order.sort().values, torch.arange(61)) and torch.equal(folds[order], folds)
    assert order[60] == 60 and (order[:60] != torch.arange(60)).sum() > 40
    assert torch.equal(order, permutation_within(folds, 0)) and not torch.equal(order, permutation_within(folds, 1))

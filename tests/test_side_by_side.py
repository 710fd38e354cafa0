"""Measurements that run side by side: the same values as one by one, in stacks that do not depend on chance."""

import math
import time
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from infoplane import registry
from infoplane.measures.decoding import decode, gram, logistic, ridge
from infoplane.measures.decoding.side_by_side import side_by_side, together
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets, prepare

CPU = torch.device("cpu")

# Meeting


def test_questions_of_one_kind_meet_and_nobody_waits_for_who_has_ended() -> None:
    seen: list[list[int]] = []

    def doubled(asked: list[int]) -> list[int]:
        seen.append(asked)
        return [2 * one for one in asked]

    def negated(asked: list[int]) -> list[int]:
        return [-one for one in asked]

    def task(place: int) -> int:
        time.sleep(0.01 * (3 - place))  # who comes first must not matter
        value = together(doubled, place)
        if place == 1:
            value = together(negated, value)
        return together(doubled, value) if place < 2 else value

    assert side_by_side(partial(task, place) for place in range(4)) == [0, -4, 4, 6]
    # place 1 was at its second question when place 0 was at its second
    assert seen == [[0, 1, 2, 3], [0], [-2]]
    seen.clear()
    assert [task(0), side_by_side([partial(task, 1)])[0]] == [0, -4] and seen == [[0], [0], [1], [-2]]
    assert side_by_side([]) == []


@pytest.mark.parametrize("inside", [False, True])
def test_an_error_ends_all_and_is_raised(inside: bool) -> None:
    ended = []

    def fails(asked: list[int]) -> list[int]:
        if inside:
            raise ValueError(f"of {len(asked)}")
        return asked

    def task(place: int) -> None:
        together(fails, place)
        if place == 1:
            raise ValueError("of 1")
        together(fails, place)
        ended.append(place)

    with pytest.raises(ValueError, match="of 3" if inside else "of 1"):
        side_by_side(partial(task, place) for place in range(3))
    assert sorted(ended) == ([] if inside else [0, 2])


# What meets


def draw(n: int, d: int, seed: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = np.random.default_rng(9).normal(size=(n, 5)), np.arange(n) % 4
    return torch.as_tensor(np.tanh(x @ rng.normal(size=(5, d))) + 0.1 * seed * rng.normal(size=(n, d))), x, y


def test_a_stack_of_kernels_has_the_eigenbases_of_each() -> None:
    kernels = [gram.standardised_gram(draw(n, 7, seed)[0]).products for n, seed in ((40, 1), (30, 2), (40, 3), (40, 4))]
    for kernel, basis in zip(kernels, gram._eigenbases(kernels), strict=True):
        alone = gram.centred_eigenbasis(kernel)
        assert torch.allclose(basis.values, alone.values, atol=1e-12)
        rebuilt, wanted = ((one.vectors * one.values) @ one.vectors.T for one in (basis, alone))
        assert torch.allclose(rebuilt, wanted, atol=1e-12)


def test_a_stack_of_regressions_has_the_fit_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for place, (n, d) in enumerate(((60, 3), (60, 9), (50, 4), (60, 70))):
        z, x, y = draw(n, d, place)
        targets = prepare(x, y, CPU)
        folds = targets.folds(5, 0)
        training = (folds[None] != torch.arange(5)[:, None]).double()
        basis = gram.centred_eigenbasis(gram.standardised_gram(z).products)
        posed = logistic.problem(basis, targets.y_classes.one_hot, training, torch.float64)
        asked.append((posed, 100.0 ** (1 - place), logistic.constant_fit(posed), 1e-9))
    assert len({len(posed.values) for posed, *_ in asked}) > 2
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 10)
    found = logistic._fits(asked)
    for one, (posed, strength, start, tolerance) in zip(found, asked, strict=True):
        alone = logistic.fit(posed, strength, start, tolerance)
        assert one.weights.shape == alone.weights.shape and one.converged == alone.converged
        assert torch.allclose(one.logits, alone.logits, atol=1e-9)
        assert torch.allclose(one.weights, alone.weights, atol=1e-9)
    assert {one.converged for one in found} == {True, False}


# Families


def cases() -> tuple[list[Tensor], Targets]:
    """Activations of one sample: of several sizes, noise, copies, constant, few points, not finite."""
    n = 90
    z, x, y = draw(n, 12, 1)
    rng = np.random.default_rng(0)
    y[11] = 7  # alone in its class
    bad, constant_column = z.clone(), z.clone()
    bad[3, 2] = math.nan
    constant_column[:, 4] = 1.0
    given = [z, draw(n, 200, 2)[0], draw(n, 3, 4)[0], torch.as_tensor(rng.normal(size=(n, 20)))]
    given += [torch.as_tensor(x), torch.ones(n, 6, dtype=torch.float64), bad, constant_column, z.round()]
    return given, prepare(x, y, CPU)


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32, where it is enough, would round differently in a stack."""
    monkeypatch.setattr(decode, "SOLVER_DTYPE", torch.float64)
    monkeypatch.setattr(ridge, "SEARCH_DTYPE", torch.float64)


def same(one: Estimate, other: Estimate) -> None:
    for field in fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(ours, float | tuple):
            assert ours == pytest.approx(theirs, abs=1e-9, rel=1e-9), field.name
        elif field.name != "detail":
            assert ours == theirs, field.name


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "linear": [{}, {"extrapolate": False}, {"exact_up_to": 50, "landmarks": 40}],
    "kernel": [{}, {"screen": 40, "finalists": 3}, {"exact_up_to": 50, "landmarks": 40, "screen": 30}],
}


@pytest.mark.parametrize(("family", "options"), [(name, one) for name, several in OPTIONS.items() for one in several])
@pytest.mark.usefixtures("in_float64")
def test_side_by_side_is_one_by_one(family: str, options: dict[str, Any]) -> None:
    module = registry.load("measure", family)
    given, targets = cases()
    tasks = [partial(module.estimate, z, targets, module.Options(**options)) for z in given]
    for task, found in zip(tasks, side_by_side(tasks), strict=True):
        for one, other in zip(task(), found, strict=True):
            same(one, other)
    first, again = side_by_side(tasks), side_by_side(tasks)
    assert first[:4] == again[:4]

"""What decoder networks are made of: stacked networks, early stopping, splits, linear decoders, mixtures."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infoplane.measures.decoding.cross_fitting import Splits, cross_fit
from infoplane.measures.decoding.fitting import PROGRESS, Sample, Schedule, fit
from infoplane.measures.decoding.mixing import likelihood_weights, squared_weights
from infoplane.measures.decoding.networks import Convolutional, Dense, Network, Token
from infoplane.measures.decoding.neural import squared_error
from infoplane.measures.decoding.splitwise import (
    RIDGES,
    logistic_predictions,
    principal_components,
    ridge_predictions,
)
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.targets import Targets, prepare

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("network", "shape", "outputs"),
    [
        (Dense(5, 3, 4, 2), (5,), 3),
        (Convolutional((2, 4, 4), 3, 2, (1, 8, 8)), (2, 4, 4), 64),
        (Convolutional((2, 9, 9), 3, 1, (3, 6, 6)), (2, 9, 9), 108),
        (Convolutional((2, 8, 8), 3, 1, (1, 28, 28)), (2, 8, 8), 784),
        (Convolutional((2, 4, 4), 3, 2, None, 5), (2, 4, 4), 5),
        (Token(5, 3, 16, 4, 2, 4), (5, 3), 16),
        (Token(5, 3, 7, 4, 3, 0), (5, 3), 7),
    ],
)
def test_stacked_networks_are_networks_side_by_side(network: Network, shape: tuple[int, ...], outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = network.start(3, generator)
    z = torch.randn(3, 6, *shape, generator=generator)
    assert network(parameters, z).shape == (3, 6, outputs) and not network(parameters, z).any()
    moved = [one + 0.1 * torch.randn(one.shape, generator=generator) for one in parameters]
    together = network(moved, z)
    assert together.std() > 0
    for member in range(3):
        alone = network([one[member : member + 1] for one in moved], z[member : member + 1])
        torch.testing.assert_close(together[member], alone[0], atol=1e-5, rtol=1e-4)


def solo(start: list[Tensor], sample: Sample, target: Tensor, schedule: Schedule) -> tuple[list[Tensor], int, int]:
    """One network by hand, on all its training samples at every step: its best weights, their epoch, epochs run."""
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    for layer, weight, bias in ((network[0], *start[:2]), (network[2], *start[2:])):
        cast(nn.Linear, layer).weight.data, cast(nn.Linear, layer).bias.data = weight[0].T.clone(), bias[0, 0].clone()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, foreach=False
    )
    z, rows, stop = sample.inputs[0], sample.training[0], sample.validation[0]

    def loss(some: Tensor) -> Tensor:
        return cast(Tensor, (network(z[some]) - target[some]).square().mean())

    best = mark = loss(stop).item()
    kept, best_epoch, marked, epoch = [one.detach().clone() for one in network.parameters()], 0, 0, 0
    while epoch < schedule.epochs and epoch - marked < schedule.patience:
        epoch += 1
        optimizer.zero_grad()
        loss(rows).backward()
        optimizer.step()
        if (now := loss(stop).item()) < best:
            best, best_epoch, kept = now, epoch, [one.detach().clone() for one in network.parameters()]
        if now < (1 - PROGRESS) * mark:
            mark, marked = now, epoch
    return kept, best_epoch, epoch


def test_early_stopping_restores_the_best_weights() -> None:
    generator = torch.Generator().manual_seed(3)
    z, noise = (torch.randn(40, size, generator=generator) for size in (3, 2))
    target = z[:, :2] + noise
    network, schedule = Dense(3, 2, 8, 1), Schedule(0.03, 0.1, 30, 300, 8)
    start = network.start(1, generator)
    everyone = torch.arange(40)
    # a second member that has nothing to learn stops long before, and leaves the stack
    inputs = torch.stack([z, torch.zeros_like(z)])
    sample = Sample(inputs, torch.tensor([0, 1]), torch.tensor([0, 0]), everyone[None, :30], everyone[None, 30:])
    found = fit(
        network, [one.repeat(2, *[1] * (one.ndim - 1)) for one in start], sample, squared_error(target), schedule, 0
    )
    kept, best_epoch, epochs = solo(start, sample, target, schedule)
    assert (int(found.best_epoch[0]), int(found.epochs[0])) == (best_epoch, epochs)
    assert 0 < best_epoch < epochs < 300 and int(found.epochs[1]) != epochs
    for one, hand in zip(found.parameters, kept, strict=True):
        torch.testing.assert_close(one[0].squeeze(0), hand.T if hand.ndim == 2 else hand, atol=1e-4, rtol=1e-3)
    outputs = network([one[:1] for one in found.parameters], z[None, 30:])
    assert float((outputs[0] - target[30:]).square().mean()) == pytest.approx(float(found.validation[0]), rel=1e-5)


def splits_of(n: int, folds: int = 3, repeats: int = 2) -> tuple[Targets, Splits]:
    rng = np.random.default_rng(0)
    targets = prepare(rng.normal(size=(n, 5)), np.arange(n) % 3, CPU)
    return targets, cross_fit(targets, folds, repeats, 0.25, 0)


def test_nothing_is_judged_by_who_saw_it() -> None:
    _, splits = splits_of(61)
    assert sorted(torch.cat(splits.test).tolist()) == list(range(61)) and len(splits) == 6
    for split in range(6):
        parts = [set(part[split].tolist()) for part in (splits.training, splits.validation)]
        parts.append(set(splits.tests(split).tolist()))
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(parts[1]) == 10 and len(set.union(*parts)) >= 60
    assert not set(splits.validation[0].tolist()) & set(splits.validation[1].tolist())


@pytest.mark.parametrize("d", [4, 70])
def test_ridge_of_every_split_is_the_refit(d: int) -> None:
    targets, splits = splits_of(60)
    rng = np.random.default_rng(1)
    z = standardise(torch.as_tensor(rng.normal(size=(60, d))))[0].double()
    inputs = targets.x_numbers.values + z[:, :1]

    def refit(rows: Tensor, ridge: float) -> Tensor:
        centred, mean = z[rows] - z[rows].mean(0), inputs[rows].mean(0)
        gram = centred.T @ centred / d + ridge * torch.eye(d, dtype=torch.float64)
        return mean + (z - z[rows].mean(0)) @ torch.linalg.solve(gram, centred.T @ (inputs[rows] - mean)) / d

    for split, found in enumerate(ridge_predictions(principal_components(z), inputs, splits)):
        stop, fitted = splits.validation[split], torch.ones(60, dtype=torch.bool)
        fitted[stop] = fitted[splits.tests(split)] = False
        tried = [refit(fitted, ridge) for ridge in RIDGES]
        best = min(
            range(len(tried)), key=[float((one[stop] - inputs[stop]).square().sum()) for one in tried].__getitem__
        )
        torch.testing.assert_close(found[: len(stop)], tried[best][stop], atol=1e-5, rtol=1e-4)
        fitted[stop] = True
        again = refit(fitted, RIDGES[best])[splits.tests(split)]
        torch.testing.assert_close(found[len(stop) :], again, atol=1e-5, rtol=1e-4)


def test_logistic_regression_of_a_split_does_not_know_its_test_part() -> None:
    targets, splits = splits_of(60)
    z = standardise(
        torch.nn.functional.one_hot(targets.y_classes.labels).double() + 0.1 * targets.x_numbers.values[:, :3]
    )[0]
    own = logistic_predictions(principal_components(z), targets.y_classes.one_hot, splits).softmax(2)
    turned = targets.y_classes.one_hot.clone()
    turned[:, splits.test[0]] = turned[:, splits.test[0]].roll(1, 0)
    other = logistic_predictions(principal_components(z), turned, splits).softmax(2)
    rows = torch.cat([splits.validation[0], splits.test[0]])
    # all splits are solved until the last has converged, so what others do moves the last digits
    torch.testing.assert_close(own[0, rows], other[0, rows], atol=0.01, rtol=0)
    assert (own[0, splits.test[0]].argmax(1) == targets.y_classes.labels[splits.test[0]]).double().mean() > 0.9


def test_mixture_weights_are_the_best_on_validation() -> None:
    rng = np.random.default_rng(0)
    truth = torch.as_tensor(rng.normal(size=(30, 2)))
    candidates = torch.stack([truth * 0, truth * 0.5 + 0.4 * torch.as_tensor(rng.normal(size=(30, 2))), truth * 1.4])

    def loss(weights: Tensor) -> float:
        return float((torch.einsum("c,cnp->np", weights, candidates) - truth).square().sum())

    weights = squared_weights(candidates, truth)
    grid = [torch.tensor([a, b, 20 - a - b], dtype=torch.float64) / 20 for a in range(21) for b in range(21 - a)]
    assert float(weights.sum()) == pytest.approx(1) and float(weights.min()) >= 0
    assert loss(weights) <= min(loss(one) for one in grid) + 1e-9
    broken = torch.where(torch.tensor([0, 0, 1])[:, None, None] > 0, torch.nan, candidates)
    assert squared_weights(broken, truth)[2] == 0

    given = torch.as_tensor(rng.uniform(0.05, 1, size=(1, 3, 40)))
    found = likelihood_weights(given)[0]
    best = max(float((one[:, None] * given[0]).sum(0).log().sum()) for one in grid)
    assert float((found[:, None] * given[0]).sum(0).log().sum()) > best - 0.05
    assert likelihood_weights(torch.zeros(1, 3, 5)).isfinite().all()

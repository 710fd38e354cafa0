"""Fit a stack of decoder networks at once by minibatches, each stopped early on its own validation samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.measures.decoding.networks import Network

COMPACT = 0.9
"""The stack is made smaller when no more than this share of it is still learning."""

PROGRESS = 0.01
"""Share by which the least validation loss has to fall within ``patience`` epochs."""


@dataclass(frozen=True)
class Schedule:
    """How every member learns: AdamW (Loshchilov and Hutter 2019), minibatches, early stopping.

    A member stops when its least validation loss has not fallen by `PROGRESS` in ``patience`` epochs, or after
    ``epochs``.
    """

    learning_rate: float
    weight_decay: float
    batch: int
    epochs: int
    patience: int


@dataclass(frozen=True)
class Sample:
    """What the members learn from.

    inputs: activations, shape (sources, n, ...). source: whose activations a member reads, shape (members,). split:
    which of ``training`` and ``validation`` it uses, shape (members,). training: positions that are fitted, shape
    (splits, T). validation: positions that it is stopped on, shape (splits, V). order: of training samples in an
    epoch, from a generator that all splits share: (splits, T) random keys.
    """

    inputs: Tensor
    source: Tensor
    split: Tensor
    training: Tensor
    validation: Tensor

    def take(self, rows: Tensor, members: Tensor) -> Tensor:
        """Activations at positions of shape (members, b): (members, b, ...)."""
        n = self.inputs.shape[1]
        flat = (self.source[members, None] * n + rows).flatten()
        return self.inputs.flatten(0, 1).index_select(0, flat).unflatten(0, rows.shape)


Criterion = Callable[[Tensor, Tensor], Tensor]
"""(outputs of shape (members, b, p), positions of shape (members, b)) -> mean loss of each member, shape (members,)."""


@dataclass(frozen=True)
class Fit:
    """Members at their best weights.

    parameters: each of shape (members, ...). best_epoch: 0 where the untrained decoder was best; epochs: run;
    validation, training: mean losses at the best epoch (training: while it was run); diverged: a loss became NaN or
    infinite; limited: it was still learning when ``epochs`` ended. All of shape (members,).
    """

    parameters: list[Tensor]
    best_epoch: Tensor
    epochs: Tensor
    validation: Tensor
    training: Tensor
    diverged: Tensor
    limited: Tensor


def fit(
    network: Network, start: list[Tensor], sample: Sample, criterion: Criterion, schedule: Schedule, seed: int
) -> Fit:
    """Train every member from its ``start`` and return it at its least validation loss.

    Members share nothing but the time they take: a member's result does not depend on which others are in the stack,
    up to rounding. The order of samples is drawn per epoch and split from ``seed``; what does not fill a whole
    minibatch waits for the next epoch's order.
    """
    device, members = sample.inputs.device, len(sample.source)
    generator = torch.Generator().manual_seed(seed)
    keys, steps = torch.empty(sample.training.shape), max(1, round(sample.training.shape[1] / schedule.batch))
    size = sample.training.shape[1] // steps
    active = torch.arange(members, device=device)
    going = torch.ones(members, dtype=torch.bool, device=device)
    parameters = [one.clone().requires_grad_() for one in start]
    optimizer = _optimizer(parameters, schedule)
    best = [one.clone() for one in start]
    validation = _validate(network, parameters, sample, criterion, active)
    training = torch.full_like(validation, math.nan)
    best_epoch = torch.zeros(members, dtype=torch.int64, device=device)
    epochs, diverged = torch.zeros_like(best_epoch), torch.zeros_like(going)
    mark, marked = validation.clone(), torch.zeros_like(best_epoch)
    for epoch in range(1, schedule.epochs + 1):
        order = keys.uniform_(generator=generator).argsort(1).to(device)
        order = sample.training.gather(1, order)[sample.split[active]]
        fitted = torch.zeros(len(active), device=device)
        for rows in order.split(size, 1)[:steps]:
            losses = criterion(network(parameters, sample.take(rows, active)), rows)
            losses.sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            fitted += losses.detach() / steps
        now = _validate(network, parameters, sample, criterion, active)
        epochs[active[going]] = epoch
        diverged[active] |= going & ~torch.isfinite(now)
        better = torch.nonzero(going & (now < validation[active]))[:, 0]
        won = active[better]
        for kept, one in zip(best, parameters, strict=True):
            kept[won] = one.detach()[better]
        validation[won], training[won], best_epoch[won] = now[better], fitted[better], epoch
        advanced = active[going & (now < (1 - PROGRESS) * mark[active])]
        mark[advanced], marked[advanced] = validation[advanced], epoch
        going = going & torch.isfinite(now) & (epoch - marked[active] < schedule.patience)
        left = int(going.sum())
        if left == 0:
            break
        if epoch < schedule.epochs and left <= COMPACT * len(active):
            active = active[going]
            parameters, optimizer = _part(parameters, optimizer, going, schedule)
            going = going[going]
    limited = torch.zeros_like(diverged)
    limited[active[going]] = True
    return Fit(best, best_epoch, epochs, validation, training, diverged, limited)


def _optimizer(parameters: list[Tensor], schedule: Schedule) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)


def _part(
    parameters: list[Tensor], optimizer: torch.optim.AdamW, kept: Tensor, schedule: Schedule
) -> tuple[list[Tensor], torch.optim.AdamW]:
    """Some of the members, with what the optimiser remembers of them."""
    chosen = [one.detach()[kept].requires_grad_() for one in parameters]
    smaller = _optimizer(chosen, schedule)
    for one, before in zip(chosen, parameters, strict=True):
        memory = optimizer.state[before]
        smaller.state[one] = {name: value if name == "step" else value[kept] for name, value in memory.items()}
    return chosen, smaller


@torch.no_grad()
def _validate(
    network: Network, parameters: list[Tensor], sample: Sample, criterion: Criterion, members: Tensor
) -> Tensor:
    rows = sample.validation[sample.split[members]]
    return criterion(network(parameters, sample.take(rows, members)), rows)

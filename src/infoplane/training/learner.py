"""What the training loop drives: one network that learns, or (in `stack`) several that learn side by side.

Deterministic for a seed: weights, batches, label noise and dropout-like noise are functions of (seed, step), so on a
CPU with one thread two runs, or one run interrupted anywhere, end with the same bits.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from infoplane.data.resident import Batch, ResidentSplit
from infoplane.data.samples import Split
from infoplane.models.batchnorm import SAMPLES, recalibrated
from infoplane.models.build import build
from infoplane.options import Field
from infoplane.specs import TrainSpec
from infoplane.task import Task
from infoplane.training import optimizer as optimizers
from infoplane.training.batches import Batches

EVALUATION_BATCH = 512


def layout(input: Field) -> torch.memory_format:
    """How inputs lie in memory: of images, 8x8 and 32x32, convolutions learn 1.15 to 1.3 times faster on a CPU so."""
    return torch.channels_last if input.axes == "chw" else torch.contiguous_format


class Learner(Protocol):
    """One or more networks with their task, optimiser and data; a member is one of the networks."""

    task: Task
    sums: Tensor
    """Of loss, each metric, and batches, since the history's last row; float64, shape (members, metrics + 2)."""
    gradient_norms: list[float | None]
    """Of each member, at the last update that asked for it."""
    batches_per_epoch: int
    parameters: int
    """Of one member."""

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        """One optimiser step of every member, at this learning rate."""

    def evaluate(self) -> list[dict[str, float]]:
        """Validation loss and metrics of each member; nan where its weights are no longer finite."""

    def trivial(self) -> dict[str, float]:
        """The same of the answer of who has learned nothing."""

    def weights(self) -> list[dict[str, Tensor]]:
        """The state dict of each member."""

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser state, as named tensors."""

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""


class Solo:
    """One network on its own."""

    def __init__(self, spec: TrainSpec, train: Split, validation: Split, device: torch.device) -> None:
        self.spec, self.training = spec, spec.training
        self.task = Task(spec.task, train.fields)
        self.samples, self.validation = ResidentSplit(train, device), ResidentSplit(validation, device)
        self.taught = self.task.taught(self.samples.whole, spec.seed)
        self.batches = Batches(len(self.samples), self.training.batch_size, spec.seed, device)
        self.batches_per_epoch = self.batches.per_epoch
        network = build(spec.architecture, spec.shortcut, self.task.input, self.task.output, spec.seed)
        self.layout = layout(self.task.input)
        self.network = network.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.parameters = sum(p.numel() for p in self.network.parameters())
        self.optimizer = optimizers.make(list(self.network.parameters()), self.training)
        self.sums = torch.zeros(1, len(self.task.metrics) + 2, dtype=torch.float64, device=device)
        self.gradient_norms: list[float | None] = [None]

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        torch.manual_seed(step_seed(self.spec.seed, step))
        rows = self.batches.rows(step)
        batch = self.samples.batch(rows) | {name: values[rows] for name, values in self.taught.items()}
        half = self.training.precision == "bfloat16"
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
            output = self.network(batch[self.task.x].contiguous(memory_format=self.layout))
        losses = self.task.losses(output, batch)
        self.optimizer.zero_grad()
        losses.mean().backward()
        optimizers.set_rate(self.optimizer, rate)
        if with_norms:
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            self.gradient_norms = [float(nn.utils.get_total_norm(gradients))]
        self.optimizer.step()
        with torch.no_grad():
            self.sums[0] += means(losses, self.task.scores(output, batch))

    @torch.no_grad()
    def evaluate(self) -> list[dict[str, float]]:
        """With recalibrated BatchNorm statistics."""
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.network.parameters()):
            return [dict.fromkeys(quantities(self.task), math.nan)]
        network = recalibrated(self.network, self.samples.read(self.task.x, slice(SAMPLES)))
        return [judged(self.task, self.validation, lambda batch: network(batch[self.task.x]))]

    def trivial(self) -> dict[str, float]:
        return judged(self.task, self.validation, lambda batch: self.task.trivial(self.samples.whole, batch))

    def weights(self) -> list[dict[str, Tensor]]:
        return [dict(self.network.state_dict())]

    def state(self) -> dict[str, Tensor]:
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        return tensors | {f"optimizer/{name}": v for name, v in optimizers.state_tensors(self.optimizer).items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(part(tensors, "network/"))
        optimizers.load_state(self.optimizer, part(tensors, "optimizer/"))


def quantities(task: Task) -> list[str]:
    """What is judged of answers: the loss, then the task's metrics."""
    return ["loss", *(metric.name for metric in task.metrics)]


def means(losses: Tensor, scores: dict[str, Tensor]) -> Tensor:
    """Means of loss and metrics over the last axis, and a 1 that counts the batch; float64, (..., metrics + 2)."""
    found = [one.detach().double().mean(-1) for one in (losses, *scores.values())]
    return torch.stack([*found, torch.ones_like(found[0])], -1)


@torch.no_grad()
def judged(task: Task, split: ResidentSplit, answer: Callable[[Batch], Tensor]) -> dict[str, float]:
    """Means of loss and metrics over a split, of what is answered batch by batch."""
    totals = torch.zeros(len(task.metrics) + 1, dtype=torch.float64)
    for start in range(0, len(split), EVALUATION_BATCH):
        batch = split.batch(slice(start, start + EVALUATION_BATCH))
        output = answer(batch)
        found = task.losses(output, batch), *task.scores(output, batch).values()
        totals += torch.stack([one.double().sum() for one in found]).cpu()
    return dict(zip(quantities(task), (totals / len(split)).tolist(), strict=True))


def step_seed(seed: int, step: int) -> int:
    """What a network draws at random in a step (stochastic depth) is drawn with."""
    return seed * 1_000_003 + step


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

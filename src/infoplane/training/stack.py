"""Networks that differ in nothing but their seed, trained side by side as one stacked model.

Their parameters lie in one tensor per layer, (members, ...), so that a step of all of them costs little more calls
than a step of one: small networks spend their time on calls, not on arithmetic. Each member has the weights, batches
and label noise of its solo run and shares nothing with the others, so its results are those of the solo run up to
the rounding of batched products and of the fused optimiser.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import vmap

from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import Split
from infoplane.models.batchnorm import SAMPLES, batchnorms, take_averages
from infoplane.models.build import build
from infoplane.specs import StackSpec
from infoplane.task import Task
from infoplane.training import optimizer as optimizers
from infoplane.training.batches import Batches
from infoplane.training.learner import EVALUATION_BATCH, judged, layout, means, part, quantities
from infoplane.training.members import Members


class Stack:
    """A `Learner` of several members."""

    def __init__(
        self,
        spec: StackSpec,
        train: Split,
        validation: Split,
        device: torch.device,
        in_turn: bool | None = None,
    ) -> None:
        """in_turn: whether the members compute one after the other; None: where `members` says that it is faster."""
        self.training, self.task = spec.training, Task(spec.task, train.fields)
        self.samples, self.validation = ResidentSplit(train, device), ResidentSplit(validation, device)
        each = [self.task.taught(self.samples.whole, seed) for seed in spec.seeds]
        self.taught = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        self.batches = [Batches(len(self.samples), self.training.batch_size, seed, device) for seed in spec.seeds]
        self.batches_per_epoch = self.batches[0].per_epoch
        plugins, fields = (spec.architecture, spec.shortcut), (self.task.input, self.task.output)
        networks = [build(*plugins, *fields, seed).to(device) for seed in spec.seeds]
        self.members = Members(networks[0], spec.seeds, device, in_turn, layout(self.task.input))
        self.parameters = sum(p.numel() for p in networks[0].parameters())
        self.stacked = _stacked(networks)
        self.optimizer = optimizers.make(list(self.stacked.values()), self.training, stacked=True)
        shape = len(networks), len(self.task.metrics) + 2
        self.sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self.gradient_norms: list[float | None] = [None] * len(networks)

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        rows = torch.stack([batches.rows(step) for batches in self.batches])  # (members, batch)
        inputs = self.samples.read(self.task.x, rows.movedim(0, self.members.axis))
        batch = {name: self.samples.read(name, rows) for name in self.samples.values if name != self.task.x}
        batch |= {name: values[torch.arange(len(rows))[:, None], rows] for name, values in self.taught.items()}
        batch |= {self.task.x: inputs.movedim(self.members.axis, 0)}
        half = self.training.precision == "bfloat16"
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
            output = self.members.learn(self.stacked, inputs, step)
        losses = vmap(self.task.losses)(output, batch)
        self.optimizer.zero_grad()
        losses.mean(1).sum().backward()  # no member's loss depends on another's weights
        optimizers.set_rate(self.optimizer, rate)
        if with_norms:
            squares = [_rows(p.grad).square().sum(1) for p in self.stacked.values() if p.grad is not None]
            self.gradient_norms = torch.stack(squares).sum(0).sqrt().tolist()
        self.optimizer.step()
        with torch.no_grad():
            self.sums += means(losses, vmap(self.task.scores)(output, batch))

    @torch.no_grad()
    def evaluate(self) -> list[dict[str, float]]:
        """With recalibrated BatchNorm statistics."""
        weights = [self.stacked[name] for name, _ in self.members.learning.named_parameters()]
        finite = torch.stack([torch.isfinite(_rows(value)).all(1) for value in weights]).all(0).tolist()
        names, totals, tensors = quantities(self.task), torch.zeros_like(self.sums[:, :-1]), self._recalibrated()
        for start in range(0, len(self.validation), EVALUATION_BATCH):
            batch = self.validation.batch(slice(start, start + EVALUATION_BATCH))
            output = self.members.read(tensors, batch[self.task.x])
            losses = vmap(self.task.losses, (0, None))(output, batch)
            scores = vmap(self.task.scores, (0, None))(output, batch)
            totals += torch.stack([one.double().sum(1) for one in (losses, *scores.values())], 1)
        found = (totals / len(self.validation)).tolist()
        return [
            dict(zip(names, one, strict=True)) if fine else dict.fromkeys(names, math.nan)
            for one, fine in zip(found, finite, strict=True)
        ]

    def trivial(self) -> dict[str, float]:
        return judged(self.task, self.validation, lambda batch: self.task.trivial(self.samples.whole, batch))

    def _recalibrated(self) -> dict[str, Tensor]:
        """The members' tensors with BatchNorm statistics taken anew; those that training keeps are left as they are."""
        network = self.members.reading
        norms = batchnorms(network)
        statistics = [f"{norm}.{name}" for norm, module in norms.items() for name, _ in module.named_buffers()]
        tensors = self.stacked | {name: torch.zeros_like(self.stacked[name]) for name in statistics}
        if norms:
            images = self.samples.read(self.task.x, slice(SAMPLES))
            take_averages(network, images, lambda batch: self.members.read(tensors, batch))
        return tensors

    def weights(self) -> list[dict[str, Tensor]]:
        return [{name: value[member] for name, value in self.stacked.items()} for member in range(len(self.batches))]

    def state(self) -> dict[str, Tensor]:
        tensors = {f"network/{name}": value for name, value in self.stacked.items()}
        return tensors | {f"optimizer/{name}": v for name, v in optimizers.state_tensors(self.optimizer).items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in part(tensors, "network/").items():
                self.stacked[name].copy_(value)
        optimizers.load_state(self.optimizer, part(tensors, "optimizer/"))


def _rows(stacked: Tensor) -> Tensor:
    """One row per member."""
    return stacked.reshape(len(stacked), -1)


def _stacked(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Every tensor of the networks' state dicts with the members along a new first axis; what learns is a leaf."""
    learns = {name: parameter.requires_grad for name, parameter in networks[0].named_parameters()}
    states = [network.state_dict() for network in networks]
    return {
        name: torch.stack([state[name] for state in states]).requires_grad_(learns.get(name, False))
        for name in states[0]
    }

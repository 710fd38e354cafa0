"""Networks that differ in nothing but their seed, trained side by side as one stacked model.

Their parameters lie in one tensor per layer, (members, ...), so that a step of all of them costs little more calls
than a step of one: small networks spend their time on calls, not on arithmetic. Each member has the weights, batches
and label noise of its solo run and shares nothing with the others, so its results are those of the solo run up to
the rounding of batched products and of the fused optimiser.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import Split
from infoplane.models.batchnorm import SAMPLES, batchnorms, take_averages
from infoplane.models.build import build
from infoplane.options import vector
from infoplane.specs import StackSpec
from infoplane.training import optimizer as optimizers
from infoplane.training.batches import Batches, with_label_noise
from infoplane.training.learner import EVALUATION_BATCH, layout, part
from infoplane.training.members import Members


class Stack:
    """A `Learner` of several members."""

    def __init__(
        self,
        spec: StackSpec,
        train_images: Split,
        validation: Split,
        device: torch.device,
        in_turn: bool | None = None,
    ) -> None:
        """in_turn: whether the members compute one after the other; None: where `members` says that it is faster."""
        self.training = spec.training
        self.images, self.validation = ResidentSplit(train_images, device), ResidentSplit(validation, device)
        samples, fields = len(self.images), train_images.fields
        classes = fields["y"].classes or 0
        noise, labels = self.training.label_noise, self.images.values["y"]
        self.labels = torch.stack([with_label_noise(labels, classes, noise, seed) for seed in spec.seeds])
        self.batches = [Batches(samples, self.training.batch_size, seed, device) for seed in spec.seeds]
        self.batches_per_epoch = self.batches[0].per_epoch
        networks = [
            build(spec.architecture, spec.shortcut, fields["x"], vector(classes), seed).to(device)
            for seed in spec.seeds
        ]
        self.members = Members(networks[0], spec.seeds, device, in_turn, layout(fields["x"]))
        self.parameters = sum(p.numel() for p in networks[0].parameters())
        self.stacked = _stacked(networks)
        self.optimizer = optimizers.make(list(self.stacked.values()), self.training, stacked=True)
        self.sums = torch.zeros(len(networks), 3, dtype=torch.float64, device=device)
        self.gradient_norms: list[float | None] = [None] * len(networks)

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        rows = torch.stack([batches.rows(step) for batches in self.batches])  # (members, batch)
        labels = self.labels.gather(1, rows)
        images = self.images.read("x", rows.movedim(0, self.members.axis))
        half = self.training.precision == "bfloat16"
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
            logits = self.members.learn(self.stacked, images, step)
        losses = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.view(labels.shape).mean(1)
        self.optimizer.zero_grad()
        losses.sum().backward()  # no member's loss depends on another's weights
        optimizers.set_rate(self.optimizer, rate)
        if with_norms:
            squares = [_rows(p.grad).square().sum(1) for p in self.stacked.values() if p.grad is not None]
            self.gradient_norms = torch.stack(squares).sum(0).sqrt().tolist()
        self.optimizer.step()
        with torch.no_grad():
            self.sums[:, 0] += losses
            self.sums[:, 1] += (logits.argmax(2) == labels).double().mean(1)
            self.sums[:, 2] += 1

    @torch.no_grad()
    def evaluate(self) -> list[tuple[float, float]]:
        """With recalibrated BatchNorm statistics."""
        weights = [self.stacked[name] for name, _ in self.members.learning.named_parameters()]
        finite = torch.stack([torch.isfinite(_rows(value)).all(1) for value in weights]).all(0).tolist()
        totals = torch.zeros(len(self.batches), 2, dtype=torch.float64, device=self.sums.device)
        tensors = self._recalibrated()
        for start in range(0, len(self.validation), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            labels = self.validation.read("y", rows).expand(len(totals), -1)
            logits = self.members.read(tensors, self.validation.read("x", rows))
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
            totals[:, 0] += losses.view(labels.shape).sum(1)
            totals[:, 1] += (logits.argmax(2) == labels).sum(1)
        scores = (totals / len(self.validation)).tolist()
        return [(s[0], s[1]) if fine else (math.nan, math.nan) for s, fine in zip(scores, finite, strict=True)]

    def _recalibrated(self) -> dict[str, Tensor]:
        """The members' tensors with BatchNorm statistics taken anew; those that training keeps are left as they are."""
        network = self.members.reading
        norms = batchnorms(network)
        statistics = [f"{norm}.{name}" for norm, module in norms.items() for name, _ in module.named_buffers()]
        tensors = self.stacked | {name: torch.zeros_like(self.stacked[name]) for name in statistics}
        if norms:
            images = self.images.read("x", slice(SAMPLES))
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

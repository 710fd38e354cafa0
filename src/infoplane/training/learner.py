"""What the training loop drives: one network that learns, or (in `stack`) several that learn side by side.

Deterministic for a seed: weights, batches, label noise and dropout-like noise are functions of (seed, step), so on a
CPU with one thread two runs, or one run interrupted anywhere, end with the same bits.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import Split
from infoplane.models.batchnorm import SAMPLES, recalibrated
from infoplane.models.build import build
from infoplane.options import Field, vector
from infoplane.specs import TrainSpec
from infoplane.training import optimizer as optimizers
from infoplane.training.batches import Batches, with_label_noise

EVALUATION_BATCH = 512


def layout(input: Field) -> torch.memory_format:
    """How inputs lie in memory: of images, 8x8 and 32x32, convolutions learn 1.15 to 1.3 times faster on a CPU so."""
    return torch.channels_last if input.axes == "chw" else torch.contiguous_format


class Learner(Protocol):
    """One or more networks with their optimiser and their data; a member is one of the networks."""

    sums: Tensor
    """Loss (nats), accuracy and batches since the history's last row; float64, shape (members, 3)."""
    gradient_norms: list[float | None]
    """Of each member, at the last update that asked for it."""
    batches_per_epoch: int
    parameters: int
    """Of one member."""

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        """One optimiser step of every member, at this learning rate."""

    def evaluate(self) -> list[tuple[float, float]]:
        """Validation loss (nats) and accuracy of each member; nan where its weights are no longer finite."""

    def weights(self) -> list[dict[str, Tensor]]:
        """The state dict of each member."""

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser state, as named tensors."""

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""


class Solo:
    """One network on its own."""

    def __init__(self, spec: TrainSpec, train_images: Split, validation: Split, device: torch.device) -> None:
        self.spec, self.training = spec, spec.training
        self.images, self.validation = ResidentSplit(train_images, device), ResidentSplit(validation, device)
        noise = self.training.label_noise
        fields = train_images.fields
        self.labels = with_label_noise(self.images.values["y"], fields["y"].classes or 0, noise, spec.seed)
        self.batches = Batches(len(self.images), self.training.batch_size, spec.seed, device)
        self.batches_per_epoch = self.batches.per_epoch
        network = build(spec.architecture, spec.shortcut, fields["x"], vector(fields["y"].classes or 0), spec.seed)
        self.layout = layout(fields["x"])
        self.network = network.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.parameters = sum(p.numel() for p in self.network.parameters())
        self.optimizer = optimizers.make(list(self.network.parameters()), self.training)
        self.sums = torch.zeros(1, 3, dtype=torch.float64, device=device)
        self.gradient_norms: list[float | None] = [None]

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        torch.manual_seed(step_seed(self.spec.seed, step))
        rows = self.batches.rows(step)
        labels = self.labels[rows]
        half = self.training.precision == "bfloat16"
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
            logits = self.network(self.images.read("x", rows).contiguous(memory_format=self.layout))
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad()
        loss.backward()
        optimizers.set_rate(self.optimizer, rate)
        if with_norms:
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            self.gradient_norms = [float(nn.utils.get_total_norm(gradients))]
        self.optimizer.step()
        with torch.no_grad():
            self.sums[0, 0] += loss
            self.sums[0, 1] += (logits.argmax(1) == labels).double().mean()
            self.sums[0, 2] += 1

    @torch.no_grad()
    def evaluate(self) -> list[tuple[float, float]]:
        """With recalibrated BatchNorm statistics."""
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.network.parameters()):
            return [(math.nan, math.nan)]
        network = recalibrated(self.network, self.images.read("x", slice(SAMPLES)))
        loss, correct = 0.0, 0.0
        for start in range(0, len(self.validation), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            logits, labels = network(self.validation.read("x", rows)), self.validation.read("y", rows)
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            correct += float((logits.argmax(1) == labels).sum())
        return [(loss / len(self.validation), correct / len(self.validation))]

    def weights(self) -> list[dict[str, Tensor]]:
        return [dict(self.network.state_dict())]

    def state(self) -> dict[str, Tensor]:
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        return tensors | {f"optimizer/{name}": v for name, v in optimizers.state_tensors(self.optimizer).items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(part(tensors, "network/"))
        optimizers.load_state(self.optimizer, part(tensors, "optimizer/"))


def step_seed(seed: int, step: int) -> int:
    """What a network draws at random in a step (stochastic depth) is drawn with."""
    return seed * 1_000_003 + step


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

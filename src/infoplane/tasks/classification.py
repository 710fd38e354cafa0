"""Classification: which of several classes a sample is of; cross-entropy and accuracy."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.metrics import Metric, accuracy
from infoplane.options import Field, Fields, TaskOptions, require, vector
from infoplane.streams import own_seed


@dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    label_noise: Annotated[float, "share of training labels replaced by a random class"] = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.label_noise <= 1, f"label_noise must be from 0 to 1, got {self.label_noise}")

    @property
    def loss_unit(self) -> str:
        return "nats"

    @property
    def changed(self) -> str:
        return f"label noise {self.label_noise:g}" if self.label_noise else ""

    def check(self, data: Fields) -> None:
        super().check(data)
        require(data[self.y].is_class, f"'{self.y}' has no classes: a classification needs one class for each sample")

    def output(self, data: Fields) -> Field:
        return vector(data[self.y].classes or 0)

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        return (accuracy(data[self.y].classes or 2),)


def losses(output: Tensor, batch: dict[str, Tensor], options: Options) -> Tensor:
    """Cross-entropy of scores (n, classes), nats, shape (n,)."""
    return F.cross_entropy(output.float(), batch[options.y], reduction="none")


def scores(output: Tensor, batch: dict[str, Tensor], options: Options) -> dict[str, Tensor]:
    """Whether the largest score is that of the right class, shape (n,)."""
    return {"accuracy": (output.argmax(1) == batch[options.y]).double()}


def trivial(train: dict[str, Tensor], batch: dict[str, Tensor], options: Options) -> Tensor:
    """Logarithms of the shares of the classes among the training samples, the same for every sample."""
    classes = int(torch.cat([train[options.y], batch[options.y]]).max()) + 1
    shares = torch.bincount(train[options.y], minlength=classes) / len(train[options.y])
    return shares.clamp_min(torch.finfo(torch.float32).tiny).log().expand(len(batch[options.y]), -1)


def taught(train: dict[str, Tensor], data: Fields, options: Options, seed: int) -> dict[str, Tensor]:
    """Labels of which a random share is replaced by a uniformly drawn class (which may be the right one)."""
    labels, classes = train[options.y], data[options.y].classes or 0
    # the order of the first epoch begins with seed 0 too, and would show the noisy samples first
    generator = torch.Generator().manual_seed(own_seed(seed, "label noise"))
    count = round(options.label_noise * len(labels))
    chosen = torch.randperm(len(labels), generator=generator)[:count]
    drawn = torch.randint(classes, (count,), generator=generator)
    noisy = labels.clone()
    noisy[chosen.to(labels.device)] = drawn.to(labels.device)
    return {options.y: noisy}

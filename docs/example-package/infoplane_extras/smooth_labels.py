"""Classification with smoothed labels (Szegedy et al. 2016, arXiv:1512.00567, section 7)."""

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from infoplane.metrics import Metric, accuracy
from infoplane.options import Field, Fields, TaskOptions, require, vector
from infoplane.tasks.classification import scores, trivial

__all__ = ["Options", "losses", "scores", "trivial"]


@dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    smoothing: Annotated[float, "share of the label that is spread evenly over all classes, from 0 to below 1"] = 0.1

    def __post_init__(self) -> None:
        require(0 <= self.smoothing < 1, f"smoothing must be from 0 to below 1, got {self.smoothing}")

    @property
    def loss_unit(self) -> str:
        return "nats"

    def check(self, data: Fields) -> None:
        super().check(data)
        require(data[self.y].is_class, f"'{self.y}' must hold one class per sample, got {data[self.y]}")

    def output(self, data: Fields) -> Field:
        return vector(data[self.y].classes or 0)

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        return (accuracy(data[self.y].classes or 2),)


def losses(output: Tensor, batch: dict[str, Tensor], options: Options) -> Tensor:
    """Cross-entropy of scores (n, classes) with the smoothed labels, nats, shape (n,)."""
    return F.cross_entropy(output.float(), batch[options.y], reduction="none", label_smoothing=options.smoothing)

"""z = x + b f with b ~ Bernoulli(p) in training and b = p in evaluation.

Stochastic depth (Huang et al. 2016, arXiv:1603.09382), drawn per sample rather than per batch. The survival
probability falls linearly with depth from 1 to its final value (their equation 4).
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.models.draws import uniform
from infoplane.models.residual import Kind, Place
from infoplane.options import require


@dataclass(frozen=True)
class Options:
    survival: Annotated[float, "probability that the deepest branch survives, in (0, 1]"] = 0.8

    def __post_init__(self) -> None:
        require(0 < self.survival <= 1, f"survival must be in (0, 1], got {self.survival}")


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.survival = 1 - place.depth * (1 - options.survival)

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return x, self.survival * f
        return x, (uniform(f) < self.survival) * f

"""z = x + v with the velocity v <- gamma v + (1 - gamma) f: the state (z, v) determines the state before.

Momentum residual networks (Sander et al. 2021, arXiv:2102.07870), equation 5, with a velocity that starts at 0.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.models.residual import Kind, Memory, Place
from infoplane.options import InvertibleOptions, require


@dataclass(frozen=True)
class Options(InvertibleOptions):
    gamma: Annotated[float, "share of the velocity that is kept at each addition, above 0 and below 1"] = 0.9

    def __post_init__(self) -> None:
        require(0 < self.gamma < 1, f"gamma must be above 0 and below 1, got {self.gamma}")


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.gamma = options.gamma

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        f = (1 - self.gamma) * f
        if not memory:
            return x, f, (f,)
        kept = self.gamma * memory[0]
        return x + kept, f, (kept + f,)

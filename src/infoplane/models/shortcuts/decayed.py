"""s = a x with a factor that falls evenly over the additions, from 1 at the first to ``final`` at the last.

Decayed identity shortcuts (Zhang et al., arXiv:2404.10947): the identity is damped with depth and the branch is not.
The factors are those of the authors' code; equation 5 of the text starts one addition earlier. They start the last
layer of every branch at 0 (``branch_gain: 0``), which a ``final`` of 0.7 or less needs to learn well. ``final: 1`` is
the identity.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.models.residual import Kind, Place
from infoplane.options import require


@dataclass(frozen=True)
class Options:
    final: Annotated[float, "what x is multiplied by at the last addition, from 0 to 1"] = 0.6

    def __post_init__(self) -> None:
        require(0 <= self.final <= 1, f"final must be from 0 to 1, got {self.final}")


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        passed = (place.index - 1) / max(1, place.total - 1)
        self.factor = 1 - passed * (1 - options.final)

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return self.factor * x, f

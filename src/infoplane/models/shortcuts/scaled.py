"""s = alpha x with a fixed alpha: from no shortcut (0) to the identity (1)."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.models.residual import Kind, Place


@dataclass(frozen=True)
class Options:
    alpha: Annotated[float, "what x is multiplied by"] = 0.5


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.alpha = options.alpha

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return self.alpha * x, f

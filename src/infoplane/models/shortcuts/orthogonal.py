"""z = x + f less the part of f along x: the branch can neither amplify nor cancel what the shortcut carries.

Orthogonal residual updates (Oh et al. 2025, arXiv:2505.11881), equation 4, over the features of each position or over
the whole sample.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from infoplane.models.residual import Kind, Place
from infoplane.options import require

SMALLEST = 1e-6
"""Added to |x|^2, as theirs."""


@dataclass(frozen=True)
class Options:
    over: Annotated[
        Literal["features", "sample"], "which vectors are made orthogonal: each position's features, or all of a sample"
    ] = "features"

    def __post_init__(self) -> None:
        require(self.over in ("features", "sample"), f"over must be features or sample, got {self.over}")


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.axes = place.channel_axis if options.over == "features" else None

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        axes = tuple(range(1, x.ndim)) if self.axes is None else self.axes
        along = (x * f).sum(axes, keepdim=True) / (x.square().sum(axes, keepdim=True) + SMALLEST)
        return x, f - along * x

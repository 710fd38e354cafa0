"""s = W x: a 1x1 convolution or token-wise linear shortcut (He et al. 2016, arXiv:1512.03385, option C)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from infoplane.models.pointwise import PointwiseLinear
from infoplane.models.residual import Kind, Place


@dataclass(frozen=True)
class Options:
    init: Annotated[
        Literal["random", "identity", "orthogonal"],
        "how W starts: PyTorch's default draw, the identity, or a random orthogonal matrix that stays frozen",
    ] = "random"


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.projection = PointwiseLinear(place.features, place.channel_axis, options.init)
        self.projection.requires_grad_(options.init != "orthogonal")

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return self.projection(x), f

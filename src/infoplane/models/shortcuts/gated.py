"""z = (1 - t) x + t f with a learned gate t = sigmoid(W x + b).

Highway networks (Srivastava et al. 2015, arXiv:1505.00387), equation 3.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from infoplane.models.pointwise import PointwiseLinear, per_channel
from infoplane.models.residual import Kind, Place


@dataclass(frozen=True)
class Options:
    bias: Annotated[float, "start of the bias b; with a negative value the network first passes x through"] = -1.0


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.gate = PointwiseLinear(place.features, place.channel_axis)
        self.bias = nn.Parameter(torch.full((place.features,), options.bias))
        self.channel_axis = place.channel_axis

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        t = torch.sigmoid(self.gate(x) + per_channel(self.bias, self.channel_axis, x))
        return (1 - t) * x, t * f

"""z = W [x; f]: concatenation and a projection back to the block's width.

The connection of DenseNet (Huang et al. 2017, arXiv:1608.06993), one addition at a time.
The projection of a concatenation is a sum, W [x; f] = W_x x + W_f f, so its two terms are read as s and f. The
fan-in of the whole matrix sets the scale of both.
"""

import math

import torch
from torch import Tensor

from infoplane.models.pointwise import PointwiseLinear
from infoplane.models.residual import Kind, Place


class Shortcut(Kind):
    def __init__(self, options: None, place: Place) -> None:
        super().__init__()
        self.from_x = PointwiseLinear(place.features, place.channel_axis)
        self.from_f = PointwiseLinear(place.features, place.channel_axis)
        with torch.no_grad():  # fan-in is 2 x features
            self.from_x.weight.div_(math.sqrt(2))
            self.from_f.weight.div_(math.sqrt(2))

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return self.from_x(x), self.from_f(f)

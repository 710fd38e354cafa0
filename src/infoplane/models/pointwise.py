"""Linear maps along one axis, the same for every position: a 1x1 convolution and a token-wise linear layer alike."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Init = Literal["random", "identity", "orthogonal"]

CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
"""By the dimensions of (N, C, ...)."""


class PointwiseLinear(nn.Module):
    """y = W x along ``channel_axis``, without bias; x: (N, ..., C) with axis -1, (N, C, ...) with axis 1.

    Positions may be along time, (N, C, T) or (N, T, C), over an image, (N, C, H, W), or none, (N, C).

    ``random`` draws W uniformly from +-1/sqrt(features), the default of PyTorch's linear and convolution layers.
    """

    def __init__(self, features: int, channel_axis: int, init: Init = "random") -> None:
        super().__init__()
        self.channel_axis = channel_axis
        self.weight = nn.Parameter(torch.empty(features, features))
        if init == "identity":
            nn.init.eye_(self.weight)
        elif init == "orthogonal":
            nn.init.orthogonal_(self.weight)
        else:
            nn.init.uniform_(self.weight, -1 / math.sqrt(features), 1 / math.sqrt(features))

    def forward(self, x: Tensor) -> Tensor:
        if self.channel_axis == 1 and x.ndim in CONVOLUTIONS:
            return CONVOLUTIONS[x.ndim](x, self.weight[(..., *[None] * (x.ndim - 2))])
        return F.linear(x, self.weight)


def per_channel(values: Tensor, channel_axis: int, x: Tensor) -> Tensor:
    """Shape values (C,) so that they meet the channels of x."""
    return values[(..., *[None] * (x.ndim - 2))] if channel_axis == 1 else values

"""z = sum_j a_j X_j over all sums X_j so far, X_j = x + f unmixed, with learned weights that start as the identity's.

DenseFormer (Pagliardini et al. 2024, arXiv:2402.02622), equation 2, with the average after every addition in place of
every block of two, without dilation. X_0 is the stem's output.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infoplane.models.residual import Kind, Memory, Place
from infoplane.options import MemoryOptions


@dataclass(frozen=True)
class Options(MemoryOptions):
    """Nothing to choose."""


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        weights = torch.zeros(place.index + 1)
        weights[-1] = 1
        self.weights = nn.Parameter(weights)

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        earlier, own = memory or (x,), self.weights[-1]
        s = own * x
        for weight, one in zip(self.weights, earlier, strict=False):
            s = s + weight * one
        return s, own * f, (*earlier, x + f)

"""z = x + alpha f with one learned alpha per addition that starts at 0.

ReZero (Bachlechner et al. 2020, arXiv:2003.04887), equation 2.
"""

import torch
from torch import Tensor, nn

from infoplane.models.residual import Kind, Place


class Shortcut(Kind):
    def __init__(self, options: None, place: Place) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return x, self.alpha * f

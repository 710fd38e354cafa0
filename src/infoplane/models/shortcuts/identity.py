"""s = x: the identity shortcut (He et al. 2016, arXiv:1512.03385)."""

from torch import Tensor

from infoplane.models.residual import Kind, Place


class Shortcut(Kind):
    def __init__(self, options: None, place: Place) -> None:
        super().__init__()

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return x, f

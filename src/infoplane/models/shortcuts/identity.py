"""s = x: the identity shortcut (He et al. 2016, arXiv:1512.03385)."""

from torch import Tensor, nn

from infoplane.models.residual import Place


class Shortcut(nn.Module):
    def __init__(self, options: None, place: Place) -> None:
        super().__init__()

    def forward(self, x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return x, f

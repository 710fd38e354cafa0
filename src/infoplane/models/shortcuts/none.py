"""No shortcut: z = f, a plain network of the same branches."""

from torch import Tensor

from infoplane.models.residual import Kind, Place

PARTS = ("f", "z")


class Shortcut(Kind):
    def __init__(self, options: None, place: Place) -> None:
        super().__init__()

    def forward(self, x: Tensor, f: Tensor) -> tuple[None, Tensor]:
        return None, f

"""Two streams that take turns, z = y + f(x): the state (z, x) determines the state before, and so the stem's output.

RevNet (Gomez et al. 2017, arXiv:1707.04585), equation 8, and i-RevNet (Jacobsen et al. 2018, arXiv:1802.07088): odd
branches read one stream and are added to the other, even branches the reverse. Both streams start as the stem's
output. The sum alone is one stream; the part m is both.
"""

from dataclasses import dataclass

from torch import Tensor

from infoplane.models.residual import Kind, Memory, Place
from infoplane.options import InvertibleOptions


@dataclass(frozen=True)
class Options(InvertibleOptions):
    """Nothing to choose."""


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        other = memory[0] if memory else x
        return other, f, (x,)

"""A super-resolution network: convolutions at the small size, residual blocks, sub-pixel convolution, interpolation.

Lim et al. 2017 (arXiv:1707.02921), figures 2c and 3, with the shortcut kind in place of the identity, without norms at
first, as theirs. The network adds to the picture's bicubic interpolation (Kim et al. 2016, arXiv:1511.04587, section 3)
in place of their shortcut from the stem to the last sum, so that the sums are a chain. Sizes are ours.
"""

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.models.residual import Additions, through
from infoplane.models.sites import Site
from infoplane.options import (
    Addition,
    Field,
    Places,
    ResidualOptions,
    Shape,
    require,
    require_axes,
    require_layers,
    require_positive,
)


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    width: Annotated[int, "channels"] = 32
    blocks: Annotated[int, "residual blocks"] = 4

    def __post_init__(self) -> None:
        require_positive(self, "width")
        require_layers(self, "blocks")

    def check(self, input: Field, output: Field) -> None:
        require_axes(input, "chw")
        require_axes(output, "chw")
        factor = output.shape[1] // input.shape[1]
        require(
            factor >= 1 and output.shape == (input.shape[0], factor * input.shape[1], factor * input.shape[2]),
            f"the answer's height and width must be the input's, or the same multiple of both, got {output}",
        )

    def places(self, input: Field, output: Field) -> Places:
        maps = (self.width, *input.shape[1:])
        blocks = {f"block{block + 1}": Addition(maps, "chw") for block in range(self.blocks)}
        return {"stem": Shape(maps, "chw"), **blocks, "output": Shape(output.shape, "chw")}


class Branch(nn.Sequential):
    """conv - ReLU - conv."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        width, channels, self.factor = options.width, input.shape[0], output.shape[1] // input.shape[1]
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1))
        self.stem.add_module("z", Site())
        self.blocks = [f"block{block + 1}" for block in range(options.blocks)]
        for name in self.blocks:
            self.add_module(name, add(Branch(width), width, norm=nn.BatchNorm2d, channel_axis=1))
        self.tail = nn.Sequential(
            nn.Conv2d(width, channels * self.factor**2, 3, padding=1), nn.PixelShuffle(self.factor)
        )
        self.output = nn.Sequential()
        self.output.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        detail = self.tail(through(self, self.blocks, self.stem(x)))  # (batch, channels, height, width) of the answer
        if self.factor > 1:
            x = F.interpolate(x, scale_factor=self.factor, mode="bicubic", antialias=True)
        return self.output(x + detail)

"""A perceptron whose branches are narrow in the middle: each block adds W2 relu(W1 x), with few rows in W1."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from infoplane.models.residual import Additions, through
from infoplane.models.sites import Site
from infoplane.options import Addition, Field, Norm, Places, ResidualOptions, require_axes, require_positive


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    width: Annotated[int, "units of every sum"] = 32
    narrow: Annotated[int, "units in the middle of a branch"] = 4
    blocks: Annotated[int, "number of residual additions"] = 3
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        require_positive(self, "width", "narrow", "blocks")

    def check(self, input: Field, output: Field) -> None:
        require_axes(output, "d")

    def places(self, input: Field, output: Field) -> Places:
        blocks = {f"block{index + 1}": Addition((self.width,)) for index in range(self.blocks)}
        return {"stem": (self.width,), **blocks, "logits": output.shape}


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        width, narrow = options.width, options.narrow
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(input.values, width))
        self.stem.add_module("z", Site())
        self.blocks = [f"block{index + 1}" for index in range(options.blocks)]
        for name in self.blocks:
            branch = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, width))
            self.add_module(name, add(branch, width, norm=nn.LayerNorm))
        self.logits = nn.Sequential(nn.Linear(width, output.values))
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(through(self, self.blocks, self.stem(x)))

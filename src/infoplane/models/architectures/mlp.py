"""A residual multi-layer perceptron on flattened inputs: linear stem, additions of small branches, linear read-out.

The fully connected analogue of He et al. 2016 (arXiv:1512.03385), section 3.2, with any shortcut kind; sizes are
ours. ``layers_per_branch: 1`` with the shortcut ``none`` is a plain MLP.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn

from infoplane.models.nonlinearities import ACTIVATIONS
from infoplane.models.residual import Additions, through
from infoplane.models.sites import Site
from infoplane.options import Addition, Field, Norm, Places, ResidualOptions, require_layers, require_positive


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    width: Annotated[int, "units in every layer"] = 64
    blocks: Annotated[int, "number of residual additions"] = 4
    layers_per_branch: Annotated[int, "linear layers in a branch, each followed by the activation"] = 2
    activation: Annotated[Literal["relu", "gelu", "tanh", "linear"], "the branch's activation"] = "relu"
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        require_positive(self, "width")
        require_layers(self, "blocks", "layers_per_branch")

    def places(self, input: Field, output: Field) -> Places:
        blocks = {f"block{block + 1}": Addition((self.width,)) for block in range(self.blocks)}
        return {"stem": (self.width,), **blocks, "logits": output.shape}


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        width, activation = options.width, ACTIVATIONS[options.activation]
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(input.values, width))
        self.stem.add_module("z", Site())
        self.blocks = [f"block{block + 1}" for block in range(options.blocks)]
        for name in self.blocks:
            layers = [(nn.Linear(width, width), activation()) for _ in range(options.layers_per_branch)]
            branch = nn.Sequential(*(module for layer in layers for module in layer))
            self.add_module(name, add(branch, width, norm=nn.LayerNorm))
        shaped = [] if len(output.shape) == 1 else [nn.Unflatten(1, output.shape)]
        self.logits = nn.Sequential(nn.Linear(width, output.values), *shaped)
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(through(self, self.blocks, self.stem(x)))  # (batch, width) along the additions

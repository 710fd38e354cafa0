"""A tapered multi-layer perceptron: layers that narrow from the input to the classes, each of them an addition.

With the shortcut ``none`` it is the plain network of Shwartz-Ziv and Tishby 2017 (arXiv:1703.00810): 12-10-7-5-4-3-2,
tanh, weights from a normal of deviation 1/sqrt(inputs) that is cut at two deviations, no bias at first. Other
shortcut kinds are given x with its last features cut off, or zeros added, where a layer changes the width.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.models.nonlinearities import ACTIVATIONS
from infoplane.models.residual import Additions, through
from infoplane.models.sites import Site
from infoplane.options import Addition, Field, Places, ResidualOptions, require, require_axes


@dataclass(frozen=True, kw_only=True)
class Options(ResidualOptions):
    widths: Annotated[tuple[int, ...], "units of each hidden layer, from the input on"] = (10, 7, 5, 4, 3)
    activation: Annotated[Literal["tanh", "relu", "linear"], "activation after each hidden layer"] = "tanh"

    def __post_init__(self) -> None:
        require(
            len(self.widths) > 0 and min(self.widths) >= 1,
            f"widths must name the units, at least 1, of one hidden layer or more, got {list(self.widths)}",
        )

    def check(self, input: Field, output: Field) -> None:
        require_axes(output, "d")

    def places(self, input: Field, output: Field) -> Places:
        blocks = {f"block{index + 1}": Addition((width,)) for index, width in enumerate(self.widths)}
        return {**blocks, "logits": output.shape}


class MatchFeatures(nn.Module):
    """Cut off the last features of x, or add zeros, until there are as many as the branch has."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.features - x.shape[1])) if x.shape[1] < self.features else x[:, : self.features]


def layer(inputs: int, outputs: int) -> nn.Linear:
    """Weights from a normal of deviation 1/sqrt(inputs), cut at two deviations; biases 0."""
    linear = nn.Linear(inputs, outputs)
    deviation = 1 / math.sqrt(inputs)
    nn.init.trunc_normal_(linear.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    nn.init.zeros_(linear.bias)
    return linear


class Network(nn.Module):
    def __init__(self, options: Options, input: Field, output: Field, add: Additions) -> None:
        super().__init__()
        before = input.values
        self.flatten = nn.Flatten()
        self.blocks = [f"block{index + 1}" for index in range(len(options.widths))]
        for name, width in zip(self.blocks, options.widths, strict=True):
            branch = nn.Sequential(layer(before, width), ACTIVATIONS[options.activation]())
            self.add_module(name, add(branch, width, nn.LayerNorm, match=MatchFeatures(width), inputs=before))
            before = width
        self.logits = nn.Sequential(layer(before, output.values))
        self.logits.add_module("z", Site())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(through(self, self.blocks, self.flatten(x)))  # (batch, inputs), then (batch, width)

"""Decoder networks, many at once: parameters are stacked along a first axis of members, products are batched.

A network turns activations of shape (members, batch, ...) into outputs of shape (members, batch, p), every member
with weights of its own. Last layers begin at zero, so that an untrained decoder is the constant 0.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

KERNEL = 3
"""Side of the convolutional decoder's filters."""

PLACES = 4
"""Side of the grid that feature maps are averaged to, where numbers and not a picture are decoded from them."""


class Network(Protocol):
    """One kind of decoder network."""

    def start(self, members: int, generator: torch.Generator) -> list[Tensor]:
        """Fresh parameters, float32 on the CPU, each of shape (members, ...)."""

    def __call__(self, parameters: list[Tensor], z: Tensor) -> Tensor:
        """Outputs of shape (members, batch, p) for activations of shape (members, batch, ...)."""


def _normal(generator: torch.Generator, inputs: int, *shape: int) -> Tensor:
    """Weights that keep the second moment through a ReLU (He et al. 2015)."""
    return torch.randn(shape, generator=generator) * math.sqrt(2 / inputs)


@dataclass(frozen=True)
class Dense:
    """A multilayer perceptron on flat activations of shape (members, batch, inputs)."""

    inputs: int
    outputs: int
    width: int
    depth: int

    def start(self, members: int, generator: torch.Generator) -> list[Tensor]:
        sides = [self.inputs] + [self.width] * self.depth
        parameters: list[Tensor] = []
        for before, after in pairwise(sides):
            parameters += [_normal(generator, before, members, before, after), torch.zeros(members, 1, after)]
        return [*parameters, *_zeros(members, self.width, self.outputs)]

    def __call__(self, parameters: list[Tensor], z: Tensor) -> Tensor:
        pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
        for weight, bias in pairs[:-1]:
            z = torch.baddbmm(bias, z, weight).relu_()
        weight, bias = pairs[-1]
        return torch.baddbmm(bias, z, weight)


@dataclass(frozen=True)
class Convolutional:
    """Convolutions on feature maps of shape (members, batch, channels, height, width).

    picture: (channels, height, width) to decode, by a transposed convolution whose stride is its kernel, or None for
    ``outputs`` numbers, linear in the last maps averaged to a grid of `PLACES` a side.
    """

    shape: tuple[int, int, int]
    width: int
    depth: int
    picture: tuple[int, int, int] | None
    outputs: int = 0

    @property
    def stride(self) -> int:
        """How many times larger than the feature map the picture is, as far as that tiles it."""
        assert self.picture is not None
        _, height, width = self.picture
        larger = range(1, max(1, height // self.shape[1]) + 1)
        return max(stride for stride in larger if height % stride == 0 and width % stride == 0)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the last maps where numbers are decoded from them."""
        return min(PLACES, self.shape[1]), min(PLACES, self.shape[2])

    def start(self, members: int, generator: torch.Generator) -> list[Tensor]:
        sides = [self.shape[0]] + [self.width] * self.depth
        parameters: list[Tensor] = []
        for before, after in pairwise(sides):
            fan_in = before * KERNEL**2
            parameters += [
                _normal(generator, fan_in, members, after, before, KERNEL, KERNEL),
                torch.zeros(members, after),
            ]
        if self.picture is None:
            return [*parameters, *_zeros(members, self.width * math.prod(self.grid), self.outputs)]
        channels = self.picture[0]
        return [
            *parameters,
            torch.zeros(members, self.width, channels, self.stride, self.stride),
            torch.zeros(members, channels),
        ]

    def __call__(self, parameters: list[Tensor], z: Tensor) -> Tensor:
        members, batch = z.shape[:2]
        if self.picture is not None:
            side = (self.picture[1] // self.stride, self.picture[2] // self.stride)
            if tuple(z.shape[3:]) != side:
                z = functional.adaptive_avg_pool2d(z.flatten(0, 1), side).unflatten(0, (members, batch))
        # the members as groups of channels of one convolution: (batch, members * channels, height, width)
        maps = z.transpose(0, 1).flatten(1, 2)
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            maps = functional.conv2d(maps, weight.flatten(0, 1), bias.flatten(), padding=KERNEL // 2, groups=members)
            maps = maps.relu_()
        weight, bias = parameters[-2:]
        if self.picture is None:
            pooled = functional.adaptive_avg_pool2d(maps, self.grid).unflatten(1, (members, self.width))
            return torch.baddbmm(bias, pooled.transpose(0, 1).flatten(2), weight)
        pictures = functional.conv_transpose2d(
            maps, weight.flatten(0, 1), bias.flatten(), stride=self.stride, groups=members
        )
        return pictures.unflatten(1, (members, -1)).transpose(0, 1).flatten(2)


@dataclass(frozen=True)
class Token:
    """Tokens of shape (members, batch, tokens, dim): a layer shared by all, mixing between them, then a shared layer.

    patches: how many of the last tokens give ``outputs / patches`` numbers each; 0 where all tokens together give all.
    """

    tokens: int
    dim: int
    outputs: int
    width: int
    depth: int
    patches: int

    def start(self, members: int, generator: torch.Generator) -> list[Tensor]:
        parameters = [_normal(generator, self.dim, members, self.dim, self.width)]
        parameters.append(0.02 * torch.randn(members, self.tokens, self.width, generator=generator))
        for _ in range(self.depth - 1):
            parameters += [torch.zeros(members, self.tokens, self.tokens)]
            parameters += [
                _normal(generator, self.width, members, self.width, self.width),
                torch.zeros(members, 1, self.width),
            ]
        if not self.patches:
            return [*parameters, *_zeros(members, self.tokens * self.width, self.outputs)]
        return [*parameters, *_zeros(members, self.width, self.outputs // self.patches)]

    def __call__(self, parameters: list[Tensor], z: Tensor) -> Tensor:
        members, batch = z.shape[:2]
        embed, places, *blocks, weight, bias = parameters
        hidden = torch.bmm(z.flatten(1, 2), embed).view(members, batch, self.tokens, self.width)
        hidden = (hidden + places[:, None]).relu_()
        for mixing, layer, offset in zip(blocks[::3], blocks[1::3], blocks[2::3], strict=True):
            columns = hidden.transpose(1, 2).reshape(members, self.tokens, -1)
            mixed = torch.baddbmm(columns, mixing, columns)
            mixed = mixed.view(members, self.tokens, batch, self.width).transpose(1, 2)
            hidden = torch.baddbmm(offset, mixed.reshape(members, -1, self.width), layer).relu_()
            hidden = hidden.view(members, batch, self.tokens, self.width)
        if not self.patches:
            return torch.baddbmm(bias, hidden.flatten(2), weight)
        last = hidden[:, :, self.tokens - self.patches :].reshape(members, -1, self.width)
        return torch.baddbmm(bias, last, weight).view(members, batch, -1)


def _zeros(members: int, inputs: int, outputs: int) -> list[Tensor]:
    return [torch.zeros(members, inputs, outputs), torch.zeros(members, 1, outputs)]

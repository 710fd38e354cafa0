"""The one residual addition that every architecture is built from: z = activation(norm(s + f)).

``s`` is what the shortcut carries, ``f`` what the branch adds, ``z`` the sum as the next block sees it. A shortcut
kind is a plug-in in ``shortcuts/``: a module ``Shortcut(options, place)`` whose ``forward(x, f)`` returns the pair
(s, f) that is added; s may be None. Whatever a kind scales or mixes, the two terms of the sum are what is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane import registry
from infoplane.models.sites import Site
from infoplane.options import ResidualOptions


@dataclass(frozen=True)
class Place:
    """Where a shortcut stands: the width of x and f, their channel axis, and its depth in the network, in (0, 1].

    channel_axis: 1 for (N, C, ...), as convolutions over images or time have it; -1 for (N, ..., C), as tokens have it.
    """

    features: int
    channel_axis: int
    depth: float


class Match(nn.Module):
    """Bring x to the branch's output shape without parameters, so that every shortcut kind starts from the same x.

    x: (N, C, ...). Positions, in space or time, are subsampled and missing channels are zero (option A of He et al.
    2016, arXiv:1512.03385).
    """

    def __init__(self, stride: int, extra_channels: int) -> None:
        super().__init__()
        self.stride, self.extra_channels = stride, extra_channels

    def forward(self, x: Tensor) -> Tensor:
        positions = x.ndim - 2
        fewer = x[(slice(None), slice(None), *[slice(None, None, self.stride)] * positions)]
        return F.pad(fewer, (0, 0) * positions + (0, self.extra_channels))


class ResidualAddition(nn.Module):
    """Add a branch to its shortcut and name the three places ``s``, ``f`` and ``z``.

    norm: applied to the branch's input (placement ``pre``) or to the sum (``post``).
    """

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module,
        options: ResidualOptions,
        norm: nn.Module,
        match: nn.Module,
    ) -> None:
        super().__init__()
        self.match = match
        self.pre_norm = norm if options.norm == "pre" else nn.Identity()
        self.branch = branch
        self.shortcut = shortcut
        self.post_norm = norm if options.norm == "post" else nn.Identity()
        self.activation = {"none": nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU}[options.post_activation]()
        self.s, self.f, self.z = Site(), Site(), Site()
        if options.zero_init:
            zero_last_layer(branch)

    def forward(self, x: Tensor) -> Tensor:
        s, f = self.shortcut(self.match(x), self.branch(self.pre_norm(x)))
        total = self.f(f) if s is None else self.s(s) + self.f(f)
        return self.z(self.activation(self.post_norm(total)))


def zero_last_layer(branch: nn.Module) -> None:
    """Zero the last layer of a branch that has weights (a norm's gain counts), so that the branch starts as 0."""
    last = [module for module in branch.modules() if isinstance(getattr(module, "weight", None), Tensor)][-1]
    with torch.no_grad():
        for parameter in last.parameters(recurse=False):
            parameter.zero_()


class Additions:
    """Makes the residual additions of one network, all with the same shortcut kind and options."""

    def __init__(self, kind: str, options: dict[str, Any], residual: ResidualOptions, total: int) -> None:
        self.plugin = registry.load("shortcut", kind)
        self.options = self.plugin.Options(**options) if hasattr(self.plugin, "Options") else None
        self.residual, self.total, self.made = residual, total, 0

    def __call__(
        self,
        branch: nn.Module,
        features: int,
        norm: Callable[[], nn.Module],
        channel_axis: int = -1,
        match: nn.Module | None = None,
    ) -> ResidualAddition:
        """The next addition: x and the branch's output have ``features`` channels once ``match`` has been applied."""
        self.made += 1
        place = Place(features, channel_axis, self.made / self.total)
        shortcut = self.plugin.Shortcut(self.options, place)
        return ResidualAddition(branch, shortcut, self.residual, norm(), match or nn.Identity())

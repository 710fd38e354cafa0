"""The one residual addition that every architecture is built from: z = activation(norm(s + f)).

``s`` is what the shortcut carries, ``f`` what the branch adds, ``z`` the sum as the next branch reads it. A shortcut
kind is a plug-in in ``shortcuts/``: a module ``Shortcut(options, place)``, a `Kind`, whose ``forward(x, f)`` returns
the pair (s, f) that is added; s may be None. Whatever a kind scales or mixes, the two terms of the sum are what is
read. A kind that keeps something from addition to addition defines ``step`` in place of ``forward``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane import registry
from infoplane.models.pointwise import per_channel
from infoplane.models.sites import Site
from infoplane.options import ResidualOptions

Memory = tuple[Tensor, ...]
"""What a kind keeps from addition to addition: tensors of x's shape; empty before the first addition."""


class Stream(NamedTuple):
    """What runs along the additions: x, which the next branch reads, and the shortcut kind's memory."""

    x: Tensor
    memory: Memory = ()


@dataclass(frozen=True)
class Place:
    """Where a shortcut stands: the width of x and f, their channel axis, and which of all additions it is, from 1 on.

    channel_axis: 1 for (N, C, ...), as convolutions over images or time have it; -1 for (N, ..., C), as tokens have it.
    """

    features: int
    channel_axis: int
    index: int
    total: int

    @property
    def depth(self) -> float:
        """In (0, 1]; 1 at the last addition."""
        return self.index / self.total


class Kind(nn.Module):
    """A shortcut kind. It defines ``forward(x, f)``, or `step` where it keeps a memory."""

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor | None, Tensor, Memory]:
        """From x, the branch's output f and the memory to s, f and the memory for the next addition.

        s + f is exactly what the next branch, or what follows the last addition, reads.
        """
        return *self(x, f), memory

    def state(self, z: Tensor, memory: Memory) -> Memory:
        """All that later additions are computed from: what the part m shows, where ``Options.states`` says that it is.

        z: the sum; memory: as `step` gave it.
        """
        return z, *memory


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


class LayerScale(nn.Module):
    """Multiply every channel by a learned factor (Touvron et al. 2021, arXiv:2103.17239, equation 8)."""

    def __init__(self, features: int, channel_axis: int, start: float) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.full((features,), start))
        self.channel_axis = channel_axis

    def forward(self, x: Tensor) -> Tensor:
        return per_channel(self.factors, self.channel_axis, x) * x


class ResidualAddition(nn.Module):
    """Add a branch to its shortcut and name its parts ``s``, ``f`` and ``z``, and ``m`` where the kind has a state.

    before, after, of_sum: norms of the branch's input, of its output and of the sum.
    """

    def __init__(
        self,
        branch: nn.Module,
        shortcut: Kind,
        options: ResidualOptions,
        before: nn.Module,
        after: nn.Module,
        of_sum: nn.Module,
        scale: nn.Module,
        match: nn.Module,
        has_state: bool,
    ) -> None:
        super().__init__()
        self.match = match
        self.pre_norm = before
        self.branch = branch
        self.branch_norm = after
        self.scale = scale
        self.shortcut = shortcut
        self.post_norm = of_sum
        self.activation = {"none": nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU}[options.post_activation]()
        self.s, self.f = Site(), Site()
        self.m = Site() if has_state else None
        self.z = Site()
        if options.branch_gain != 1:
            scale_last_layer(nn.ModuleList([branch, after]), options.branch_gain)

    def forward(self, stream: Stream) -> Stream:
        x, memory = self.match(stream.x), tuple(map(self.match, stream.memory))
        f = self.scale(self.branch_norm(self.branch(self.pre_norm(stream.x))))
        s, f, memory = self.shortcut.step(x, f, memory)
        total = self.f(f) if s is None else self.s(s) + self.f(f)
        z = self.activation(self.post_norm(total))
        if self.m is not None and not self.training:  # nothing is computed from it, so training need not pay for it
            self.m(torch.cat(self.shortcut.state(z, memory), 1))
        return Stream(self.z(z), memory)


def through(network: nn.Module, additions: Sequence[str], x: Tensor) -> Tensor:
    """Pass x through the additions of a network that have these names, in order; give what the last one's sum is."""
    stream = Stream(x)
    for name in additions:
        stream = network.get_submodule(name)(stream)
    return stream.x


def scale_last_layer(branch: nn.Module, gain: float) -> None:
    """Multiply the last layer of a branch that has weights (a norm's gain counts); with 0 the branch starts as 0."""
    last = [module for module in branch.modules() if isinstance(getattr(module, "weight", None), Tensor)][-1]
    with torch.no_grad():
        for parameter in last.parameters(recurse=False):
            parameter.mul_(gain)


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
        norm: Callable[[int], nn.Module],
        channel_axis: int = -1,
        match: nn.Module | None = None,
        inputs: int | None = None,
    ) -> ResidualAddition:
        """The next addition: x and the branch's output have ``features`` channels once ``match`` has been applied.

        norm: number of channels -> a norm; inputs: channels of x before ``match``, where these are others.
        """
        self.made += 1
        place, residual = Place(features, channel_axis, self.made, self.total), self.residual
        shortcut = self.plugin.Shortcut(self.options, place)
        around = residual.norm
        before = norm(inputs or features) if around in ("pre", "peri") else nn.Identity()
        after, of_sum = (norm(features) if around == where else nn.Identity() for where in ("peri", "post"))
        factors = residual.layer_scale
        scale = LayerScale(features, channel_axis, factors) if factors else nn.Identity()
        has_state = getattr(self.options, "states", 0) > 0
        return ResidualAddition(
            branch, shortcut, residual, before, after, of_sum, scale, match or nn.Identity(), has_state
        )

"""n streams that are mixed, read and written with learned weights: H <- R' H + b f, and the next branch reads a . H.

Hyper-connections (Zhu et al. 2024, arXiv:2409.19606), the static form, equations 3 to 5 with A_r = R, A_m = a, B = b.
They start as the identity: copies of the stem's output, R = I, b = 1, each branch reads one stream in turn; what
follows the last addition reads their mean (theirs: the sum). ``mixing: doubly_stochastic`` keeps rows and columns of R
at a sum of 1 (mHC, Xie et al. 2025, arXiv:2512.24880; without its weights per token), ``identity`` keeps R = I.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from infoplane.models.residual import Kind, Memory, Place
from infoplane.options import MemoryOptions, require

ROUNDS = 20
"""Of Sinkhorn and Knopp's rows and columns in turn, as mHC."""

APART = 8.0
"""How far the logits off R's diagonal start below those on it, as a published re-implementation of mHC."""


@dataclass(frozen=True)
class Options(MemoryOptions):
    streams: Annotated[int, "number of streams, 2 or more"] = 4
    mixing: Annotated[
        Literal["free", "identity", "doubly_stochastic"],
        "how streams are mixed: any matrix, not at all, or with rows and columns that sum to 1",
    ] = "free"

    def __post_init__(self) -> None:
        require(2 <= self.streams <= 64, f"streams must be from 2 to 64, got {self.streams}; one is the identity")
        kinds = ("free", "identity", "doubly_stochastic")
        require(self.mixing in kinds, f"mixing must be one of {', '.join(kinds)}, got {self.mixing}")

    @property
    def states(self) -> int:
        return self.streams


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        n, self.mixing = options.streams, options.mixing
        start = torch.eye(n)
        if self.mixing == "doubly_stochastic":
            start = APART * (start - 1)
        if self.mixing == "identity":
            self.register_buffer("mixed", start)
        else:
            self.mixed = nn.Parameter(start)
        last = place.index == place.total
        self.read = nn.Parameter(torch.full((n,), 1 / n) if last else torch.eye(n)[place.index % n])
        self.write = nn.Parameter(torch.ones(n))

    def mixing_matrix(self) -> Tensor:
        """R, shape (n, n)."""
        if self.mixing != "doubly_stochastic":
            return self.mixed
        logs: Tensor = self.mixed
        for _ in range(ROUNDS):
            logs = logs - logs.logsumexp(1, keepdim=True)
            logs = logs - logs.logsumexp(0, keepdim=True)
        return logs.exp()

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        streams = torch.stack(memory or (x,) * len(self.write))
        mixed = torch.tensordot(self.mixing_matrix().T, streams, 1)
        s = torch.tensordot(self.read, mixed, 1)
        written = [one + weight * f for one, weight in zip(mixed, self.write, strict=True)]
        return s, (self.read @ self.write) * f, tuple(written)

    def state(self, z: Tensor, memory: Memory) -> Memory:
        return memory

"""z = sum_i softmax_i(w . rms(v_i)) v_i over the stem's output and all branches' outputs: attention over depth.

Attention residuals (Kimi Team 2026, arXiv:2603.15031), the full form: one learned query w for each addition, keys with
a root mean square of 1 times learned gains. A query that starts at 0 gives the plain mean. The published first branch
reads the stem's output, as here; the last query is that of the read-out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.models.residual import Kind, Memory, Place
from infoplane.options import MemoryOptions

SMALLEST = 1e-6
"""Added to the mean square; ours."""


@dataclass(frozen=True)
class Options(MemoryOptions):
    """Nothing to choose."""


class Shortcut(Kind):
    def __init__(self, options: Options, place: Place) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(place.features))
        self.gain = nn.Parameter(torch.ones(place.features))
        self.channel_axis = place.channel_axis

    def score(self, v: Tensor) -> Tensor:
        """The query's product with the key of an output v, at every position."""
        v = v.movedim(self.channel_axis, -1)
        key = self.gain * v * (v.square().mean(-1, keepdim=True) + SMALLEST).rsqrt()
        return (key @ self.query).unsqueeze(self.channel_axis)

    def step(self, x: Tensor, f: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        outputs = (*(memory or (x,)), f)
        weights = F.softmax(torch.stack([self.score(v) for v in outputs]), 0)
        parts = [weight * v for weight, v in zip(weights, outputs, strict=True)]
        return torch.stack(parts[:-1]).sum(0), parts[-1], outputs

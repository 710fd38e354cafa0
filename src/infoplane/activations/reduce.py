"""Making an activation smaller before it is stored, where the configuration asks for it; recorded beside the values.

A kernel or a ridge sees an activation only through inner products, which a random projection keeps up to a relative
error of about sqrt(8 ln(n) / k) for n samples and k dimensions (Johnson and Lindenstrauss 1984).
"""

import math
import zlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.specs import AVERAGED, ActivationsSpec

AVERAGES: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
"""By the number of axes that are averaged."""


class Reduction:
    """What happens to one site's activation on its way to the file: nothing, pooling, projection, or both in turn."""

    def __init__(
        self, name: str, shape: tuple[int, ...], axes: str, spec: ActivationsSpec, device: torch.device
    ) -> None:
        """axes: those of the shape, as the architecture declares them; empty: none are declared."""
        stored = spec.stored(name, shape, axes)
        self.pooled, self.projection, self.shape = stored.pooled, stored.projection, stored.shape
        self.averaged = [1 + axis for axis, letter in enumerate(axes) if letter in AVERAGED]
        self.matrix: Tensor | None = None
        if self.projection:
            size = math.prod(self.pooled or shape)
            generator = torch.Generator().manual_seed(spec.seed * 1_000_003 + zlib.crc32(name.encode()))
            gaussian = torch.randn(size, self.projection, generator=generator) / math.sqrt(self.projection)
            self.matrix = gaussian.to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """Activations (n, *site shape) to (n, *self.shape)."""
        if self.pooled:
            values = self._average(values, self.pooled)
        return values if self.matrix is None else values.flatten(1).float() @ self.matrix

    def _average(self, values: Tensor, pooled: tuple[int, ...]) -> Tensor:
        """Values (n, *site shape) to (n, *pooled)."""
        count = len(self.averaged)
        last = list(range(-count, 0))
        moved = values.movedim(self.averaged, last)
        average = AVERAGES[count](moved.flatten(1, -count - 1), tuple(pooled[axis - 1] for axis in self.averaged))
        return average.unflatten(1, moved.shape[1:-count]).movedim(last, self.averaged)

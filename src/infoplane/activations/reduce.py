"""Making an activation smaller before it is stored, where the configuration asks for it; recorded beside the values.

A kernel or a ridge sees an activation only through inner products, which a random projection keeps up to a relative
error of about sqrt(8 ln(n) / k) for n samples and k dimensions (Johnson and Lindenstrauss 1984).
"""

import math
import zlib

import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.specs import ActivationsSpec


class Reduction:
    """What happens to one site's activation on its way to the file: nothing, pooling, projection, or both in turn."""

    def __init__(self, name: str, shape: tuple[int, ...], spec: ActivationsSpec, device: torch.device) -> None:
        stored = spec.stored(name, shape)
        self.side, self.projection, self.shape = stored.pooled_to, stored.projection, stored.shape
        self.matrix: Tensor | None = None
        if self.projection:
            size = math.prod((shape[0], self.side, self.side) if self.side else shape)
            generator = torch.Generator().manual_seed(spec.seed * 1_000_003 + zlib.crc32(name.encode()))
            gaussian = torch.randn(size, self.projection, generator=generator) / math.sqrt(self.projection)
            self.matrix = gaussian.to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """Activations (n, *site shape) to (n, *self.shape)."""
        if self.side:
            values = F.adaptive_avg_pool2d(values, self.side)
        return values if self.matrix is None else values.flatten(1).float() @ self.matrix

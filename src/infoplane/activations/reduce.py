"""Making an activation smaller before it is stored, where the configuration asks for it; recorded beside the values.

A kernel or a ridge sees an activation only through inner products, which a random projection keeps up to a relative
error of about sqrt(8 ln(n) / k) for n samples and k dimensions (Johnson and Lindenstrauss 1984).
"""

import math
import zlib
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.errors import UserError, nearest
from infoplane.specs import ActivationsSpec


def chosen(patterns: list[str], names: list[str], key: str) -> list[str]:
    """The names that match any pattern, in their order; raises `UserError` for a pattern that matches none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(f"activations.{key}: '{pattern}' matches no site: {nearest(pattern, names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


class Reduction:
    """What happens to one site's activation on its way to the file: nothing, pooling, projection, or both in turn."""

    def __init__(self, name: str, shape: tuple[int, ...], spec: ActivationsSpec, device: torch.device) -> None:
        sides = [side for pattern, side in spec.pool.items() if fnmatchcase(name, pattern)]
        self.side = sides[0] if sides and len(shape) == 3 and sides[0] < max(shape[1:]) else None
        pooled = (shape[0], self.side, self.side) if self.side else shape
        size = math.prod(pooled)
        dims = [k for pattern, k in spec.project.items() if fnmatchcase(name, pattern)]
        self.projection = dims[0] if dims and dims[0] < size else None
        self.matrix: Tensor | None = None
        self.shape = pooled
        if self.projection:
            self.shape = (self.projection,)
            generator = torch.Generator().manual_seed(spec.seed * 1_000_003 + zlib.crc32(name.encode()))
            gaussian = torch.randn(size, self.projection, generator=generator) / math.sqrt(self.projection)
            self.matrix = gaussian.to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """Activations (n, *site shape) to (n, *self.shape)."""
        if self.side:
            values = F.adaptive_avg_pool2d(values, self.side)
        return values if self.matrix is None else values.flatten(1).float() @ self.matrix

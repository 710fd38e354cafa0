"""Which samples are learned from at which step: a pure function of (seed, step)."""

import torch
from torch import Tensor


class Batches:
    """The rows of every step: each epoch is a fresh permutation, cut into whole batches (the rest is dropped)."""

    def __init__(self, samples: int, batch_size: int, seed: int, device: torch.device) -> None:
        self.samples, self.seed, self.device = samples, seed, device
        self.batch_size = min(batch_size, samples)
        self.per_epoch = samples // self.batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """Indices of the batch of a step, shape (batch_size,), on the device."""
        epoch, batch = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._order = torch.randperm(self.samples, generator=generator).to(self.device)
            self._epoch = epoch
        return self._order[batch * self.batch_size : (batch + 1) * self.batch_size]

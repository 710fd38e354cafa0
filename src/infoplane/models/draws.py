"""What a network draws at random while it learns: one number for each sample.

A network on its own draws from PyTorch's default generator, which training seeds anew before every step. In a stack
each member has a generator that is seeded as its solo run's would be, so that it draws the same numbers.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

_members: Sequence[torch.Generator] = ()


@contextlib.contextmanager
def from_generators(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Within the block, a stack's members draw from these, one for each, in their order."""
    global _members
    before, _members = _members, generators
    try:
        yield
    finally:
        _members = before


def uniform(like: Tensor) -> Tensor:
    """One number of [0, 1) for each sample of ``like`` (n, ...), of shape (n, 1, ...), its dtype and device.

    Raises ``RuntimeError`` in a stack whose members have no generators.
    """
    drawn: Tensor = _Uniform.apply(like.detach())
    return drawn


def _rand(like: Tensor, generator: torch.Generator | None) -> Tensor:
    shape = len(like), *[1] * (like.ndim - 1)
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)


class _Uniform(torch.autograd.Function):
    """A separate function, because `torch.vmap` reports its members only to such functions."""

    @staticmethod
    def forward(like: Tensor) -> Tensor:
        return _rand(like, None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], like: Tensor) -> tuple[Tensor, int]:
        if len(_members) != info.batch_size:
            raise RuntimeError(f"{info.batch_size} networks draw at random, and {len(_members)} generators are given")
        one = like if in_dims[0] is None else like.select(in_dims[0], 0)
        return torch.stack([_rand(one, generator) for generator in _members]), 0

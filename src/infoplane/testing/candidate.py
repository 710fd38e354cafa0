"""What every rule is given: the plug-in that it is held to, and small inputs of each kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from infoplane import registry
from infoplane.options import Field, image, vector
from infoplane.registry import Role
from infoplane.specs import Plugin


@dataclass(frozen=True)
class Candidate:
    """A plug-in to be checked. folder: an empty one, removed after the check."""

    role: Role
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def module(self) -> ModuleType:
        return registry.load(self.role, self.name)

    @property
    def declared(self) -> type[Any]:
        """Its Options, as the workflow reads them."""
        return registry.options_class(self.role, self.name)

    @property
    def plugin(self) -> Plugin:
        return Plugin(self.name, self.options)


Rule = Callable[[Candidate], None]
"""Raises ``AssertionError`` where a plug-in breaks it; the first line of its docstring says what it asks."""


def rule_of(rule: Rule) -> str:
    """What a rule asks, as a sentence."""
    return (rule.__doc__ or "").partition("\n")[0]


INPUTS = (
    image(3, 8, 8),
    image(3, 8, 16),
    Field((3, 12), "ct", "float32"),
    Field((6,), "d", "float32"),
    Field((1, 8, 12), "cft", "float32"),
    Field((1, 64), "ct", "float32"),
)
"""What networks are given in turn: pictures, square and not, a series, points, a spectrogram, and sound."""


def answers(given: Field) -> tuple[Field, ...]:
    """What may be asked of an input: five numbers, the same again, twice the size, and two sources."""
    larger = tuple(2 * size if axis in "hwt" else size for size, axis in zip(given.shape, given.axes, strict=True))
    sources = tuple(2 if axis == "c" else size for size, axis in zip(given.shape, given.axes, strict=True))
    others = (Field(shape, given.axes, "float32", scale="none") for shape in (given.shape, larger, sources))
    return vector(5), *others


def served(architecture: str, options: dict[str, Any]) -> Iterator[tuple[Field, Field]]:
    """The inputs that an architecture takes, each with the first output that it can give."""
    made = registry.options_class("architecture", architecture)(**options)
    for given in INPUTS:
        for wanted in answers(given):
            try:
                made.check(given, wanted)
            except ValueError:
                continue
            yield given, wanted
            break


def samples(given: Field, n: int = 4) -> Tensor:
    """Normal numbers (n, *shape), always the same."""
    return torch.randn(n, *given.shape, generator=torch.Generator().manual_seed(0))

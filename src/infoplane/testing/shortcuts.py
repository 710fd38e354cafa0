"""What is asked of a shortcut kind."""

from collections.abc import Iterator

import torch
from torch import nn

from infoplane import plugin_files, registry
from infoplane.models.residual import Place
from infoplane.options import Field
from infoplane.specs import Plugin
from infoplane.testing import networks
from infoplane.testing.candidate import Candidate, Rule, served


def mixes_channels_and_not_positions(candidate: Candidate) -> None:
    """Channels first and channels last give the same, position by position; there are as many times as channels."""
    for positions in ((6,), (6, 6), (6, 2, 3)):
        for training in (False, True):
            torch.manual_seed(0)
            first, last = (_made(candidate, Place(6, axis, 1, 2)).train(training) for axis in (1, -1))
            with torch.no_grad():
                for parameter in first.parameters():
                    parameter.copy_(torch.randn_like(parameter))  # a weight that starts at 0 would hide the rest
            last.load_state_dict(first.state_dict())
            x, f = torch.randn(2, 5, 6, *positions)
            found = []
            for module, moved in ((first, (x, f)), (last, (x.movedim(1, -1), f.movedim(1, -1)))):
                torch.manual_seed(1)
                s, branch, memory = module.step(*moved, ())  # type: ignore[operator]
                found.append((s, branch, *memory))
            for one, other in zip(*found, strict=True):
                assert (one is None and other is None) or torch.allclose(one, other.movedim(-1, 1), atol=1e-5), (
                    "a shortcut mixes channels alone, which lie along place.channel_axis"
                )


def trains_in_every_architecture(candidate: Candidate) -> None:
    """Answers are finite, and a gradient reaches every weight."""
    for architecture, *fields in _architectures():
        networks.trains(architecture, candidate.plugin, *fields)


def adds_in_every_architecture(candidate: Candidate) -> None:
    """z is the activation of s + f, and s is there unless PARTS says otherwise."""
    for architecture, *fields in _architectures():
        networks.adds(architecture, candidate.plugin, *fields)


def _made(candidate: Candidate, place: Place) -> nn.Module:
    options = candidate.module.Options(**candidate.options) if hasattr(candidate.module, "Options") else None
    made: nn.Module = candidate.module.Shortcut(options, place)
    return made


def _architectures() -> Iterator[tuple[Plugin, Field, Field]]:
    """Those of this package, each with every input that it takes."""
    for name in registry.names("architecture"):
        if registry.source("architecture", name).is_relative_to(plugin_files.PACKAGE):
            for input, output in served(name, {}):
                yield Plugin(name), input, output


RULES: tuple[Rule, ...] = (
    mixes_channels_and_not_positions,
    trains_in_every_architecture,
    adds_in_every_architecture,
)

"""From a spec to a network with seeded weights."""

from pathlib import Path

import torch
from torch import nn

from infoplane import registry
from infoplane.errors import UserError
from infoplane.models.residual import Additions
from infoplane.options import Field, axes_of
from infoplane.specs import Plugin, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile


def is_chain(architecture: Plugin, shortcut: Plugin) -> bool:
    """Whether each sum is computed from the one before alone, so that no sum can know more of X than it."""
    modules = registry.load("architecture", architecture.kind), registry.load("shortcut", shortcut.kind)
    classes = (getattr(module, "Options", None) for module in modules)
    pairs = zip(classes, (architecture, shortcut), strict=True)
    return all(getattr(options(**plugin.options), "chain", True) for options, plugin in pairs if options)


def build(architecture: Plugin, shortcut: Plugin, input: Field, output: Field, seed: int) -> nn.Module:
    """The untrained network, float32 on the CPU; the same seed gives the same weights on every machine.

    The network maps (n, *input.shape) to (n, *output.shape).
    """
    plugin = registry.load("architecture", architecture.kind)
    options = plugin.Options(**architecture.options)
    torch.manual_seed(seed)
    additions = Additions(shortcut.kind, shortcut.options, options, options.additions(input, output))
    network: nn.Module = plugin.Network(options, input, output, additions)
    if additions.made != additions.total:
        raise ValueError(f"{architecture.kind}: {additions.made} additions made, {additions.total} declared")
    return network


def axes_at(run: CheckpointFile) -> dict[str, str]:
    """The axes of what a run's network is read at, by place; empty where the architecture declares none."""
    architecture = TrainSpec.from_dict(run.metadata["spec"]).architecture
    options = registry.load("architecture", architecture.kind).Options(**architecture.options)
    fields = (Field.from_dict(run.metadata[name]) for name in ("input", "output"))
    return {place: axes_of(shape) for place, shape in options.places(*fields).items()}


def build_from(run: CheckpointFile, given: Field, where: Path | None) -> nn.Module:
    """The network of a run's checkpoints, its weights those of the seed; given: what inputs it will read, of ``where``.

    Raises `UserError` for inputs that the network was not made for, and for checkpoints of an earlier version.
    """
    if "input" not in run.metadata:
        raise UserError(f"{run.path} is of an earlier version: delete it and run the workflow again.")
    input, output = (Field.from_dict(run.metadata[name]) for name in ("input", "output"))
    if given.shape != input.shape:
        raise UserError(f"{where}: its inputs are {given}, the network expects {input}.")
    spec = TrainSpec.from_dict(run.metadata["spec"])
    return build(spec.architecture, spec.shortcut, input, output, spec.seed)

"""From a spec to a network with seeded weights."""

import torch
from torch import nn

from infoplane import registry
from infoplane.models.residual import Additions
from infoplane.options import Shape
from infoplane.specs import Plugin


def is_chain(architecture: Plugin, shortcut: Plugin) -> bool:
    """Whether each sum is computed from the one before alone, so that no sum can know more of X than it."""
    modules = registry.load("architecture", architecture.kind), registry.load("shortcut", shortcut.kind)
    classes = (getattr(module, "Options", None) for module in modules)
    pairs = zip(classes, (architecture, shortcut), strict=True)
    return all(getattr(options(**plugin.options), "chain", True) for options, plugin in pairs if options)


def build(architecture: Plugin, shortcut: Plugin, shape: Shape, classes: int, seed: int) -> nn.Module:
    """The untrained network, float32 on the CPU; the same seed gives the same weights on every machine.

    shape: (channels, height, width) of an image; the network maps (n, C, H, W) to logits (n, classes).
    """
    plugin = registry.load("architecture", architecture.kind)
    options = plugin.Options(**architecture.options)
    torch.manual_seed(seed)
    additions = Additions(shortcut.kind, shortcut.options, options, options.additions(shape, classes))
    network: nn.Module = plugin.Network(options, shape, classes, additions)
    if additions.made != additions.total:
        raise ValueError(f"{architecture.kind}: {additions.made} additions made, {additions.total} declared")
    return network

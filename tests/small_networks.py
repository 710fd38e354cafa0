"""Small networks of every architecture, for tests of shortcut kinds and of what a residual addition can choose."""

from typing import Any

import torch
from torch import Tensor, nn

from infoplane.models.build import build
from infoplane.models.residual import ResidualAddition
from infoplane.options import image, vector
from infoplane.specs import Plugin

SHAPE = (3, 8, 8)
OPTIONS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 6, "blocks": 3, "post_activation": "none"},
    "vit": {"dim": 8, "heads": 2, "patch": 4, "blocks": 3},
    "mixer": {"dim": 8, "patch": 4, "blocks": 3},
    "mlp": {"width": 7, "blocks": 6},
    "tapered_mlp": {"widths": (9, 9, 9, 9)},
}


def images(n: int = 4) -> Tensor:
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def network(architecture: str, kind: str, more: dict[str, Any] | None = None, **options: Any) -> nn.Module:
    plugin = Plugin(architecture, OPTIONS[architecture] | (more or {}))
    return build(plugin, Plugin(kind, options), image(*SHAPE), vector(5), seed=0)


def additions(of: nn.Module) -> list[ResidualAddition]:
    return [module for module in of.modules() if isinstance(module, ResidualAddition)]

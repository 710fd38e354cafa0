"""Small data that an architecture takes, so that what is tested of one architecture is tested of all."""

from typing import Any, NamedTuple

import torch

from infoplane import registry
from infoplane.options import Field
from infoplane.specs import Plugin
from infoplane.task import Task

CLASSIFICATION: dict[str, Any] = {"x": "x", "y": "y", "label_noise": 0.0}
RESTORATION: dict[str, Any] = {"x": "x", "y": "y", "loss": "l1", "ssim_window": 7}


SIZES: dict[str, dict[str, Any]] = {
    "edsr": {"width": 4, "blocks": 2},
    "mixer": {"dim": 8, "blocks": 1, "patch": 4},
    "mlp": {"width": 16, "blocks": 2},
    "resnet": {"width": 4, "blocks": 2},
    "tapered_mlp": {"widths": [8, 4]},
    "tcn": {"width": 4, "blocks": 2},
    "vit": {"dim": 8, "blocks": 1, "patch": 4},
}
"""Options that make an architecture small; without any it is tested with its defaults."""


class Data(NamedTuple):
    """A data set, and what is learned of it."""

    kind: str
    task: Plugin

    @property
    def fields(self) -> tuple[Field, Field]:
        """What a network reads of a sample, and what it answers."""
        task = Task(self.task, registry.options_class("data set", self.kind)().fields)
        return task.input, task.output


SMALL = [
    Data("digits", Plugin("classification", CLASSIFICATION)),
    Data("digits_x2", Plugin("restoration", RESTORATION)),
    Data("tone_words", Plugin("classification", CLASSIFICATION)),
    Data("two_sources", Plugin("separation", {"x": "x", "y": "y"})),
]
"""An architecture is tested with the first that it takes."""


def data_of(architecture: str) -> Data:
    """The first of the small data that an architecture takes."""
    options = registry.options_class("architecture", architecture)()
    for data in SMALL:
        try:
            options.check(*data.fields)
        except ValueError:
            continue
        return data
    raise AssertionError(
        f"{architecture} takes none of {', '.join(data.kind for data in SMALL)}: add data that it takes"
    )


def inputs(field: Field, n: int = 4) -> torch.Tensor:
    return torch.randn(n, *field.shape, generator=torch.Generator().manual_seed(0))

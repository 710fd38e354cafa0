"""Optimisers by name, and their state as named tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from infoplane.specs import TrainingSpec


def make(parameters: Sequence[Tensor], spec: TrainingSpec, stacked: bool = False) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, AdamW or Adam; weight decay on matrices and kernels only, not on biases and gains.

    stacked: the first axis of each parameter counts networks; the update is fused, which rounds a little differently.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim - stacked > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in trained if p.ndim - stacked <= 1], "weight_decay": 0.0},
    ]
    how: dict[str, Any] = {"lr": spec.learning_rate} | ({"fused": True} if stacked else {})
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=spec.momentum, nesterov=spec.momentum > 0, **how)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=(spec.momentum, 0.999), **how)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as ``{parameter index}/{name}`` -> tensor."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, values in state.items() for name, value in values.items()}


def load_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `state_tensors` gave; groups keep the settings that they were made with."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

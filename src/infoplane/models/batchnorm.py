"""BatchNorm statistics taken anew before a network is read.

Running statistics lag behind the weights, and at step 0 they have no meaning. So whenever a network is evaluated or
its activations are read, they are replaced by the plain average over a fixed set of training samples.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SAMPLES = 512
"""Default number of training samples (ours)."""
BATCH = 256


def has_batchnorm(network: nn.Module) -> bool:
    """Whether there is anything to recalibrate."""
    return bool(batchnorms(network))


def batchnorms(network: nn.Module) -> dict[str, _BatchNorm]:
    """Name -> BatchNorm, in order of definition."""
    return {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}


@torch.no_grad()
def recalibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of the network in evaluation mode whose BatchNorm statistics are averages over ``images`` (n, C, ...).

    The network itself is left as it is. Without BatchNorm, or without images, the copy keeps its statistics.
    """
    clone = copy.deepcopy(network).eval()
    norms = batchnorms(clone).values()
    if not norms or not len(images):
        return clone
    for norm in norms:
        norm.reset_running_stats()
    take_averages(clone, images, clone)
    return clone


def take_averages(network: nn.Module, images: Tensor, forward: Callable[[Tensor], object]) -> None:
    """Have ``forward`` pass ``images`` (n, C, ...) through a network in evaluation mode whose BatchNorms learn alone.

    Their statistics, which must be finite beforehand, end as the plain average over the batches.
    """
    norms = batchnorms(network).values()
    for norm in norms:
        norm.train()
    for count, batch in enumerate(images.split(BATCH), 1):
        for norm in norms:
            norm.momentum = 1 / count
        forward(batch)
    for norm in norms:
        norm.eval()

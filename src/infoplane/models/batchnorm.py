"""BatchNorm statistics taken anew before a network is read.

Running statistics lag behind the weights, and at step 0 they mean nothing. So whenever a network is evaluated or
its activations are read, they are replaced by the plain average over a fixed set of training samples.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SAMPLES = 512
"""Default number of training samples (ours)."""
BATCH = 256


def has_batchnorm(network: nn.Module) -> bool:
    """Whether there is anything to recalibrate."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


@torch.no_grad()
def recalibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of the network in evaluation mode whose BatchNorm statistics are averages over ``images`` (n, C, H, W).

    The network itself is left as it is. Without BatchNorm, or without images, the copy keeps its statistics.
    """
    clone = copy.deepcopy(network).eval()
    norms = [module for module in clone.modules() if isinstance(module, _BatchNorm)]
    if not norms or not len(images):
        return clone
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()
    for batch in images.split(BATCH):
        clone(batch)
    return clone.eval()

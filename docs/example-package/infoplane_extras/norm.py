"""The mean Euclidean norm of an activation, divided by the square root of its number of units."""

from math import sqrt

import torch
from torch import Tensor

from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets
from infoplane.options import NoOptions


def estimate(z: Tensor, targets: Targets, options: NoOptions) -> list[Estimate]:
    """Root mean square over units, mean over the samples of activations of shape (n, ...)."""
    z = z.flatten(1).double()
    n, d = z.shape
    finite = bool(torch.isfinite(z).all())
    norms = z.norm(dim=1) / sqrt(d)
    found = Estimate(
        measure="norm",
        unit="1",
        value=float(norms.mean()) if finite else None,
        stderr=float(norms.std() / sqrt(n)) if finite else None,
        reference=None,
        n=n,
        d=d,
        note="" if finite else "non-finite",
    )
    return [found]

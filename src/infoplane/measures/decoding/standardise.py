"""Activations as a decoder network reads them: every feature of mean 0 and variance 1."""

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import BLOCK, standardised, varying_features


def standardise(z: Tensor) -> tuple[Tensor, int]:
    """Features of mean 0 and variance 1, float32, shape (n, d), and how many are constant: those are 0.

    Means and variances are float64. Constant is what varies by no more than rounding (`gram.varying_features`).
    """
    n, d = z.shape
    found = torch.empty(n, d, dtype=torch.float32, device=z.device)
    kept = 0
    for block, into in zip(z.split(max(1, BLOCK // n), 1), found.split(max(1, BLOCK // n), 1), strict=True):
        varies = varying_features(block)
        into.zero_()
        into[:, varies] = standardised(block[:, varies]).float()
        kept += int(varies.sum())
    return found, d - kept

"""An estimator's error: the same estimator, compression, n and dimensions on data of known mutual information.

Butakov et al. 2023 test their estimators so; here the test stands beside every compressed value.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.information.compression import NOISES, Compression, Noises, compress
from infoplane.measures.information.coordinates import normal_columns
from infoplane.measures.information.mutual import (
    ClassEstimator,
    Estimator,
    class_coordinates,
    plain_class_terms,
    plain_terms,
)
from infoplane.streams import own_seed

WIDEST = 64
"""Columns of the synthetic data at most: more of them change neither compression, but would cost time."""

NATS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 17.0)
"""I(X;Z) at which an estimator is tried."""

SPREADS = (0.0, 0.2, 0.4, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)
"""Distances of class means from their centre at which an estimator of I(Z;Y) is tried."""

POSTERIOR = 20_000
"""Draws over which the exact posterior of the classes is averaged."""


@dataclass(frozen=True)
class Setting:
    """How a value was estimated. wide: columns before compression, of X (unless there are classes) and of Z."""

    estimator: Estimator | ClassEstimator
    k: int
    compression: Compression
    dimensions: int
    n: int
    wide: tuple[int, ...]
    classes: int = 0
    seed: int = 0
    noises: Noises = NOISES


class Calibration(NamedTuple):
    """off: estimate - truth where the estimate is what was measured, nats; truth: the information there.

    beyond: whether even the most informative data gave less than what was measured, so that it says nothing.
    """

    off: float
    truth: float
    beyond: bool


def calibrate(setting: Setting, value: float) -> Calibration | None:
    """The estimator's error where it gives ``value`` nats; None where it does not run on such data.

    Truth rises along a grid, which is tried from the level of ``value`` on and only as far as needed; between two
    levels it is interpolated. Every level is computed once per process.
    """
    wide = tuple(min(width, max(WIDEST, setting.dimensions)) for width in setting.wide)
    setting = replace(setting, wide=wide)
    levels = len(SPREADS if setting.classes else NATS)
    try:
        at = 0 if setting.classes else min(int(np.searchsorted(NATS, value)), levels - 1)
        while at < levels - 1 and tried(setting, at)[1] < value:
            at += 1
        while at > 0 and tried(setting, at - 1)[1] >= value:
            at -= 1
        truth, estimate = tried(setting, at)
        if at and estimate > value:
            truth_below, below = tried(setting, at - 1)
            truth = truth_below + (truth - truth_below) * (value - below) / (estimate - below)
            return Calibration(value - truth, truth, False)
    except UserError:
        return None
    return Calibration(estimate - truth, truth, estimate < value)


@lru_cache(maxsize=4096)
def tried(setting: Setting, level: int) -> tuple[float, float]:
    """Truth and estimate in nats at one level of the grid."""
    rng = np.random.default_rng(own_seed(setting.seed, "calibration", level))
    if setting.classes:
        truth, z, labels = known_classes(rng, setting, SPREADS[level])
        z = class_coordinates(_compressed(z, setting), labels)
        terms = plain_class_terms(z, labels, setting.estimator, setting.k)[0]  # type: ignore[arg-type]
        return truth, float(terms[terms.isfinite()].mean())
    x, z = known_information(rng, setting, NATS[level])
    x, z = (normal_columns(_compressed(side, setting)) for side in (x, z))
    return NATS[level], float(plain_terms(x, z, setting.estimator, setting.k)[0].mean())  # type: ignore[arg-type]


def known_information(rng: np.random.Generator, setting: Setting, nats: float) -> tuple[Tensor, Tensor]:
    """X and Z of these widths with I(X;Z) = ``nats``: correlated normal latents, mapped injectively.

    The information is split equally over as many pairs of latents as both sides can have, rho^2 = 1 - exp(-2 I / d).
    Z is rotated so that each column mixes all pairs: no layer keeps to the axes of its input, and estimators do worse
    where none does.
    """
    narrow = [min(width, setting.dimensions) for width in setting.wide]
    pairs = min(narrow)
    rho = math.sqrt(1 - math.exp(-2 * nats / pairs))
    x, z = (rng.normal(size=(setting.n, d)) for d in narrow)
    z[:, :pairs] = rho * x[:, :pairs] + math.sqrt(1 - rho**2) * z[:, :pairs]
    z = dct(z, norm="ortho")
    return _widen(rng, x, setting.wide[0]), _widen(rng, z, setting.wide[1])


def known_classes(rng: np.random.Generator, setting: Setting, spread: float) -> tuple[float, Tensor, Tensor]:
    """I(Z;Y) in nats, Z and labels: equally frequent classes, unit normal latents around means, mapped injectively."""
    (wide,), classes = setting.wide, setting.classes
    d = min(wide, setting.dimensions)
    means = rng.normal(size=(classes, d))
    means -= means.mean(0)
    means *= spread * math.sqrt(classes) / max(float(np.linalg.norm(means)), 1e-300)
    labels = rng.integers(0, classes, POSTERIOR)
    logits = (means[labels] + rng.normal(size=(POSTERIOR, d))) @ means.T - (means**2).sum(1) / 2
    chosen = torch.log_softmax(torch.as_tensor(logits), 1)[torch.arange(POSTERIOR), torch.as_tensor(labels)]
    labels = rng.permutation(np.arange(setting.n) % classes)
    z = means[labels] + rng.normal(size=(setting.n, d))
    return max(0.0, math.log(classes) + float(chosen.mean())), _widen(rng, z, wide), torch.as_tensor(labels)


def _widen(rng: np.random.Generator, latents: np.ndarray, wide: int) -> Tensor:
    """tanh of a random linear map of full rank: injective, and no longer a plane."""
    d = latents.shape[1]
    if wide == d:
        return torch.as_tensor(latents)
    return torch.as_tensor(np.tanh(latents @ rng.normal(size=(d, wide)) / math.sqrt(d)))


def _compressed(z: Tensor, setting: Setting) -> Tensor:
    return compress(z, setting.dimensions, setting.compression, setting.seed, noises=setting.noises).code

"""What the tests of known truths share: samples, log densities, and information from a covariance."""

import math

import numpy as np

from infoplane.measures.truths import Truth

MANY = 200_000


def draw(truth: Truth, n: int = MANY, seed: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return truth.draw(np.random.default_rng(seed), n // truth.multiple * truth.multiple)


def log_normal(t: np.ndarray, mean: np.ndarray | float, deviation: float) -> np.ndarray:
    """log N(t; mean, deviation^2 1), summed over the last axis."""
    each = -(((t - mean) / deviation) ** 2) / 2 - math.log(deviation * math.sqrt(2 * math.pi))
    return np.asarray(each.sum(-1))


def gaussian_information(x: np.ndarray, z: np.ndarray) -> float:
    """I(X;Z) of jointly normal samples, from their covariance."""
    both = np.cov(np.concatenate([x, z], axis=1).T)
    d = x.shape[1]
    log_det = [float(np.linalg.slogdet(part)[1]) for part in (both[:d, :d], both[d:, d:], both)]
    return (log_det[0] + log_det[1] - log_det[2]) / 2

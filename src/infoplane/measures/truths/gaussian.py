"""Jointly Gaussian X and Z: closed forms of Z-X and of the mutual information."""

import numpy as np
from scipy.stats import ortho_group

from infoplane.measures.truths.truth import Sample, Truth, remaining_error, two_classes, unexplained_error


def linear_gaussian(d: int, snr: float = 1.0, mixed: bool = False) -> Truth:
    """Z = A X + N, X and N standard normal in d dimensions, A = sqrt(snr) times the identity or a random matrix.

    Z-X is tr (1 + A'A)^-1 / d, the error of the Wiener filter; I(X;Z) is log det (1 + A'A) / 2 (Cover and Thomas,
    "Elements of Information Theory", 2006, section 9.4: parallel Gaussian channels).
    """
    a = np.random.default_rng(7).normal(size=(d, d)) / np.sqrt(d) if mixed else np.eye(d)
    a = np.sqrt(snr) * a
    precision = np.eye(d) + a.T @ a
    filter_ = np.linalg.solve(precision, a.T)
    values = {
        "zx": float(np.trace(np.linalg.inv(precision)) / d),
        "ixz": float(np.linalg.slogdet(precision)[1] / 2),
    }

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.normal(size=(n, d))
        return x @ a.T + rng.normal(size=(n, d)), x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, z @ filter_.T)}

    def floor(n: int) -> dict[str, float]:
        return {} if mixed else {"zx": unexplained_error(snr / (1 + snr), n * d)}

    name = f"linear-Gaussian, d = {d}, SNR {snr:g}{', mixed' if mixed else ''}"
    return Truth(name, "linear-Gaussian", values, draw, ("zx",), 1, optimal, floor, continuous=True, dimension=d)


def correlated(d: int, information: float) -> Truth:
    """X and Z standard normal in d dimensions, each pair of coordinates with I / d nats, both rotated at random.

    rho = sqrt(1 - exp(-2 I / d)) (Butakov et al., "Information bottleneck analysis of deep neural networks via lossy
    compression", 2023: the known-information tests); Z-X is 1 - rho^2, which a rotation does not change.
    """
    rho = np.sqrt(1 - np.exp(-2 * information / d))
    turn_x, turn_z = rotations(d)

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x, z = correlated_pair(rng, n, d, information)
        return z @ turn_z, x @ turn_x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, rho * z @ turn_z.T @ turn_x)}

    name = f"correlated Gaussians, d = {d}, {information:g} nats"
    values = {"zx": float(1 - rho**2), "ixz": float(information)}

    def floor(n: int) -> dict[str, float]:
        return {"zx": unexplained_error(float(rho**2), n * d)}

    return Truth(name, "correlated Gaussians", values, draw, ("zx",), 1, optimal, floor, continuous=True, dimension=d)


def correlated_pair(rng: np.random.Generator, n: int, d: int, information: float) -> tuple[np.ndarray, np.ndarray]:
    """X and Z of shape (n, d), standard normal, with ``information`` nats split equally over the coordinates."""
    rho = np.sqrt(1 - np.exp(-2 * information / d))
    x, noise = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    return x, rho * x + np.sqrt(1 - rho**2) * noise


def rotations(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two fixed random rotations of d dimensions; in one dimension there is nothing to rotate."""
    if d == 1:
        return np.eye(1), np.eye(1)
    first, second = ortho_group.rvs(d, size=2, random_state=np.random.default_rng(5))
    return first, second

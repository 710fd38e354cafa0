"""One-dimensional channels that no linear decoder inverts: Z-X and I(X;Z) by quadrature or in closed form."""

import numpy as np

from infoplane.measures.truths.truth import (
    Sample,
    Truth,
    density_entropy,
    normal_density,
    normal_entropy,
    remaining_error,
    two_classes,
)

GRID = 200_001
GROUP = "scalar channels"


def sign_channel(noise: float = 0.5) -> Truth:
    """Z = sign(X) + noise N, X standard normal.

    E[X|Z] = sqrt(2/pi) tanh(Z / noise^2), its mean square by quadrature; I(X;Z) = h(Z) - h(N), h(Z) by quadrature.
    """
    z = np.linspace(-1 - 12 * noise, 1 + 12 * noise, GRID)
    step = z[1] - z[0]
    density = (normal_density(z, 1, noise) + normal_density(z, -1, noise)) / 2

    def decode(z: np.ndarray) -> np.ndarray:
        decoded: np.ndarray = np.sqrt(2 / np.pi) * np.tanh(z / noise**2)
        return decoded

    values = {
        "zx": float(1 - (density * decode(z) ** 2).sum() * step),
        "ixz": density_entropy(density, step) - normal_entropy(noise),
    }

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.normal(size=(n, 1))
        return np.sign(x) + noise * rng.normal(size=(n, 1)), x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, decode(z))}

    return Truth("sign channel", GROUP, values, draw, optimal=optimal, continuous=True, dimension=1)


def mixture_channel(apart: float = 2.0, width: float = 0.5, noise: float = 1.0) -> Truth:
    """Z = X + noise N, X from N(-apart, width^2) or N(apart, width^2) with equal chance.

    E[X|Z] is the posterior mixture of the two Wiener filters, its mean square by quadrature; I(X;Z) = h(Z) - h(N).
    """
    deviation = np.hypot(width, noise)
    gain = width**2 / deviation**2
    variance = apart**2 + width**2
    z = np.linspace(-apart - 12 * deviation, apart + 12 * deviation, GRID)
    step = z[1] - z[0]
    density = (normal_density(z, apart, deviation) + normal_density(z, -apart, deviation)) / 2

    def decode(z: np.ndarray) -> np.ndarray:
        expected = apart * np.tanh(apart * z / deviation**2)
        decoded: np.ndarray = expected + gain * (z - expected)
        return decoded

    values = {
        "zx": float(1 - (density * decode(z) ** 2).sum() * step / variance),
        "ixz": density_entropy(density, step) - normal_entropy(noise),
    }

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = apart * rng.choice([-1.0, 1.0], size=(n, 1)) + width * rng.normal(size=(n, 1))
        return x + noise * rng.normal(size=(n, 1)), x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, decode(z))}

    return Truth("two-Gaussian mixture channel", GROUP, values, draw, optimal=optimal, continuous=True, dimension=1)


def additive_uniform(noise: float) -> Truth:
    """Z = X + N, X uniform on [0, 1], N uniform on [-noise, noise].

    I(X;Z) is noise - log(2 noise) up to noise = 1/2 and 1 / (4 noise) beyond (Czyz et al., "Beyond normal: on the
    evaluation of mutual information estimators", 2023). Given Z, X is uniform on an interval of length L, so Z-X is
    E[L^2]: with w = 2 noise, w^2 - w^3 / 2 up to w = 1 and 1 - 1 / (2 w) beyond.
    """
    w = 2 * noise
    information = noise - np.log(w) if w <= 1 else 1 / (2 * w)
    values = {"zx": float(w**2 - w**3 / 2 if w <= 1 else 1 - 1 / (2 * w)), "ixz": float(information)}

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.uniform(0, 1, size=(n, 1))
        return x + rng.uniform(-noise, noise, size=(n, 1)), x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        middle = (np.maximum(z - noise, 0) + np.minimum(z + noise, 1)) / 2
        return {"zx": remaining_error(x, middle)}

    return Truth(
        f"additive uniform noise, {noise:g}", GROUP, values, draw, optimal=optimal, continuous=True, dimension=1
    )

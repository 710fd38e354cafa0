"""What decoders are known to fall over: steep and jumping inverses, heavy tails, weak signals, one unit of many."""

from functools import cache

import numpy as np
from scipy.special import digamma
from scipy.stats import t as student_t

from infoplane.measures.truths.truth import Sample, Truth, remaining_error, two_classes

GROUP = "hard cases"


def cubes(d: int) -> Truth:
    """Z = X^3 unit by unit, X standard normal: Z-X is 0, but the inverse is infinitely steep at 0 and flat far out."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.normal(size=(n, d))
        return x**3, x, two_classes(n)

    return Truth(f"cubes, d = {d}", GROUP, {"zx": 0.0}, draw)


def circle() -> Truth:
    """X uniform on (-pi, pi), Z = (cos X, sin X): Z-X is 0, and the inverse jumps at one point."""

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.uniform(-np.pi, np.pi, (n, 1))
        return np.hstack([np.cos(x), np.sin(x)]), x, two_classes(n)

    return Truth("circle covered once", GROUP, {"zx": 0.0}, draw)


class HeavyTailed:
    """X Student-t with 2.5 degrees of freedom, Z = X + N standard normal: E[X|Z] by quadrature.

    The posterior mean is an average over X with weights p(x) N(z - x); the variance of X is v / (v - 2) = 5.
    """

    def __init__(self, freedom: float = 2.5) -> None:
        self.freedom = freedom
        noise = np.linspace(-9, 9, 601)
        self.grid = np.sinh(np.linspace(-12, 12, 2001))
        x = self.grid[:, None] - noise
        weights = student_t.pdf(x, freedom) * np.exp(-(noise**2) / 2)
        self.decoded = (weights * x).sum(1) / weights.sum(1)
        self.second = (weights * x**2).sum(1) / weights.sum(1)
        self.density = weights.sum(1) * (noise[1] - noise[0]) / np.sqrt(2 * np.pi)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """E[X|Z = z]; beyond the grid, where the noise is nothing beside X, z itself."""
        found: np.ndarray = np.where(np.abs(z) < self.grid[-1], np.interp(z, self.grid, self.decoded), z)
        return found

    def error(self) -> float:
        """E Var(X|Z) / Var X, by the trapezoid rule over z."""
        left = (self.second - self.decoded**2) * self.density
        return float(np.trapezoid(left, self.grid) / (self.freedom / (self.freedom - 2)))


@cache
def heavy_tailed() -> HeavyTailed:
    return HeavyTailed()


def heavy_tails() -> Truth:
    """X Student-t with 2.5 degrees of freedom, Z = X + N: the best decoder by quadrature (`HeavyTailed`)."""
    channel = heavy_tailed()

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.standard_t(channel.freedom, size=(n, 1))
        return x + rng.normal(size=(n, 1)), x, two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, channel.decode(z))}

    values = {"zx": channel.error()}
    return Truth("heavy tails through noise", GROUP, values, draw, optimal=optimal, continuous=True, dimension=1)


def gamma_exponential(shape: float = 0.3) -> Truth:
    """X gamma with this shape and rate 1, Z exponential with rate X, as they are: tails over many orders of magnitude.

    I(X;Z) = digamma(a + 1) - log a: h(Z) is that of a Lomax density of shape a, log(1/a) + 1/a + 1, and h(Z|X) is
    1 - E log X = 1 - digamma(a); digamma(a + 1) = digamma(a) + 1/a (Darbellay and Vajda, "Entropy expressions for
    multivariate continuous distributions", 2000: the gamma-exponential).
    """
    information = float(digamma(shape + 1) - np.log(shape))

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x = rng.gamma(shape, size=(n, 1))
        return rng.exponential(size=(n, 1)) / x, x, two_classes(n)

    name = f"gamma-exponential, {information:.2f} nats"
    return Truth(name, GROUP, {"ixz": information}, draw, continuous=True, dimension=1)


def one_unit(d: int = 5000, noise: float = 0.1) -> Truth:
    """Z has d standard normal units, of which the first alone tells of X = Z_1 + noise N.

    Z-X is noise^2 / (1 + noise^2); I(X;Z) is that of the pair of scalars, log(1 + 1 / noise^2) / 2.
    """
    values = {"zx": noise**2 / (1 + noise**2), "ixz": float(np.log1p(noise**-2) / 2)}

    def draw(rng: np.random.Generator, n: int) -> Sample:
        z = rng.normal(size=(n, d))
        return z, z[:, :1] + noise * rng.normal(size=(n, 1)), two_classes(n)

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return {"zx": remaining_error(x, z[:, :1])}

    name = f"one informative unit of {d:,}"
    return Truth(name, GROUP, values, draw, ("zx",), optimal=optimal, continuous=True, dimension=d)

"""A thin density that winds through the plane: locally a pair of scalars, but narrower than twenty neighbours."""

import numpy as np

from infoplane.measures.truths.truth import Sample, Truth, density_entropy, normal_density, two_classes

COMPONENTS = 12
VARIANCE = 0.1
APART = 1.5


def clusters() -> tuple[np.ndarray, np.ndarray]:
    """The means of X's first coordinate and of Z in each of the components."""
    number = np.arange(COMPONENTS)
    return APART * number, APART * (number % 4)


def wave_information() -> float:
    """I of the first coordinate of X and of Z before the map: h(X) + h(Z) - h(X, Z), by quadrature on an even grid."""
    step, deviation = 0.02, VARIANCE**0.5
    axes = [np.arange(ends.min() - 8 * deviation, ends.max() + 8 * deviation, step) for ends in clusters()]
    each = [normal_density(axis, mean[:, None], deviation) for axis, mean in zip(axes, clusters(), strict=True)]
    both = each[0].T @ each[1] / COMPONENTS
    return sum(density_entropy(one.mean(0), step) for one in each) - density_entropy(both, step**2)


def waves() -> Truth:
    """X a mixture of twelve Gaussians in the plane under a wavy map, Z which of four groups, blurred.

    The "Waves" of Czyz et al., "On the properties and estimation of pointwise mutual information profiles", 2023. X's
    second coordinate is independent noise, and (a, b) -> (a + 5 sin 3b, b) is injective, so that I(X;Z) is that of a
    and Z.
    """
    places, groups = clusters()

    def draw(rng: np.random.Generator, n: int) -> Sample:
        component = rng.integers(0, COMPONENTS, n)
        first = places[component] + VARIANCE**0.5 * rng.normal(size=n)
        second = rng.normal(size=n)
        z = groups[component] + VARIANCE**0.5 * rng.normal(size=n)
        x = np.stack([0.1 * (first + 5 * np.sin(3 * second)) - 0.8, 0.5 * second], axis=1)
        return z[:, None], x, two_classes(n)

    return Truth("thin waves", "injective maps", {"ixz": wave_information()}, draw, continuous=True, dimension=2)

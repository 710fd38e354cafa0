"""Discrete toys whose sample is an enumeration: its empirical distribution is the distribution, to the last count.

So an estimator that counts can be held to the truth at the precision of the machine, at any n that is a multiple of the
table's total.
"""

import numpy as np

from infoplane.measures.truths.truth import Sample, Truth, counting_excess, entropy

GROUP = "discrete"
JITTER = 0.5
"""Width of the uniform noise around a code that makes every X distinct."""


def information(joint: np.ndarray, *axes: int) -> float:
    """The mutual information of two axes of a table of counts or probabilities, nats; the others are summed out."""
    others = tuple(axis for axis in range(joint.ndim) if axis not in axes)
    pair = joint.sum(others) / joint.sum()
    return entropy(pair.sum(0)) + entropy(pair.sum(1)) - entropy(pair)


def enumerated(counts: np.ndarray, rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """n draws of the cells of a table, each as often as it counts, in random order: one array per axis."""
    repeats = counts.ravel() * (n // int(counts.sum()))
    cells = rng.permutation(np.repeat(np.arange(counts.size), repeats))
    return np.unravel_index(cells, counts.shape)


def channel(name: str, counts: np.ndarray, x_codes: np.ndarray, z_codes: np.ndarray, linear: tuple[str, ...]) -> Truth:
    """X, Z and Y from a table of counts with axes (x, z, y); row i of the codes is where value i lies.

    Everything follows from the table: H(Y|Z), I(X;Z), I(Z;Y), I(X;Z|Y), and Z-X as the mean variance of a code of X
    given Z.
    """
    p = counts / counts.sum()
    given_z = p.sum(2) / p.sum((0, 2))
    decoder = given_z.T @ x_codes
    spread = p.sum((1, 2)) @ ((x_codes - p.sum((1, 2)) @ x_codes) ** 2).sum(1)
    left = sum(p.sum(2)[x, z] * ((x_codes[x] - decoder[z]) ** 2).sum() for x, z in np.ndindex(p.shape[:2]))
    per_class = sum(p[..., y].sum() * information(p[..., y], 0, 1) for y in range(p.shape[2]))
    values = {
        "zx": float(left / spread),
        "zy": entropy(p.sum((0, 1))) - information(p, 1, 2),
        "ixz": information(p, 0, 1),
        "izy": information(p, 1, 2),
        "ixz_given_y": float(per_class),
    }

    def draw(rng: np.random.Generator, n: int) -> Sample:
        x, z, y = enumerated(counts, rng, n)
        return z_codes[z], x_codes[x], y

    def floor(n: int) -> dict[str, float]:
        return {"zy": counting_excess(counts.sum(0) * (n // int(counts.sum())))}

    return Truth(name, GROUP, values, draw, linear, multiple=int(counts.sum()), floor=floor)


def corners(bits: int) -> np.ndarray:
    """The corners of a cube of side 1 around the origin, shape (2^bits, bits)."""
    return (np.arange(2**bits)[:, None] >> np.arange(bits) & 1) - 0.5


def confusion(bits: int = 2) -> Truth:
    """Z is the corner of X, or with probability 3/10 any of the three others; Y is the first bit of X."""
    values = 2**bits
    counts = np.zeros((values, values, 2), np.int64)
    for x, z in np.ndindex(values, values):
        counts[x, z, x & 1] = 7 if x == z else 1
    return channel("confused corners", counts, corners(bits), corners(bits), linear=("zx", "zy"))


def ten_symbols() -> Truth:
    """X = Z one of ten unit vectors; Y is its number with probability 41/50, else any of the nine others."""
    counts = np.zeros((10, 10, 10), np.int64)
    for symbol, y in np.ndindex(10, 10):
        counts[symbol, symbol, y] = 41 if symbol == y else 1
    return channel("ten symbols", counts, np.eye(10), np.eye(10), linear=("zx", "zy"))


def erased_letters() -> Truth:
    """X one of four letters, Z the same or with probability 1/4 a fifth sign that tells nothing; Y is the letter.

    The erasure channel: I(X;Z) = I(Z;Y) = 3/4 log 4 (Cover and Thomas, "Elements of Information Theory", 2006, section
    7.1.5). The fifth sign lies in the middle of the letters.
    """
    counts = np.zeros((4, 5, 4), np.int64)
    for letter in range(4):
        counts[letter, letter, letter], counts[letter, 4, letter] = 3, 1
    return channel("erased letters", counts, np.eye(4), np.vstack([np.eye(4), np.full(4, 0.25)]), linear=("zx",))


def merged_letters() -> Truth:
    """X one of six letters of falling frequency, 32 : 16 : 8 : 4 : 2 : 2, Z which pair it is in; Y whether it is first.

    Deterministic, so that I(X;Z) = H(Z).
    """
    counts = np.zeros((6, 3, 2), np.int64)
    for letter, count in enumerate((32, 16, 8, 4, 2, 2)):
        counts[letter, letter // 2, int(letter == 0)] = count
    return channel("merged letters", counts, np.eye(6), np.eye(3), linear=("zx", "zy"))


def function_of_input() -> Truth:
    """Z is the nearest of eight corners to X, which is jittered so that every X is distinct; Y leans on the corner.

    I(X;Z) = H(Z) = log 8 of the distribution and of the sample alike; Y is the exclusive or of the corner's bits, wrong
    once in five times, so no linear decoder attains H(Y|Z).
    """
    codes = corners(3)
    odd = (codes > 0).sum(1) % 2
    counts = np.where(odd[:, None] == np.arange(2), 4, 1)
    jitter = JITTER**2 / 12
    table = information(counts, 0, 1)
    values = {
        "zx": jitter / (0.25 + jitter),
        "zy": float(np.log(2)) - table,
        "ixz": float(np.log(8)),
        "izy": table,
    }

    def draw(rng: np.random.Generator, n: int) -> Sample:
        corner, y = enumerated(counts, rng, n)
        return codes[corner], codes[corner] + rng.uniform(-JITTER / 2, JITTER / 2, (n, 3)), y

    return Truth("corner of the input", GROUP, values, draw, linear=("zx",), multiple=int(counts.sum()))


def exclusive_or(flip: float = 0.1) -> Truth:
    """Z two bits, slightly blurred; Y their exclusive or, flipped with probability ``flip``: H(Y|Z) = h(flip)."""
    value = entropy(np.array([flip, 1 - flip]))

    def draw(rng: np.random.Generator, n: int) -> Sample:
        bits = rng.integers(0, 2, (n, 2))
        y = (bits.sum(1) % 2) ^ (rng.random(n) < flip)
        return bits + 0.05 * rng.normal(size=(n, 2)), bits.astype(float), y

    def optimal(z: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        wrong = np.mean((np.rint(z).sum(1) % 2) != labels)
        return {"zy": float(-wrong * np.log(flip) - (1 - wrong) * np.log(1 - flip))}

    values = {"zy": value, "izy": float(np.log(2)) - value}
    return Truth("exclusive or of two bits", GROUP, values, draw, optimal=optimal, continuous=True, dimension=2)

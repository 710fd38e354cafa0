"""All 4,096 patterns of 12 bits with a label that rotations do not change: the classic of the information plane.

Shwartz-Ziv and Tishby 2017 (arXiv:1703.00810), section 3.1: the bits stand at 12 points spread evenly over a sphere,
and p(y = 1 | x) is a logistic function, steep enough to be a step, of f(x) - threshold, where f combines the powers of
the pattern's spherical harmonics and so is blind to rotations. They published neither f nor the points. Here the
points are the corners of an icosahedron, and f counts points and pairs: by the addition theorem, a sum over pairs of a
function of their angle is such a combination (of degrees 0 to 3, as there are four angles). Its coefficients are ours,
chosen so that the share of y = 1 among patterns of equally many ones is the published data's for every number of ones.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.samples import Samples
from infoplane.errors import UserError
from infoplane.options import Fields, image, label

BITS = 12
POINT, NEIGHBOURS, OPPOSITES = 9, -2, -1
"""What f adds for every one, for two ones at neighbouring corners, and for two at opposite corners."""
THRESHOLD = 38.5


@dataclass(frozen=True)
class Options:
    path: Annotated[str, "the authors' own file var_u.mat (keys F and y); empty: labels by our rule"] = ""

    @property
    def fields(self) -> Fields:
        return {"x": image(1, 1, BITS), "y": label(2, ("0", "1"))}

    @property
    def size(self) -> int | None:
        return 4096


def load(options: Options, folder: Path) -> Samples:
    """Every pattern once, a one as white (255); raises `UserError` for a file that is not the authors'."""
    if options.path:
        patterns, labels = read_mat(Path(options.path).expanduser())
        source = f"szt: 12-bit patterns and labels from {options.path}."
    else:
        patterns = np.arange(2**BITS)[:, None] >> np.arange(BITS) & 1
        labels = (symmetric_function(patterns) > THRESHOLD).astype(np.int64)
        source = "szt: all 12-bit patterns, labelled by a rule that the rotations of an icosahedron do not change."
    pixels = (255 * patterns).astype(np.uint8).reshape(-1, 1, 1, BITS)
    return Samples({"x": pixels, "y": labels}, source)


def corners() -> np.ndarray:
    """The corners of an icosahedron on the unit sphere, float64, shape (12, 3): the points at which the bits stand."""
    golden = (1 + 5**0.5) / 2
    rectangle = np.array([(0.0, a, b * golden) for a, b in product((-1, 1), repeat=2)])
    three = np.concatenate([np.roll(rectangle, turn, axis=1) for turn in range(3)])
    return three / np.linalg.norm(three[0])


def symmetric_function(patterns: np.ndarray) -> np.ndarray:
    """f of patterns of zeros and ones, shape (n, 12) -> int64, shape (n,)."""
    cosines = corners() @ corners().T
    pairs = NEIGHBOURS * np.isclose(cosines, 5**-0.5) + OPPOSITES * np.isclose(cosines, -1)
    return POINT * patterns.sum(1) + np.einsum("ni,ij,nj->n", patterns, pairs, patterns) // 2


def read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Patterns (n, 12) of zeros and ones and labels (n,), int64; raises `UserError` for any other file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise UserError(f"data set 'szt': {path} does not exist: set `path` to var_u.mat, or leave it out.")
    try:
        found = loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, OSError, TypeError, KeyError, IndexError) as error:
        raise UserError(f"{path} is not a complete MATLAB file ({error}): get var_u.mat again.") from None
    for key in ("F", "y"):
        if key not in found:
            held = ", ".join(sorted(name for name in found if not name.startswith("__"))) or "nothing"
            raise UserError(f"{path} has no variable '{key}': it holds {held}.")
    patterns, labels = np.asarray(found["F"]), np.asarray(found["y"]).reshape(-1)
    if patterns.shape != (len(labels), BITS):
        raise UserError(
            f"{path} holds F of shape {patterns.shape} and {len(labels)} labels y: expected one row of {BITS} bits "
            "for each label."
        )
    if not np.isin(labels, (0, 1)).all() or not (np.isin(patterns, (0, 1)).all() or np.isin(patterns, (-1, 1)).all()):
        raise UserError(f"{path} holds other values than 0 and 1 (or, in F, -1 and 1).")
    return (patterns > 0).astype(np.int64), labels.astype(np.int64)

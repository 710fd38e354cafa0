"""8x8 handwritten digits (1,797), bundled with scikit-learn: nothing is downloaded.

Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository (its test part).
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from infoplane.data.samples import Samples
from infoplane.options import Fields, image, label

LEVELS = 16
"""The brightest value in the file; 0 is the darkest."""


@dataclass(frozen=True)
class Options:
    """This data set has no options."""

    @property
    def fields(self) -> Fields:
        return {"x": image(1, 8, 8), "y": label(10, tuple("0123456789"))}

    @property
    def size(self) -> int | None:
        return 1797


def load(options: Options, folder: Path) -> Samples:
    """Read scikit-learn's copy, its 17 grey levels spread over 0..255."""
    table = _table()
    pixels = np.rint(table[:, :-1] * (255 / LEVELS)).astype(np.uint8)
    return Samples(
        {"x": pixels.reshape(-1, 1, 8, 8), "y": table[:, -1].astype(np.int64)},
        "digits: the 8x8 handwritten digits of the UCI repository, bundled with scikit-learn.",
    )


def _table() -> np.ndarray:
    """Shape (samples, 65): 64 values, then the label."""
    package = find_spec("sklearn")
    # Importing sklearn.datasets takes over a second, reading its file four milliseconds.
    if package is not None and package.origin is not None:
        file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])

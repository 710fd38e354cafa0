"""The 8x8 handwritten digits and the same at half the size: pictures to be restored; nothing is downloaded.

x: the mean of every 2x2 pixels, 4x4; y: the picture; digit: which one it is. Both pictures have values from 0 to 1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infoplane.data.samples import Samples
from infoplane.data.sets import digits
from infoplane.options import Field, Fields, label


@dataclass(frozen=True)
class Options:
    """This data set has no options."""

    @property
    def fields(self) -> Fields:
        return {
            "x": Field((1, 4, 4), "chw", "float32", scale="none"),
            "y": Field((1, 8, 8), "chw", "uint8", scale="none"),
            "digit": label(10, tuple("0123456789")),
        }

    @property
    def size(self) -> int | None:
        return 1797


def load(options: Options, folder: Path) -> Samples:
    """Read the digits and average them."""
    found = digits.load(digits.Options(), folder)
    pictures = np.asarray(found["x"])
    small = pictures.reshape(len(pictures), 1, 4, 2, 4, 2).mean((3, 5)) / 255
    return Samples(
        {"x": small.astype(np.float32), "y": pictures, "digit": found["y"]},
        "digits_x2: the 8x8 handwritten digits of the UCI repository, and the same at half the size.",
    )

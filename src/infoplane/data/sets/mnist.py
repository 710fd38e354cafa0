"""70,000 handwritten digits, 28x28, downloaded; official training and test images, pooled.

Source: LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.
"""

from dataclasses import dataclass
from pathlib import Path

from infoplane.data.idx import load_idx
from infoplane.data.samples import Samples
from infoplane.options import GreyPictures

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
MD5S = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)


@dataclass(frozen=True)
class Options(GreyPictures):
    """This data set has no options."""

    @property
    def size(self) -> int | None:
        return 70000


def load(options: Options, folder: Path) -> Samples:
    """Read the idx files in ``folder/MNIST/raw`` (torchvision's place for them), downloaded where missing."""
    return load_idx(folder / "MNIST" / "raw", "mnist", MD5S, MIRRORS, tuple("0123456789"))

"""70,000 pictures of clothes, 28x28, downloaded; official training and test images, pooled.

Source: Xiao, Rasul and Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747.
"""

from dataclasses import dataclass
from pathlib import Path

from infoplane.data.idx import load_idx
from infoplane.data.samples import Samples
from infoplane.options import GreyPictures

MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
MD5S = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Options(GreyPictures):
    """This data set has no options."""

    @property
    def size(self) -> int | None:
        return 70000


def load(options: Options, folder: Path) -> Samples:
    """Read the idx files in ``folder/FashionMNIST/raw`` (torchvision's place), downloaded where missing."""
    return load_idx(folder / "FashionMNIST" / "raw", "fashion_mnist", MD5S, MIRRORS, NAMES)

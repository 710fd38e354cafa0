"""60,000 colour images of 10 kinds of things, 32x32, downloaded; official training and test images, pooled.

Source: Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""

from dataclasses import dataclass
from pathlib import Path

from infoplane.data.cifar import Archive, load_cifar
from infoplane.data.samples import Samples
from infoplane.options import Fields, image, label

ARCHIVE = Archive(
    file="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    unpacked="cifar-10-batches-bin",
    batches=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
    names="batches.meta.txt",
    label_bytes=1,
    label=0,
)


@dataclass(frozen=True)
class Options:
    """This data set has no options."""

    @property
    def fields(self) -> Fields:
        return {"x": image(3, 32, 32), "y": label(10)}

    @property
    def size(self) -> int | None:
        return 60000


def load(options: Options, folder: Path) -> Samples:
    """Read the binary archive or its unpacked folder in ``folder``, downloaded where missing."""
    return load_cifar(folder, "cifar10", ARCHIVE)

"""60,000 colour images of 100 kinds of things, 32x32, downloaded; official training and test images, pooled.

Source: Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from infoplane.data.cifar import Archive, load_cifar
from infoplane.data.samples import Samples
from infoplane.options import Fields, image, label


@dataclass(frozen=True)
class Options:
    """Which of the two labels of an image is meant."""

    labels: Annotated[Literal["fine", "coarse"], "100 fine classes, or the 20 superclasses they make up"] = "fine"

    @property
    def fields(self) -> Fields:
        return {"x": image(3, 32, 32), "y": label(100 if self.labels == "fine" else 20)}

    @property
    def size(self) -> int | None:
        return 60000


def archive(options: Options) -> Archive:
    """Where the archive keeps what; the coarse label comes first in a record."""
    return Archive(
        file="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        unpacked="cifar-100-binary",
        batches=("train.bin", "test.bin"),
        names=f"{options.labels}_label_names.txt",
        label_bytes=2,
        label=1 if options.labels == "fine" else 0,
    )


def load(options: Options, folder: Path) -> Samples:
    """Read the binary archive or its unpacked folder in ``folder``, downloaded where missing."""
    return load_cifar(folder, "cifar100", archive(options))

"""Points in the plane: every class is several round clouds on a circle, the classes in turn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from infoplane.data.samples import Samples
from infoplane.options import Field, Fields, label, require, require_positive


@dataclass(frozen=True)
class Options:
    size: Annotated[int, "number of points"] = 1500
    classes: Annotated[int, "number of classes"] = 3
    clouds: Annotated[int, "clouds of each class; with more than 1 no straight line separates the classes"] = 2
    deviation: Annotated[float, "standard deviation of a cloud; the circle has the radius 1"] = 0.2
    seed: Annotated[int, "of the draw"] = 0

    def __post_init__(self) -> None:
        require_positive(self, "size", "clouds")
        require(self.classes >= 2, f"classes must be at least 2, got {self.classes}")
        require(self.deviation > 0, f"deviation must be above 0, got {self.deviation}")
        require(self.seed >= 0, f"seed must be at least 0, got {self.seed}")

    @property
    def fields(self) -> Fields:
        return {"x": Field((2,), "d", "float32"), "y": label(self.classes)}


def load(options: Options, folder: Path) -> Samples:
    """Draw the points; equally many of every cloud, up to one."""
    random, clouds = np.random.default_rng(options.seed), options.classes * options.clouds
    cloud = np.arange(options.size) % clouds
    angles = 2 * np.pi * cloud / clouds
    centres = np.stack([np.cos(angles), np.sin(angles)], 1)
    points = centres + options.deviation * random.normal(size=(options.size, 2))
    return Samples(
        {"x": points.astype(np.float32), "y": cloud % options.classes},
        f"blobs: points of {options.classes} classes in the plane, {options.clouds} clouds of each.",
    )

"""A split that lives on the device."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from infoplane.data.samples import Split

Batch = dict[str, Tensor]
"""Field -> its values for some samples, (n, *shape): float32 in the declared scale, or int64 where they are classes."""


class ResidentSplit:
    """The stored values of a split's fields on the device, scaled batch by batch as each field declares."""

    def __init__(self, split: Split, device: torch.device, names: Iterable[str] = ()) -> None:
        """names: of the fields that are needed; none: all of them."""
        self.fields = {name: one for name, one in split.fields.items() if not names or name in names}
        self.values = {name: torch.from_numpy(np.array(split[name])).to(device) for name in self.fields}
        self.deviations: dict[str, Tensor] = {}
        """Of each field as it is read, over the training samples: 1 where it is scaled."""
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}
        for name, one in self.fields.items():
            if one.classes is None:
                mean, std = (
                    torch.tensor(split.metadata[kind][name], dtype=torch.float32, device=device).view(one.statistics)
                    for kind in ("mean", "std")
                )
                scaled = one.scale == "per_channel"
                self.deviations[name] = torch.ones_like(std) if scaled else std
                mean, std = (mean, std) if scaled else (torch.zeros_like(mean), torch.ones_like(std))
                self._factors[name] = 1 / (one.unit * std), mean / std

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def read(self, name: str, rows: Tensor | slice) -> Tensor:
        """A field of some samples in its declared scale; float32, or int64 where it is of classes."""
        values = self.values[name][rows]
        if name not in self._factors:
            return values
        scale, shift = self._factors[name]
        return values.float() * scale - shift

    def batch(self, rows: Tensor | slice) -> Batch:
        """Every field of some samples."""
        return {name: self.read(name, rows) for name in self.values}

    @property
    def whole(self) -> "Whole":
        """Every field of all samples, each read when it is asked for."""
        return Whole(self)


class Whole(Mapping[str, Tensor]):
    """All samples of a split as one batch; a field that nobody asks for takes no memory."""

    def __init__(self, split: ResidentSplit) -> None:
        self.split = split

    def __getitem__(self, name: str) -> Tensor:
        return self.split.read(name, slice(None))

    def __iter__(self) -> Iterator[str]:
        return iter(self.split.values)

    def __len__(self) -> int:
        return len(self.split.values)

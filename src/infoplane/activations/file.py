"""A run's activations, opened for reading one site at one checkpoint at a time."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from infoplane.errors import UserError
from infoplane.storage.tensors import TensorFile


@dataclass(frozen=True)
class Site:
    """Where an activation was read, and how it is stored.

    part: ``s`` (shortcut), ``f`` (branch) or ``z`` (sum, or a site outside additions). depth: position along the
    network. shape: of one sample in the network; stored_shape: in the file. projection: its random dimensions.
    """

    name: str
    part: str
    depth: int
    column: str
    shape: tuple[int, ...]
    stored_shape: tuple[int, ...]
    projection: int | None


class ActivationsFile:
    """Raises `UserError` when the file is missing, truncated or holds no activations."""

    def __init__(self, path: Path) -> None:
        self._file = TensorFile(path)
        self.metadata: dict[str, Any] = self._file.metadata
        if "sites" not in self.metadata or "steps" not in self.metadata:
            raise UserError(f"{path} holds no activations: its metadata names no sites and steps.")
        self.steps: list[int] = self.metadata["steps"]
        self.epochs: dict[int, float] = dict(zip(self.steps, self.metadata["epochs"], strict=True))
        self.sites = [
            Site(
                site["name"],
                site["part"],
                site["depth"],
                site["column"],
                tuple(site["shape"]),
                tuple(site["stored_shape"]),
                site["projection"],
            )
            for site in self.metadata["sites"]
        ]

    @cached_property
    def _groups(self) -> dict[int, list[int]]:
        """Step -> its row groups, from statistics alone."""
        groups: dict[int, list[int]] = {step: [] for step in self.steps}
        for group in range(self._file.row_groups):
            groups[self._file.first_key(group, "step")].append(group)
        return groups

    def read(self, step: int, site: Site) -> np.ndarray:
        """Activations of shape (n, *site.stored_shape) in the order of the held-out file; nothing else is read."""
        return self._file.tensor(site.column, self._groups[step])

"""Give a measure family what it reads of a run.

A family of `families/` is either a function of one activation, ``estimate(z, targets, options)``, or surveys the whole
run, ``survey(subject, options)``: where checkpoints share work, where several sites belong together, or where weights
are measured. ``READS`` in its file names what it needs of the run; without it, activations.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infoplane.activations.file import ActivationsFile, Site
from infoplane.data.samples import Split, read_split
from infoplane.errors import UserError, nearest
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets, Variable, classes, gather, numbers
from infoplane.specs import TrainSpec
from infoplane.storage.checkpoints import CheckpointFile

LOGITS = "logits.z"
"""The site of the logits: the largest one is the network's answer."""


class Measured(NamedTuple):
    """What was found of one site, or of one layer's weights, at one step."""

    step: int
    site: str
    part: str
    depth: int
    estimates: list[Estimate]


@dataclass(frozen=True)
class Addition:
    """The sites of one residual addition; s is None where there is no shortcut."""

    name: str
    depth: int
    s: Site | None
    f: Site
    z: Site


@dataclass(frozen=True)
class Subject:
    """One run: held-out images and the files that the family asked for; raises `UserError` where they do not fit."""

    UNEQUAL: ClassVar[str] = "run the workflow again"
    """What to do where activations and held-out images differ in number."""

    held_out_path: Path
    device: torch.device
    activations_path: Path | None = None
    checkpoints_path: Path | None = None
    train_path: Path | None = None
    run: TrainSpec | None = None
    """Of which run the files must be; None: of any."""
    chosen: Targets | None = None
    """What is decoded in place of the run's own X and Y; None: these."""

    @cached_property
    def held_out(self) -> Split:
        """The held-out images and their labels."""
        return read_split(self.held_out_path)

    @cached_property
    def train(self) -> Split:
        """The training images, for a family that reads checkpoints."""
        assert self.train_path is not None
        return read_split(self.train_path)

    @cached_property
    def targets(self) -> Targets:
        """X and Y of the held-out samples, and which of them belong together where the data set says so."""
        return self.chosen or self._own_targets()

    def _own_targets(self) -> Targets:
        return gather(self.variable(self.x_field), self.variable(self.y_field), self.held_out.groups)

    def variable(self, name: str) -> Variable:
        """A field of the held-out samples: one class each, or numbers as networks read them.

        Raises `UserError` where they have none of this name.
        """
        if name not in self.held_out.fields:
            raise UserError(f"{self.held_out_path} has no field '{name}': {nearest(name, self.held_out.fields)}")
        if self.held_out.fields[name].is_class:
            return classes(self.held_out[name], self.device)
        return numbers(self.held_out.as_read(name), self.device, f"the field '{name}'")

    def further(self, name: str) -> "Subject":
        """The same run, of which only how a field of the held-out samples can be decoded, in place of Y, is asked."""
        targets = gather(self.targets.x, self.variable(name), self.held_out.groups)
        return replace(self, chosen=replace(targets, wanted=("y",)))

    @property
    def classifies(self) -> bool:
        """Whether the network's answer is a class."""
        return self.held_out.fields[self.y_field].is_class

    @property
    def x_field(self) -> str:
        """The field that the run's networks read."""
        return str(self._task.get("x", "x"))

    @property
    def y_field(self) -> str:
        """The field that they learn to answer."""
        return str(self._task.get("y", "y"))

    @property
    def _task(self) -> dict[str, Any]:
        told = self.status if self.activations_path or self.checkpoints_path else {}
        spec: Any = told.get("train_spec") or {}
        return dict((spec.get("task") or {}).get("options") or {})

    @cached_property
    def activations(self) -> ActivationsFile:
        """The run's activations, for a family that reads them."""
        assert self.activations_path is not None
        found = ActivationsFile(self.activations_path)
        if self.run:
            self.run.require(found.metadata.get("train_spec"), self.activations_path)
        return found

    @cached_property
    def checkpoints(self) -> CheckpointFile:
        """The run's weights, for a family that reads checkpoints."""
        assert self.checkpoints_path is not None
        found = CheckpointFile(self.checkpoints_path)
        if self.run:
            self.run.require(found.metadata.get("spec"), self.checkpoints_path)
        return found

    @property
    def steps(self) -> list[int]:
        return self.activations.steps if self.activations_path else self.checkpoints.steps

    @property
    def sites(self) -> list[Site]:
        return self.activations.sites

    @cached_property
    def additions(self) -> list[Addition]:
        """The residual additions of which branch and sum were read, from input to output."""
        parts = {(site.name, site.part): site for site in self.sites}
        return [
            Addition(site.name, site.depth, parts.get((site.name, "s")), parts[site.name, "f"], site)
            for site in self.sites
            if site.part == "z" and (site.name, "f") in parts
        ]

    def epoch(self, step: int) -> float | None:
        """Number of epochs before a step; None where the file does not say."""
        if self.activations_path:
            return self.activations.epochs[step]
        return float(step / self.checkpoints.metadata["batches_per_epoch"])

    def read(self, step: int, site: Site) -> Tensor:
        """Activations of shape (n, *site.stored_shape), in the order of the held-out images, on the device."""
        z = self.activations.read(step, site)
        if len(z) != self.targets.n:
            raise UserError(
                f"{self.activations_path} holds {len(z)} samples at step {step}, {self.held_out_path} holds "
                f"{self.targets.n}: they are not of the same images; {self.UNEQUAL}."
            )
        return torch.as_tensor(np.array(z), device=self.device)

    def answers(self, step: int) -> Tensor | None:
        """The class that the network gives each sample, int64, shape (n,); None where there is none."""
        logits = [site for site in self.sites if site.column == LOGITS]
        return self.read(step, logits[0]).argmax(1) if logits and self.classifies else None

    @property
    def image_notes(self) -> list[str]:
        """Notes on the images from the time when they were split, such as how many are copies."""
        return list(self.held_out.metadata.get("notes", []))

    @property
    def status(self) -> dict[str, object]:
        """Whether training finished or diverged, at which step, and the spec of the run."""
        found = (self.activations if self.activations_path else self.checkpoints).metadata
        spec = found.get("train_spec" if self.activations_path else "spec")
        return {name: found.get(name) for name in ("status", "diverged_at")} | {"train_spec": spec}


def content(z: Tensor) -> bytes:
    """A digest of an activation: the same for activations that are bit for bit the same."""
    digest = hashlib.blake2b(f"{z.dtype} {z.shape}".encode(), digest_size=32)
    digest.update(z.cpu().contiguous().numpy().data)
    return digest.digest()


Survey = Iterator[Measured]
"""What ``survey(subject, options)`` returns, in any order."""

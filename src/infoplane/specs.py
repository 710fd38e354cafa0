"""One canonical JSON spec per job: exactly what changes its result, and nothing else.

Labels, colours, paths, resources and versions stay out. The workflow makes specs from the configuration; the
stages read them back. Plain dataclasses, so that a stage also runs where only torch and pyarrow are installed.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, Self, get_type_hints

from infoplane.errors import UserError, nearest


def canonical(value: Any) -> str:
    """Write JSON with sorted keys and no spaces: equal specs are equal strings."""
    return harmless(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False))


def harmless(text: str) -> str:
    """The same JSON without ``<``: Snakemake's report puts parameters into its page as they are."""
    return text.replace("<", "\\u003c")


def in_short(spec: Mapping[str, Any]) -> str:
    """12 hex digits of a spec's values, to tell one from another."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Spec:
    """A job's spec; nested specs and plain JSON values only."""

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON values; an option whose default is None is left out where it is not used."""
        used = {f.name: getattr(self, f.name) for f in fields(self) if f.default is not None or getattr(self, f.name)}
        return {name: value.to_dict() if isinstance(value, Spec) else value for name, value in used.items()}

    def to_json(self) -> str:
        return canonical(self.to_dict())

    def require(self, found: Any, path: object) -> None:
        """The same as `require`, of this spec."""
        require(self.to_dict(), found, path)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec back; raises `UserError` for text that is not this kind of spec."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise UserError(f"the spec is not JSON: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise UserError(f"{cls.__name__} has no key '{key}': {nearest(key, known)}")
        hints = get_type_hints(cls)
        nested = {k: hints[k].from_dict(v) if is_dataclass(hints[k]) else v for k, v in values.items()}
        try:
            return cls(**nested)
        except TypeError as error:
            raise UserError(f"{cls.__name__}: {error}") from None


def require(wanted: Any, found: Any, path: object) -> None:
    """Raise `UserError` where a file says that it was made by another spec, ``found``, than the wanted one."""
    if different := _difference(found, wanted, ""):
        raise UserError(f"{path} is of another run or experiment ({different}): delete it and run the workflow again.")


def _difference(found: Any, wanted: Any, key: str) -> str:
    """The first key in which two specs differ, with both values; empty where they are equal."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = (_difference(found.get(k), wanted.get(k), f"{key}.{k}") for k in sorted({*found, *wanted}))
        return next(filter(None, parts), "")
    return "" if found == wanted else f"{key.lstrip('.') or 'spec'} is {canonical(found)}, not {canonical(wanted)}"


@dataclass(frozen=True)
class Plugin(Spec):
    """A plug-in and its options, all of them spelled out."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSpec(Spec):
    """Which images, and how they are split; counts are numbers of samples."""

    source: Plugin
    held_out: int | Literal["all"]
    """all: every sample is measured, those of training and validation included."""
    validation: int
    train: int | None
    """None: all that is left."""
    seed: int


@dataclass(frozen=True)
class CheckpointSpec(Spec):
    """When a network is saved: step 0, then ``log`` log-spaced steps up to ``log_until``, then ``linear`` even ones.

    stages: in their place, pairs (until, every): the multiples of ``every`` up to step ``until``, stage after stage.
    """

    log: int
    log_until: int
    linear: int
    stages: list[list[int]] | None = None

    def taken(self, steps: int) -> list[int]:
        """The checkpoints of a run of this many steps, ascending; the last step is among them.

        Steps beyond the last are dropped; rounding may merge neighbours, so there may be fewer than asked for.
        """
        if self.stages is not None:
            starts = [0, *(until for until, _ in self.stages)]
            multiples = (
                range(start // every * every + every, min(until, steps) + 1, every)
                for start, (until, every) in zip(starts, self.stages, strict=False)
            )
            return sorted({0, steps}.union(*multiples))
        until = min(self.log_until, steps)
        ratio = math.log10(until) / (self.log - 1) if self.log > 1 else 0.0
        # The first is 1 and the last is until, whatever rounding says; a single one is until.
        log = [*(10 ** (index * ratio) for index in range(self.log - 1)), until][: self.log]
        width = (steps - until) / self.linear if self.linear else 0.0
        linear = [*(index * width + until for index in range(1, self.linear)), steps]
        return sorted({0} | {round(step) for step in (*log, *linear)})


@dataclass(frozen=True)
class TrainingSpec(Spec):
    """How a network learns."""

    steps: int
    batch_size: int
    optimizer: Literal["sgd", "adamw", "adam"]
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Literal["constant", "cosine"]
    warmup: int
    log_every: int
    precision: Literal["float32", "bfloat16"]
    checkpoints: CheckpointSpec


@dataclass(frozen=True)
class NetworkSpec(Spec):
    """What a network is built from."""

    architecture: Plugin
    shortcut: Plugin

    @property
    def plugins(self) -> tuple[tuple[Literal["architecture", "shortcut", "task"], str], ...]:
        """Role and kind of the plug-ins that the network is built from."""
        return ("architecture", self.architecture.kind), ("shortcut", self.shortcut.kind)


@dataclass(frozen=True)
class LearningSpec(NetworkSpec):
    """What a network learns, and how."""

    task: Plugin
    training: TrainingSpec

    @property
    def plugins(self) -> tuple[tuple[Literal["architecture", "shortcut", "task"], str], ...]:
        """Role and kind of the plug-ins that the network is built from and learns by."""
        return *super().plugins, ("task", self.task.kind)


@dataclass(frozen=True)
class TrainSpec(LearningSpec):
    """One training run."""

    seed: int


@dataclass(frozen=True)
class StackSpec(LearningSpec):
    """Training runs that differ in nothing but their seed and learn side by side."""

    seeds: list[int]

    @property
    def runs(self) -> list[TrainSpec]:
        """The spec of each run, in the order of the seeds."""
        return [TrainSpec(self.architecture, self.shortcut, self.task, self.training, seed) for seed in self.seeds]


AVERAGED = "hwt"
"""Axes along which an activation may be averaged: height, width and time."""


@dataclass(frozen=True)
class Stored:
    """What is kept of one sample's activation at a site."""

    pooled: tuple[int, ...] | None
    """Its shape after it is averaged along height, width and time; None: it is not."""
    projection: int | None
    """Random dimensions; None: it is not projected."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ActivationsSpec(Spec):
    """What is read out of every checkpoint of a run."""

    sites: list[str]
    """Patterns (fnmatch) over ``site.part``, such as ``*.z``."""
    dtype: Literal["float16", "float32"]
    pool: dict[str, int]
    """Pattern -> positions that are left along height, width and time, each an average."""
    project: dict[str, int]
    """Pattern -> dimensions of a fixed Gaussian random projection of the flattened activation."""
    recalibration: int
    """Training samples from which BatchNorm statistics are taken anew at every checkpoint; 0: keep the running ones."""
    seed: int
    image_noise: float | None = None
    """Standard deviation of normal noise on the normalised images, drawn anew at every checkpoint; None: none."""

    def kept(self, sites: list[str]) -> list[str]:
        """Those of a network's sites that are stored, in their order.

        Raises `UserError` for a pattern, of sites, pooling or projection, that matches no site.
        """
        for key, patterns in (("sites", self.sites), ("pool", self.pool), ("project", self.project)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in sites):
                    raise UserError(f"activations.{key}: '{pattern}' matches no site: {nearest(pattern, sites)}")
        return [name for name in sites if any(fnmatchcase(name, pattern) for pattern in self.sites)]

    def stored(self, site: str, shape: tuple[int, ...], axes: str) -> Stored:
        """How the activation of one sample, of this shape and these axes, is stored.

        axes: as `infoplane.options.AXES`; empty where none are declared, and then nothing is averaged. Of several
        patterns that match, the longest decides; of equally long ones, the first in the alphabet.
        """
        side = _decided(self.pool, site)
        averaged = [bool(side) and axis in AVERAGED for axis in axes or " " * len(shape)]
        smaller = tuple(min(size, side or size) if one else size for size, one in zip(shape, averaged, strict=True))
        pooled = smaller if smaller != tuple(shape) else None
        dims = _decided(self.project, site)
        projection = dims if dims and dims < math.prod(smaller) else None
        return Stored(pooled, projection, (projection,) if projection else smaller)


def _decided(patterns: dict[str, int], site: str) -> int | None:
    """The value of the longest pattern that matches; a spec's keys have no order, so theirs cannot decide."""
    found = sorted((pattern for pattern in patterns if fnmatchcase(site, pattern)), key=lambda one: (-len(one), one))
    return patterns[found[0]] if found else None


@dataclass(frozen=True)
class MeasuresSpec(Spec):
    """One measure family and its options, and what it measures beside X and Y."""

    family: Plugin
    targets: dict[str, str] | None = None
    """Label -> field of the data set, decoded at the same sites as Y is; None: there are none."""


@dataclass(frozen=True)
class ReconstructionsSpec(Spec):
    """Of which images and checkpoints of a run pictures are made, and by which decoder."""

    images: int
    """Held-out images, at least 1."""
    checkpoints: int
    decoder: dict[str, Any]
    """Options of the measure family `kernel`."""


@dataclass(frozen=True)
class HistogramsSpec(Spec):
    """How finely activations are counted, and at how many checkpoints of a run."""

    bins: int
    """Per site, at least 1, beside those for outliers."""
    checkpoints: int


@dataclass(frozen=True)
class TruthsSpec(Spec):
    """One measure family, its options, and the known distributions that it is compared with."""

    family: Plugin
    seeds: int
    """Repeats: the seeds 0, 1, ... of the draws."""
    samples: list[int]
    """Sample sizes."""
    distributions: list[str]
    """Patterns (fnmatch) over the distributions' names."""
    coverage_draws: int = 0
    """Repeats at least, where it is judged whether intervals hold the truth."""


def label_of(wanted: str, kinds: Mapping[str, str | None]) -> str | None:
    """What is wanted, if it is a label, else the only label of that kind of plug-in; None where neither is there.

    kinds: label -> kind.
    """
    if wanted in kinds:
        return wanted
    found = [label for label, kind in kinds.items() if kind == wanted]
    return found[0] if len(found) == 1 else None

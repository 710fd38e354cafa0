"""What a checked configuration asks for: the runs of its grid, and the spec of each of their jobs."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from infoplane import registry
from infoplane.config.schema import Experiment
from infoplane.metrics import Metric
from infoplane.options import Addition, Fields, Places, Shape, axes_of
from infoplane.specs import (
    ActivationsSpec,
    DataSpec,
    HistogramsSpec,
    MeasuresSpec,
    Plugin,
    ReconstructionsSpec,
    StackSpec,
    TrainingSpec,
    TrainSpec,
    TruthsSpec,
)


@dataclass(frozen=True)
class Run:
    """One training run of the grid, by its labels."""

    architecture: str
    shortcut: str
    seed: int

    @property
    def path(self) -> str:
        """The run as a folder, the same under every stage."""
        return f"{self.architecture}/{self.shortcut}/seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """Everything that the workflow needs to know about an experiment."""

    config: Experiment
    data: DataSpec
    samples: int | None
    """Number of samples in the whole data set; None where it is not known before the data are read."""
    fields: Fields
    """What every sample has."""
    task: Plugin
    metric: Metric
    """The first of the task's."""
    architectures: dict[str, Plugin]
    places: dict[str, Places]
    """By architecture label: where its networks are read."""
    training: dict[str, TrainingSpec]
    """By architecture label."""
    stacked: list[str]
    """Labels of the architectures of which all seeds are trained in one job."""
    shortcuts: dict[str, Plugin]
    activations: ActivationsSpec
    measures: dict[str, MeasuresSpec]
    truths: dict[str, TruthsSpec]
    """Known distributions that each measure family is compared with, by its label."""
    charts: dict[str, Plugin]
    reconstructions: ReconstructionsSpec | None
    """Of every shown run; None: none are asked for."""
    histograms: HistogramsSpec | None
    claims: dict[str, dict[str, Any]]
    """By label, with all that a claim left open filled in; JSON values."""

    @cached_property
    def shown(self) -> list[Run]:
        """The runs of which the report shows pictures: the first seed of every architecture and shortcut."""
        return [run for run in self.runs if run.seed == self.config.seeds[0]]

    @cached_property
    def runs(self) -> list[Run]:
        return [
            Run(architecture, shortcut, seed)
            for architecture in self.architectures
            for shortcut in self.shortcuts
            for seed in self.config.seeds
        ]

    def sites(self, architecture: str, shortcut: str) -> dict[str, Shape]:
        """Site -> shape of one sample's activation, in order of visit, of the networks with these labels."""
        return sites(self.places[architecture], self.shortcuts[shortcut])

    def stored(self, architecture: str, shortcut: str) -> dict[str, tuple[int, ...]]:
        """Those of them that are read out -> shape of what is stored of one sample."""
        found = self.sites(architecture, shortcut)
        kept = self.activations.kept(list(found))
        return {name: self.activations.stored(name, found[name], found[name].axes).shape for name in kept}

    def train_spec(self, architecture: str, shortcut: str, seed: int) -> TrainSpec:
        """The spec of one run, given its labels."""
        pair = self.architectures[architecture], self.shortcuts[shortcut]
        return TrainSpec(*pair, self.task, self.training[architecture], seed)

    def stack_spec(self, architecture: str, shortcut: str) -> StackSpec:
        """The spec of all seeds of one architecture and shortcut, given their labels."""
        pair = self.architectures[architecture], self.shortcuts[shortcut]
        return StackSpec(*pair, self.task, self.training[architecture], self.config.seeds)


def sites(places: Places, shortcut: Plugin) -> dict[str, Shape]:
    """Site -> shape of one sample's activation, in order of visit, of a network with this shortcut.

    The part m, the state after an addition, has the state's tensors one after another along the first axis.
    """
    parts = registry.parts(shortcut.kind)
    states = getattr(registry.options_class("shortcut", shortcut.kind)(**shortcut.options), "states", 0)
    found: dict[str, Shape] = {}
    for place, shape in places.items():
        of_addition, axes = isinstance(shape, Addition), axes_of(shape)
        for part in parts if of_addition else ("z",):
            if part == "z" and of_addition and states:
                found[f"{place}.m"] = Shape((states * shape[0], *shape[1:]), axes)
            found[f"{place}.{part}"] = Shape(shape, axes)
    return found

"""From the YAML's mapping to a checked experiment: its jobs and their specs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from infoplane.config.plugins import read_options, read_plugin, spelled_out
from infoplane.config.problems import first_problem
from infoplane.config.schema import Data, Experiment, Training
from infoplane.errors import UserError
from infoplane.options import Shape
from infoplane.specs import (
    ActivationsSpec,
    CheckpointSpec,
    DataSpec,
    MeasuresSpec,
    Plugin,
    TrainingSpec,
    TrainSpec,
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
    architectures: dict[str, Plugin]
    training: dict[str, TrainingSpec]
    """By architecture label."""
    shortcuts: dict[str, Plugin]
    activations: ActivationsSpec
    measures: dict[str, MeasuresSpec]
    charts: dict[str, dict[str, Any]]

    @property
    def runs(self) -> list[Run]:
        return [
            Run(architecture, shortcut, seed)
            for architecture in self.architectures
            for shortcut in self.shortcuts
            for seed in self.config.seeds
        ]

    def train_spec(self, architecture: str, shortcut: str, seed: int) -> TrainSpec:
        """The spec of one run, given its labels."""
        return TrainSpec(self.architectures[architecture], self.shortcuts[shortcut], seed, self.training[architecture])


def load(config: Mapping[str, Any]) -> Plan:
    """Check a configuration and plan it; raises `UserError`: which key, what was expected."""
    experiment = _validated(Experiment, dict(config))
    data, shape = _data(experiment.data)
    architectures, training = {}, {}
    for label, entry in experiment.architectures.items():
        where = f"architectures.{label}"
        values = dict(entry or {})
        training[label] = _training(experiment.training, values.pop("training", None), f"{where}.training")
        architectures[label], options = read_plugin("architecture", label, values, where)
        try:
            options.check(shape)
        except ValueError as error:
            raise UserError(f"{where}: {error}; the images of '{experiment.data.kind}' are {_sizes(shape)}") from None
    shortcuts = {
        label: read_plugin("shortcut", label, entry, f"shortcuts.{label}")[0]
        for label, entry in experiment.shortcuts.items()
    }
    measures = {
        label: MeasuresSpec(read_plugin("measure", label, entry, f"measures.{label}")[0])
        for label, entry in experiment.measures.items()
    }
    charts = {
        name: spelled_out(name, read_options("chart", name, dict(entry or {}), f"charts.{name}")).options
        for name, entry in experiment.charts.items()
    }
    activations = ActivationsSpec(**experiment.activations.model_dump())
    return Plan(experiment, data, architectures, training, shortcuts, activations, measures, charts)


Model = TypeVar("Model", Experiment, Training)


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(first_problem(error, model)) from None


def _sizes(shape: Shape) -> str:
    return "x".join(str(size) for size in shape) + " (channels x height x width)"


def _data(data: Data) -> tuple[DataSpec, Shape]:
    options = read_options("data set", data.kind, data.options, "data", Data.model_fields)
    wanted = data.probe + data.validation + (data.train or 1)
    if options.size is not None and wanted > options.size:
        raise UserError(
            f"data: probe ({data.probe}) + validation ({data.validation}) + train ({data.train or 'at least 1'}) "
            f"is more than the {options.size} samples of '{data.kind}'"
        )
    source = spelled_out(data.kind, options)
    return DataSpec(source, data.probe, data.validation, data.train, data.split_seed), options.shape


def _training(shared: Training, override: dict[str, Any] | None, where: str) -> TrainingSpec:
    merged = shared
    if override is not None:
        values = shared.model_dump()
        checkpoints = values["checkpoints"] | dict(override.get("checkpoints") or {})
        try:
            merged = _validated(Training, values | override | {"checkpoints": checkpoints})
        except UserError as error:
            raise UserError(f"{where}.{error}") from None
    values = merged.model_dump()
    return TrainingSpec(**values | {"checkpoints": CheckpointSpec(**values["checkpoints"])})

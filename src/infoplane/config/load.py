"""From the YAML's mapping to a checked experiment: its jobs and their specs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from infoplane import registry
from infoplane.config import claims
from infoplane.config.plugins import read_options, read_plugin, spelled_out
from infoplane.config.problems import first_problem, require_types
from infoplane.config.schema import Accuracy, Data, Experiment, Phases, Task, Training
from infoplane.config.written import one_line, require_label, require_plain, shown
from infoplane.errors import UserError, nearest
from infoplane.options import (
    Addition,
    Field,
    Fields,
    MemoryOptions,
    Metric,
    Places,
    ResidualOptions,
    Shape,
    TaskOptions,
    axes_of,
    require,
)
from infoplane.plugin_files import use
from infoplane.registry import Role
from infoplane.renamed import require_new_keys
from infoplane.specs import (
    ActivationsSpec,
    CheckpointSpec,
    DataSpec,
    HistogramsSpec,
    MeasuresSpec,
    Plugin,
    ReconstructionsSpec,
    StackSpec,
    TrainingSpec,
    TrainSpec,
    TruthsSpec,
    label_of,
)

KERNEL = "kernel"
"""The measure family whose decoder draws the reconstructions."""

MOST_RUNS = 100_000
"""Of one experiment; Snakemake plans ten thousand jobs in seconds, and a million in hours."""
MOST_PLACES = 10_000
"""At which one network may be read."""

NOT_OF_ZX = ("folds", "extrapolate")
"""Its options that change no reconstruction."""


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


def load(config: Mapping[str, Any]) -> Plan:
    """Check a configuration and plan it; raises `UserError`: which key, what was expected."""
    try:
        require_plain(config)
        require_new_keys(config)
        return _plan(config)
    except UserError as error:
        raise UserError(one_line(str(error))) from None


def _plan(config: Mapping[str, Any]) -> Plan:
    experiment = _validated(Experiment, dict(config))
    try:
        use(map(Path, experiment.plugins))
    except UserError as error:
        raise UserError(f"plugins: {error}") from None
    runs = len(experiment.architectures) * len(experiment.shortcuts) * len(experiment.seeds)
    if runs > MOST_RUNS:
        raise UserError(f"architectures x shortcuts x seeds are {runs} runs, which is more than {MOST_RUNS}.")
    data, source = _data(experiment.data)
    task, learned = _task(experiment.task, source.fields, data.source.kind)
    input, output = source.fields[learned.x], learned.output(source.fields)
    metric = learned.metrics(source.fields)[0]
    architectures, residual, places, training, stacked = {}, {}, {}, {}, []
    for label, entry in experiment.architectures.items():
        where = f"architectures.{label}"
        require_label(label, where)
        values = dict(entry or {})
        training[label], stack = _training(experiment.training, values.pop("training", None), f"{where}.training")
        stacked += [label] if stack else []
        architectures[label], options = read_plugin("architecture", label, values, where)
        residual[label] = options
        try:
            options.check(input, output)
            places[label] = options.places(input, output)
            require(len(places[label]) <= MOST_PLACES, f"{len(places[label])} places are more than {MOST_PLACES}")
        except ValueError as error:
            raise UserError(f"{where}: {error}; the inputs of '{experiment.data.kind}' are {input}") from None
        except NotImplementedError as error:
            raise UserError(f"{where}: {error}: CONTRIBUTING.md says what is expected") from None
    shortcuts = {}
    for label, entry in experiment.shortcuts.items():
        shortcuts[label], options = read_plugin("shortcut", label, entry, f"shortcuts.{label}")
        if isinstance(options, MemoryOptions):
            _check_memory(label, options, residual, places)
    reference, kinds = experiment.phases.reference, {label: shortcut.kind for label, shortcut in shortcuts.items()}
    if reference != Phases().reference and label_of(reference, kinds) is None:
        raise UserError(
            f"phases.reference: no shortcut is called '{reference}', and not exactly one is of that kind: "
            f"{nearest(reference, list(shortcuts))}"
        )
    for label in stacked:
        _check_stack(label, architectures[label].kind, shortcuts, task.kind)
    measures = {
        label: MeasuresSpec(read_plugin("measure", label, entry, f"measures.{label}")[0])
        for label, entry in experiment.measures.items()
    }
    charts = {
        label: read_plugin("chart", label, entry, f"charts.{label}")[0] for label, entry in experiment.charts.items()
    }
    read_out = experiment.activations.model_dump()
    activations = ActivationsSpec(**read_out | {"image_noise": read_out["image_noise"] or None})
    _check_sites(activations, places, shortcuts)
    truths = _truths(experiment.accuracy, measures)
    return Plan(
        experiment,
        data,
        source.size,
        source.fields,
        task,
        metric,
        architectures,
        places,
        training,
        stacked,
        shortcuts,
        activations,
        measures,
        truths,
        charts,
        _reconstructions(experiment, measures, input),
        _histograms(experiment),
        claims.resolve(experiment.claims, architectures, shortcuts, experiment.phases.margin, metric.name),
    )


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


def _check_memory(
    label: str, options: MemoryOptions, residual: dict[str, ResidualOptions], places: dict[str, Places]
) -> None:
    """Raise `UserError` where a shortcut kind with a memory does not go with an architecture."""
    for architecture, own in residual.items():
        try:
            options.check(own, [shape for shape in places[architecture].values() if isinstance(shape, Addition)])
        except ValueError as error:
            raise UserError(f"shortcuts.{label} with architectures.{architecture}: {error}") from None


def _check_sites(activations: ActivationsSpec, places: dict[str, Places], shortcuts: dict[str, Plugin]) -> None:
    for architecture in places:
        for shortcut, plugin in shortcuts.items():
            try:
                activations.kept(list(sites(places[architecture], plugin)))
            except UserError as error:
                raise UserError(
                    f"{error} (of architectures.{architecture} with shortcuts.{shortcut}; every pattern has to match "
                    "in every network)"
                ) from None


def _reconstructions(
    experiment: Experiment, measures: dict[str, MeasuresSpec], input: Field
) -> ReconstructionsSpec | None:
    """Of inputs that can be shown; by the decoder whose Z-X is measured, where the kernel family is."""
    wanted = experiment.reconstructions
    if not wanted.images or not input.is_picture:
        return None
    kernels = (spec.family for spec in measures.values() if spec.family.kind == KERNEL)
    decoder = next(kernels, read_plugin("measure", KERNEL, None, "reconstructions")[0])
    options = {name: value for name, value in decoder.options.items() if name not in NOT_OF_ZX}
    return ReconstructionsSpec(wanted.images, wanted.checkpoints, options)


def _histograms(experiment: Experiment) -> HistogramsSpec | None:
    wanted = experiment.histograms
    return HistogramsSpec(wanted.bins, wanted.checkpoints) if wanted.bins else None


Model = TypeVar("Model", Experiment, Training)


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        found = model.model_validate(values)
    except ValidationError as error:
        raise UserError(first_problem(error, model)) from None
    require_types(values, found.model_dump())
    return found


def _task(task: Task, fields: Fields, kind: str) -> tuple[Plugin, TaskOptions]:
    """What is learned of these fields, of a data set of this kind; raises `UserError` where they do not fit."""
    options = read_options("task", task.kind, task.options, "task", Task.model_fields)
    try:
        options.check(fields)
    except ValueError as error:
        has = "; ".join(f"{name}: {field}" for name, field in fields.items())
        raise UserError(f"task: {error} (the data set '{kind}' has {has})") from None
    return spelled_out(task.kind, options), options


def _data(data: Data) -> tuple[DataSpec, Any]:
    """How the samples are split, and the options of their data set."""
    options = read_options("data set", data.kind, data.options, "data", Data.model_fields)
    set_aside = {} if data.held_out == "all" else {"held_out": data.held_out}
    set_aside["validation"] = data.validation
    if options.size is not None and sum(set_aside.values()) + (data.train or 1) > options.size:
        parts = " + ".join(f"{name} ({count})" for name, count in set_aside.items())
        raise UserError(
            f"data: {parts} + train ({data.train or 'at least 1'}) is more than the {options.size} samples of "
            f"'{data.kind}'"
        )
    source = spelled_out(data.kind, options)
    return DataSpec(source, data.held_out, data.validation, data.train, data.split_seed), options


def _truths(accuracy: Accuracy, measures: dict[str, MeasuresSpec]) -> dict[str, TruthsSpec]:
    for label in accuracy.families:
        if label not in measures:
            raise UserError(f"accuracy.families: no measure is called '{label}': {nearest(label, measures)}")
    shared = accuracy.model_dump(exclude={"families"})
    own = {label: one.model_dump(exclude_none=True) for label, one in accuracy.families.items()}
    return {label: TruthsSpec(spec.family, **shared | own.get(label, {})) for label, spec in measures.items()}


def _check_stack(label: str, architecture: str, shortcuts: dict[str, Plugin], task: str) -> None:
    plugins: list[tuple[Role, str]] = [("architecture", architecture), ("task", task)]
    plugins += [("shortcut", shortcut.kind) for shortcut in shortcuts.values()]
    for role, kind in plugins:
        if reason := registry.unstackable(role, kind):
            raise UserError(
                f"architectures.{label}: training.stack_seeds: networks with the {role} '{kind}' cannot learn side by "
                f"side ({reason}): leave stack_seeds false."
            )


def _training(shared: Training, override: dict[str, Any] | None, where: str) -> tuple[TrainingSpec, bool]:
    """What an architecture trains with, and whether its seeds are stacked."""
    merged = shared
    if override is not None:
        values = _overridden(shared.model_dump(), override, where)
        inner = override.get("checkpoints") or {}
        values["checkpoints"] = _overridden(shared.checkpoints.model_dump(), inner, f"{where}.checkpoints")
        try:
            merged = _validated(Training, values)
        except UserError as error:
            raise UserError(f"{where}.{error}") from None
    return training_spec(merged), merged.stack_seeds


def training_spec(training: Training) -> TrainingSpec:
    """How a network learns; what stages take the place of is no part of it."""
    values = training.model_dump(exclude={"stack_seeds"})
    checkpoints = values.pop("checkpoints")
    if checkpoints["stages"] is None:
        checkpoint_spec = CheckpointSpec(**checkpoints)
    else:
        checkpoint_spec = CheckpointSpec(0, 1, 0, [list(stage) for stage in checkpoints["stages"]])
    return TrainingSpec(**values, checkpoints=checkpoint_spec)


def _overridden(shared: dict[str, Any], override: Any, where: str) -> dict[str, Any]:
    if not isinstance(override, dict):
        raise UserError(f"{where}: expected keys and values, got {shown(override)}")
    return shared | override

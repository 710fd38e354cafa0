"""From the YAML's mapping to a checked experiment: its jobs and their specs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from infoplane import registry
from infoplane.config import claims
from infoplane.config.plan import Plan, sites
from infoplane.config.plugins import read_options, read_plugin, spelled_out
from infoplane.config.problems import first_problem, require_types
from infoplane.config.schema import Accuracy, Data, Experiment, Phases, Task, Training
from infoplane.config.written import one_line, require_label, require_plain, shown
from infoplane.errors import UserError, nearest
from infoplane.options import Addition, Field, Fields, MemoryOptions, Places, ResidualOptions, TaskOptions, require
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
    TrainingSpec,
    TruthsSpec,
    label_of,
)

TARGET = r"[A-Za-z][A-Za-z0-9_]*"
"""What a further target may be called: its label becomes part of a column's name in charts."""

KERNEL = "kernel"
"""The measure family whose decoder draws the reconstructions."""

MOST_RUNS = 100_000
"""Of one experiment; Snakemake plans ten thousand jobs in seconds, and a million in hours."""
MOST_PLACES = 10_000
"""At which one network may be read."""

NOT_OF_ZX = ("folds", "extrapolate")
"""Its options that change no reconstruction."""


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
    _check_targets(experiment.targets, source.fields, learned.y, data.source.kind)
    measures = {
        label: _measures(read_plugin("measure", label, entry, f"measures.{label}")[0], experiment.targets)
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


def _check_targets(targets: dict[str, str], fields: Fields, learned: str, kind: str) -> None:
    """Raise `UserError` for a further target that cannot be decoded, or whose label would be mistaken."""
    for label, name in targets.items():
        where = f"targets.{label}"
        if not re.fullmatch(TARGET, label) or label in ("x", "y"):
            raise UserError(
                f"{where}: a target's label holds letters, digits and '_', begins with a letter and is not x or y, got "
                f"{shown(label)}"
            )
        if name not in fields:
            raise UserError(f"{where}: the data set '{kind}' has no field '{name}': {nearest(name, fields)}")
        if name == learned:
            raise UserError(f"{where}: '{name}' is what the task learns, which is measured anyway: name another field")
        if fields[name].classes is not None and not fields[name].is_class:
            raise UserError(
                f"{where}: '{name}' holds {fields[name]} of classes: a target is one class for each sample, or numbers"
            )


def _measures(family: Plugin, targets: dict[str, str]) -> MeasuresSpec:
    """What a family measures; further targets only where it measures something of Y."""
    of_y = any(text.startswith("y") for text in registry.about(family.kind).values())
    return MeasuresSpec(family, dict(targets) if targets and of_y else None)


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

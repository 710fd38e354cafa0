"""The complete configuration: every key and every option of every plug-in, with the defaults written out."""

from dataclasses import asdict
from typing import Any

from infoplane.config.load import training_spec
from infoplane.config.plan import Plan
from infoplane.config.schema import Data, Experiment
from infoplane.plugin_files import ARCHIVED, folders

Values = dict[str, Any]


LABELLED = ("architectures", "shortcuts", "measures", "charts")
"""Sections whose order is meant: results are shown in the order of their labels."""

ELSEWHERE = (
    "charts", "claims", "phases", "reconstructions", "histograms", "figures", "animation",
    "accuracy", "device", "disk", "slots", "plugins", "results", "reuse",
)  # fmt: skip
"""Sections that change no measured number: those who draw are given what they need of them, the others go nowhere."""


def complete(plan: Plan) -> Values:
    """The configuration as JSON values, labels in their own order; `load` makes the same plan of it.

    What an architecture overrides in ``training`` stays what was written: the shared settings stand beside it.
    """
    values = plan.config.model_dump(mode="json")
    values["data"] |= plan.data.source.options
    values["task"] |= plan.task.options
    families = {label: spec.family for label, spec in plan.measures.items()}
    for section, plugins in zip(LABELLED, (plan.architectures, plan.shortcuts, families, plan.charts), strict=True):
        for label, plugin in plugins.items():
            training = (values[section][label] or {}).get("training")
            override = {} if training is None else {"training": training}
            values[section][label] = {"kind": plugin.kind, **plugin.options, **override}
    return values


def portable(plan: Plan) -> Values:
    """The same for another machine: results, downloads and plug-ins lie where they do by default, below the checkout.

    A path of the user's own data stays as it is, because nothing could be put in its place.
    """
    values = complete(plan)
    values["results"] = Experiment.model_fields["results"].default
    values["data"]["folder"] = Data.model_fields["folder"].default
    values["plugins"] = [f"{ARCHIVED}/{folder.name}" for folder in folders()]
    return values


def recorded(plan: Plan) -> Values:
    """The complete configuration without what changes no number, as the tables keep it for readers.

    Equal for two configurations that mean the same, to the order of the keys: that of the schema and, where it knows
    none, the alphabet's; labels keep their own, which is meant. What an architecture overrides is there only where it
    differs from the shared settings.
    """
    values = {key: value for key, value in complete(plan).items() if key not in ELSEWHERE}
    values["data"].pop("folder")
    shared = training_spec(plan.config.training)
    values["training"] = shared.to_dict()
    for label, entry in values["architectures"].items():
        if "training" in entry:
            own = asdict(plan.training[label])
            differing = {key: own[key] for key in own if own[key] != asdict(shared)[key]}
            values["architectures"][label] = {key: value for key, value in entry.items() if key != "training"}
            values["architectures"][label] |= {"training": differing} if differing else {}
    activations = values["activations"]
    activations |= {key: dict(sorted(activations[key].items())) for key in ("pool", "project")}
    for section, options in (("data", plan.data.source.options), ("task", plan.task.options)):
        values[section] = {key: value for key, value in values[section].items() if key not in options} | options
    values["targets"] = dict(sorted(values["targets"].items()))
    return values

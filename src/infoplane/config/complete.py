"""A configuration with nothing left open: every key and every plug-in's every option, defaults spelled out."""

from typing import Any

from infoplane.config.load import Plan
from infoplane.config.schema import Data, Experiment

Values = dict[str, Any]


def complete(plan: Plan) -> Values:
    """The configuration as JSON values, labels in their own order; `load` makes the same plan of it.

    What an architecture overrides in ``training`` stays what was written: the shared settings stand beside it.
    """
    values = plan.config.model_dump(mode="json")
    values["data"] |= plan.data.source.options
    families = {label: spec.family for label, spec in plan.measures.items()}
    for section, plugins in (
        ("architectures", plan.architectures),
        ("shortcuts", plan.shortcuts),
        ("measures", families),
        ("charts", plan.charts),
    ):
        for label, plugin in plugins.items():
            training = (values[section][label] or {}).get("training")
            override = {} if training is None else {"training": training}
            values[section][label] = {"kind": plugin.kind, **plugin.options, **override}
    return values


def portable(plan: Plan) -> Values:
    """The same for another machine: results and downloads go where they go by default, below the checkout.

    A path of the user's own data stays as it is, because nothing could be put in its place.
    """
    values = complete(plan)
    values["results"] = Experiment.model_fields["results"].default
    values["data"]["folder"] = Data.model_fields["folder"].default
    return values

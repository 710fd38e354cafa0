"""The configuration's JSON schema and its commented default, both generated from the models and the plug-ins."""

import json
import textwrap
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

from infoplane import registry
from infoplane.config.plugins import adapter
from infoplane.config.schema import Data, Experiment, Task
from infoplane.registry import Role

SECTIONS: dict[str, Role] = {
    "architectures": "architecture",
    "shortcuts": "shortcut",
    "measures": "measure",
    "charts": "chart",
}
"""Their keys are labels, so that one plug-in may appear several times (``kind`` names it)."""


CHOSEN: dict[type[BaseModel], Role] = {Data: "data set", Task: "task"}
"""Sections of one plug-in, whose options stand in the section itself."""


def option_docs(role: Role, name: str) -> dict[str, str]:
    """Option -> its one-line description, from the ``Annotated`` text."""
    hints = get_type_hints(registry.options_class(role, name), include_extras=True)
    return {option: hint.__metadata__[0] for option, hint in hints.items() if hasattr(hint, "__metadata__")}


def _options_schema(role: Role, name: str) -> dict[str, Any]:
    schema = adapter(role, name).json_schema()
    schema.pop("title", None)
    docs = option_docs(role, name)
    for option, described in schema.get("properties", {}).items():
        described.pop("title", None)
        described["description"] = docs.get(option, "")
    schema["description"] = registry.summary(role, name)
    return schema


def json_schema() -> dict[str, Any]:
    """The schema of a configuration, with every plug-in's options spelled out, for editors and other tools."""
    schema = Experiment.model_json_schema()
    for section, role in SECTIONS.items():
        entries = {name: _options_schema(role, name) for name in registry.names(role)}
        if section == "architectures":
            for entry in entries.values():
                entry.setdefault("properties", {})["training"] = {"$ref": "#/$defs/TrainingOverride"}
        described = schema["properties"][section]
        described["properties"] = {name: {"anyOf": [entry, {"type": "null"}]} for name, entry in entries.items()}
        described["additionalProperties"] = {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"enum": list(entries)}},
        }
    override = json.loads(json.dumps(schema["$defs"]["Training"]))
    override["description"] = "What this architecture trains with instead of the shared settings."
    schema["$defs"]["TrainingOverride"] = override
    for model, role in CHOSEN.items():
        chosen = schema["$defs"][model.__name__]
        chosen["properties"]["kind"]["enum"] = list(registry.names(role))
        for name in registry.names(role):
            for option, described in _options_schema(role, name).get("properties", {}).items():
                chosen["properties"].setdefault(option, {"description": f"({name}) {described['description']}"})
        chosen["additionalProperties"] = False
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def schema_text() -> str:
    """``config/schema.json``."""
    return json.dumps(json_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _plugin_lines(role: Role, name: str, indent: str) -> list[str]:
    lines = [f"{indent}# {name}:", *_comment(registry.summary(role, name), indent + "#   ")]
    docs = option_docs(role, name)
    for field in fields(registry.options_class(role, name)):
        shown = _scalar(field.default) if field.default is not MISSING else "(required)"
        if field.default_factory is not MISSING:
            shown = _scalar(field.default_factory())
        lines.append(f"{indent}#   {field.name}: {shown} # {docs.get(field.name, '')}")
    return lines


def _labelled_lines(annotation: Any, indent: str) -> list[str]:
    """The fields of the models that a mapping's labels stand for, as comments; none where it is another field."""
    inner = get_args(annotation)[1] if get_origin(annotation) is dict else None
    if not isinstance(inner, type) or not issubclass(inner, BaseModel):
        return []
    lines = [f"{indent}  # <label>:"]
    for key, info in inner.model_fields.items():
        shown = "(required)" if info.is_required() else _scalar(info.default)
        lines.append(f"{indent}  #   {key}: {shown} # {info.description}")
    return lines


def _section_lines(model: BaseModel, indent: str) -> list[str]:
    lines: list[str] = []
    for key, info in type(model).model_fields.items():
        value = getattr(model, key)
        if not indent and (isinstance(value, BaseModel) or key in SECTIONS):
            lines.append("")
        if isinstance(value, BaseModel):
            lines += _comment((type(value).__doc__ or "").strip(), indent)
            lines += [f"{indent}{key}:", *_section_lines(value, indent + "  ")]
        elif key in SECTIONS and not indent:
            lines.append(f"{key}: # {info.description}")
            lines += [f"  {name}:" for name in value]
            for name in registry.names(SECTIONS[key]):
                lines += _plugin_lines(SECTIONS[key], name, "  ")
        else:
            labelled = _labelled_lines(info.annotation, indent)
            lines += [""] if labelled and not indent else []
            lines += [f"{indent}{key}: {_scalar(value)} # {info.description}", *labelled]
    if role := CHOSEN.get(type(model)):
        lines.append(f"{indent}# options of each {role}:")
        for name in registry.names(role):
            lines += _plugin_lines(role, name, indent)
    return lines


def default_text() -> str:
    """``config/default.yaml``: every key with its meaning and its default, and every plug-in with its options."""
    header = [
        "# Every key of an experiment with its meaning and its default, and every plug-in with its options.",
        "# Generated by scripts/config.py; a test fails when it no longer tells the truth. Defaults are ours.",
    ]
    return "\n".join([*header, *_section_lines(Experiment(), "")]) + "\n"

"""Plug-in sections of the configuration, read against each plug-in's own ``Options``."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from infoplane import registry
from infoplane.config.problems import first_problem
from infoplane.config.schema import LABEL
from infoplane.errors import UserError, nearest
from infoplane.registry import Role
from infoplane.specs import Plugin, canonical


@cache
def adapter(role: Role, kind: str) -> TypeAdapter[Any]:
    """Pydantic's view of a plug-in's options: typed, and closed to unknown keys."""
    options = registry.options_class(role, kind)
    options.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(options)


def _who_has(role: Role, key: str) -> list[str]:
    return [
        name
        for name in registry.names(role)
        if key in {field.name for field in fields(registry.options_class(role, name))}
    ]


def read_options(role: Role, kind: str, options: dict[str, Any], where: str, beside: Iterable[str] = ()) -> Any:
    """The plug-in's validated ``Options`` object; raises `UserError` that names the key and what was expected.

    beside: the keys that may stand in the same section without being options; they only serve the hint.
    """
    if kind not in registry.names(role):
        raise UserError(f"{where}: unknown {role} '{kind}': {nearest(kind, registry.names(role))}")
    known = {field.name for field in fields(registry.options_class(role, kind))}
    for key in options:
        if key not in known:
            others = [name for name in _who_has(role, key) if name != kind]
            hint = nearest(key, {*known, *beside}) if known or beside else f"{role} '{kind}' has no options"
            elsewhere = f"; {role} {', '.join(repr(o) for o in others)} has it" if others else ""
            raise UserError(f"{where}: unknown key '{key}': {hint}{elsewhere}")
    try:
        return adapter(role, kind).validate_python(options)
    except ValidationError as error:
        raise UserError(f"{where}{first_problem(error)}") from None


def spelled_out(kind: str, options: Any) -> Plugin:
    """A plug-in's spec: every option, as plain JSON values."""
    return Plugin(kind, json.loads(canonical(asdict(options))))


def read_plugin(role: Role, label: str, entry: dict[str, Any] | None, where: str) -> tuple[Plugin, Any]:
    """One labelled entry -> its spec (every option spelled out) and its ``Options`` object."""
    if not re.match(LABEL, label):
        raise UserError(f"{where}: a label holds letters, digits, '_', '.' and '-' only, got '{label}'")
    values = dict(entry or {})
    kind = str(values.pop("kind", label))
    options = read_options(role, kind, values, where)
    return spelled_out(kind, options), options

"""Plug-in sections of the configuration, read against each plug-in's own ``Options``."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from infoplane import registry
from infoplane.config.problems import first_problem, require_types
from infoplane.config.written import LARGEST_SEED, require_label, shown
from infoplane.errors import UserError, nearest
from infoplane.registry import Role
from infoplane.renamed import require_new_option
from infoplane.specs import Plugin, canonical


def adapter(role: Role, kind: str) -> TypeAdapter[Any]:
    """Pydantic's view of a plug-in's options: typed, finite, and closed to unknown keys."""
    return _adapter(role, kind, registry.source(role, kind))


@cache
def _adapter(role: Role, kind: str, path: Path) -> TypeAdapter[Any]:
    options = registry.options_class(role, kind)
    options.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
    return TypeAdapter(options)


def _who_has(role: Role, key: str) -> list[str]:
    """The plug-ins with this option. None of them is executed, for the configuration does not name them."""
    found = []
    for name in registry.names(role):
        with contextlib.suppress(UserError):  # a file that is being written is nobody's option
            found += [name] if key in registry.option_names(role, name) else []
    return found


def read_options(role: Role, kind: str, options: dict[str, Any], where: str, beside: Iterable[str] = ()) -> Any:
    """The plug-in's validated ``Options`` object; raises `UserError` that names the key and what was expected.

    beside: the keys that may stand in the same section without being options; they only serve the hint.
    """
    if kind not in registry.names(role):
        raise UserError(f"{where}: unknown {role} '{kind}': {nearest(kind, registry.names(role))}")
    known = {field.name for field in fields(registry.options_class(role, kind))}
    for key in options:
        if key not in known:
            require_new_option(role, kind, key, where)
            others = [name for name in _who_has(role, key) if name != kind]
            hint = nearest(key, {*known, *beside}) if known or beside else f"{role} '{kind}' has no options"
            elsewhere = f"; {role} {', '.join(repr(o) for o in others)} has it" if others else ""
            raise UserError(f"{where}: unknown key '{key}': {hint}{elsewhere}")
    try:
        found = adapter(role, kind).validate_python(options)
    except ValidationError as error:
        raise UserError(f"{where}{first_problem(error)}") from None
    require_types(options, asdict(found), where)
    if not 0 <= getattr(found, "seed", 0) <= LARGEST_SEED:
        raise UserError(f"{where}.seed: expected a whole number from 0 to {LARGEST_SEED}, got {found.seed}")
    return found


def spelled_out(kind: str, options: Any) -> Plugin:
    """A plug-in's spec: every option, as plain JSON values."""
    return Plugin(kind, json.loads(canonical(asdict(options))))


def read_plugin(role: Role, label: str, entry: dict[str, Any] | None, where: str) -> tuple[Plugin, Any]:
    """One labelled entry -> its spec (every option spelled out) and its ``Options`` object."""
    require_label(label, where)
    values = dict(entry or {})
    kind = values.pop("kind", label)
    if not isinstance(kind, str):
        raise UserError(
            f"{where}.kind: expected the name of {'an' if role[0] in 'aeiou' else 'a'} {role}, got {shown(kind)}"
        )
    options = read_options(role, kind, values, where)
    return spelled_out(kind, options), options

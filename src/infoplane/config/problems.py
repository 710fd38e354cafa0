"""Pydantic's errors as one sentence for a person."""

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from infoplane.config.written import shown
from infoplane.errors import UserError, nearest

WHOLE = re.compile(r"\s*[+-]?\d+\s*")
SWITCH = ("true", "false", "yes", "no", "on", "off")


def _model_at(model: type[BaseModel], location: tuple[Any, ...]) -> type[BaseModel]:
    keys = iter(location)
    for key in keys:
        field = model.model_fields.get(key)
        inner = field.annotation if field else None
        if get_origin(inner) is dict:  # label -> model
            next(keys, None)
            inner = get_args(inner)[1]
        if not isinstance(inner, type) or not issubclass(inner, BaseModel):
            break
        model = inner
    return model


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first problem as ``key.key: what was expected``; an unknown key comes with the nearest known one."""
    problem = error.errors(include_url=False)[0]
    path = "".join(f".{key}" if isinstance(key, str) else f"[{key}]" for key in problem["loc"])
    path = path if model is None else path.lstrip(".")
    separator = ": " if path or model is None else ""
    if problem["type"] == "extra_forbidden" and model is not None:
        key = str(problem["loc"][-1])
        known = _model_at(model, problem["loc"][:-1]).model_fields
        return f"{path}: unknown key: {nearest(key, known)}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = problem.get("input")
    if problem["type"] != "value_error" and not isinstance(given, dict):
        message += f", got {shown(given)}"
    return f"{path}{separator}{message}"


def require_types(given: Any, read: Any, where: str = "") -> None:
    """Raise `UserError` where a value was read as one of another type, such as true as 1 or 60.0 as 60.

    given: as it was written; read: what became of it. A text may be a number or a switch: on Snakemake's command line
    everything is text.
    """
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        for key in given:
            if key in read:
                require_types(given[key], read[key], f"{where}.{key}".lstrip("."))
    elif isinstance(given, list) and isinstance(read, (list, tuple)):
        for index, (one, other) in enumerate(zip(given, read, strict=False)):
            require_types(one, other, f"{where}[{index}]")
    elif expected := _other_type(given, read):
        raise UserError(f"{where}: expected {expected}, got {shown(given)}")


def _other_type(given: Any, read: Any) -> str:
    """What was expected; empty where the types are alike."""
    if isinstance(read, bool):
        right = given.strip().lower() in SWITCH if isinstance(given, str) else isinstance(given, bool)
        return "" if right else "true or false"
    if isinstance(read, int):
        right = bool(WHOLE.fullmatch(given)) if isinstance(given, str) else type(given) is int
        return "" if right else "a whole number"
    return "a number" if isinstance(read, float) and isinstance(given, bool) else ""

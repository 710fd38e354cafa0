"""Pydantic's errors as one sentence for a person."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from infoplane.errors import nearest


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
        message += f", got {given!r}"
    return f"{path}{separator}{message}"

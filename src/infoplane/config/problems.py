"""Pydantic's errors as one sentence for a person."""

import math
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from infoplane.config.written import LABEL, shown
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


UNKNOWN = "another value, such as stands in config/default.yaml"
YES_OR_NO = "YAML reads yes, no, on and off as true and false: put it in quotes"

WANTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 19 digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "dataclass_type": "keys and values",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "too_short": "a list with {min_length} or more entries",
    "too_long": "a list with at most {max_length} entries",
}
"""Pydantic's kind of error -> what was expected. Its own words speak of inputs, parsing and validation."""

PATTERNS = {
    LABEL: "a name of letters, digits, '_', '.' and '-' that begins with a letter or a digit",
    r"\S": "words, and not only blanks",
}
"""Regular expression of the schema -> what a person calls it."""


ALSO = {"gpu": "cuda"}
"""What a word is called here."""


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first problem as ``key.key: what was expected``; an unknown key comes with the nearest known one."""
    problem = error.errors(include_url=False)[0]
    path = "".join(f".{key}" if isinstance(key, str) else f"[{key}]" for key in problem["loc"])
    path = path if model is None else path.lstrip(".")
    separator = ": " if path or model is None else ""
    kind, context, given = problem["type"], problem.get("ctx", {}), problem.get("input")
    if kind == "extra_forbidden" and model is not None:
        known = _model_at(model, problem["loc"][:-1]).model_fields
        return f"{path}: unknown key: {nearest(str(problem['loc'][-1]), known)}"
    if kind == "value_error":  # a sentence of ours
        return f"{path}{separator}{context['error']}"
    if kind == "missing":
        return f"{path}{separator}this is missing, and has no default"
    if kind == "string_pattern_mismatch":
        wanted = PATTERNS[context["pattern"]]
    else:
        wanted = WANTED.get(kind, UNKNOWN).format_map({name: _plain(value) for name, value in context.items()})
    return f"{path}{separator}expected {wanted}, got {shown(given)}{_hint(path, kind, context, given)}"


def _plain(value: Any) -> Any:
    """A limit as people write it: 0 for 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hint(path: str, kind: str, context: Mapping[str, Any], given: Any) -> str:
    """What was probably meant; empty where nobody can tell."""
    if kind in ("list_type", "tuple_type") and isinstance(given, str | int | float) and not isinstance(given, bool):
        count = given if path == "seeds" and isinstance(given, int) and 1 < given < 10 else 0
        return f": write [{given!r}]" + (f", or {list(range(count))} for that many" if count else "")
    if kind == "dict_type" and isinstance(given, str | list) and given and all(isinstance(one, str) for one in given):
        labels = [given] if isinstance(given, str) else given
        return f": write {{{', '.join(f'{label}: ' for label in labels)}}}"
    if kind in ("literal_error", "string_type") and isinstance(given, bool):
        return f" ({YES_OR_NO})"
    if kind == "string_type" and isinstance(given, int | float):
        return ": put it in quotes"
    if kind == "literal_error" and isinstance(given, str):
        words = re.findall(r"'([^']+)'", context["expected"])
        close = nearest(ALSO.get(given.lower(), given), words)
        return f": {close}" if close.startswith("did") else ""
    if kind in ("int_parsing", "float_parsing", "int_from_float"):
        return _number_meant(kind, given)
    if kind == "string_pattern_mismatch" and context["pattern"] == LABEL:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", given).strip("-._")
        return f": {name}, for example" if name else ""
    return ""


def _number_meant(kind: str, given: Any) -> str:
    """A number that was written in another way: 1,5 for 1.5, and 1e3 or 1_000 where only digits are read."""
    text = str(given).strip().replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return ""
    if kind == "float_parsing":
        return f": write {text}, with a point" if math.isfinite(number) else ""
    return f": write {int(number)}" if math.isfinite(number) and number == int(number) and abs(number) < 1e15 else ""


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

"""Take a family's options as Python code gives them: each as its declared type, or one sentence."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

from infoplane.options import require


def typed(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name as the fields of the dataclass ``kind`` have them; ``ValueError`` where a type does not fit.

    No number is rounded, and no truth value taken for a number.
    """
    types = {field.name: field.type for field in fields(kind)}
    return {name: fitting(name, get_args(types[name])[0], value) for name, value in given.items()}


def fitting(name: str, wanted: Any, value: Any) -> Any:
    """The value as the type ``wanted`` has it; ``ValueError`` where it does not fit."""
    value = value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
    if get_origin(wanted) is tuple and isinstance(value, list | tuple):
        return tuple(fitting(name, get_args(wanted)[0], one) for one in value)
    if wanted is float and type(value) in (int, float):
        require(abs(value) < 1e308, f"{name} must be a finite number")
        return float(value)
    if get_origin(wanted) is Literal:
        fits, expected = value in get_args(wanted), "one of " + ", ".join(map(str, get_args(wanted)))
    else:
        kind = get_origin(wanted) or wanted
        expected = {int: "a whole number", float: "a number", tuple: "a list", bool: "true or false"}.get(kind, "")
        fits = not expected or type(value) is kind
    require(fits, f"{name} must be {expected}, got {value!r:.80}")
    require(type(value) is not int or abs(value) < 2**63, f"{name} must be less than 2^63")
    return value

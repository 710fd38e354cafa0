"""Names that have changed, and the one sentence that answers an old one.

No job of the workflow imports this, so that a name that changes makes no result stale.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from infoplane.errors import UserError

KEYS = {
    "data.probe": "data.held_out",
    "activations.probe_noise": "activations.image_noise",
    "training.label_noise": "task.label_noise",
}
"""Of the configuration: old -> new."""
OPTIONS = {("variational", "held_out"): "left_out"}
"""Of plug-ins: (kind, old) -> new."""
ZERO_INIT = "'zero_init: true' is 'branch_gain: 0' since version 0.2.0, and 'zero_init: false' is the default."
"""What answers the old option of every architecture."""
FILES = {"probe.parquet": "held_out.parquet"}
"""Of results: old -> new."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def sentence(old: str, new: str) -> str:
    """Say that a name has changed: ``'probe' is called 'held_out' since version 0.2.0``."""
    return f"'{old}' is called '{new}' since version 0.2.0: write the new name (CHANGELOG.md lists all of them)."


def require_new_keys(config: Mapping[str, Any]) -> None:
    """Raise `UserError` where a configuration has a key under its old name."""
    for old, new in KEYS.items():
        section, key = old.split(".")
        values = config.get(section)
        if isinstance(values, Mapping) and key in values:
            raise UserError(sentence(old, new))
    architectures = config.get("architectures")
    for label, own in architectures.items() if isinstance(architectures, Mapping) else ():
        values = own.get("training") if isinstance(own, Mapping) else None
        for key in values if isinstance(values, Mapping) else ():
            if f"training.{key}" in KEYS:
                raise UserError(sentence(f"architectures.{label}.training.{key}", KEYS[f"training.{key}"]))


def require_new_option(role: str, kind: str, key: str, where: str) -> None:
    """Raise `UserError` where an option of a plug-in of this kind has its old name."""
    if (kind, key) in OPTIONS:
        raise UserError(sentence(f"{where}.{key}", f"{where}.{OPTIONS[kind, key]}"))
    if role == "architecture" and key == "zero_init":
        raise UserError(f"{where}: {ZERO_INIT}")


def old_arguments(**names: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Decorate a function: an argument that is given by its old name (old=new) raises `UserError`."""

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            for old, new in names.items():
                if old in kwargs:
                    raise UserError(f"{function.__name__}: {sentence(old, new)}")
            return function(*args, **kwargs)

        return checked

    return decorated


def old_flag(old: str, new: str) -> Callable[[str], Any]:
    """Make the ``type`` of a command-line argument that only says that it has another name now."""

    def refuse(value: str) -> Any:
        raise UserError(sentence(old, new))

    return refuse

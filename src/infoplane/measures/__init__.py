"""Estimators as a library: ``from infoplane.measures import measure``.

The names are in ``__init__.pyi``, where editors and type checkers look for them; nothing is imported before it is used,
so that a job that uses one estimator neither waits for the others nor depends on them. Functions imported from here
take any array that `infoplane.measures.arrays` can read.
"""

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from inspect import isfunction
from pathlib import Path


@cache
def _homes() -> dict[str, str]:
    """Public name -> the module that it comes from."""
    tree = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.name: str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def __getattr__(name: str) -> object:
    if name not in _homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_homes()[name]), name)
    return _reading(found) if isfunction(found) and name not in WHOLE else found


WHOLE = ("measure", "measure_file", "all_truths")
"""Functions that read what they are given themselves."""


@cache
def _reading(function: Callable[..., object]) -> Callable[..., object]:
    from infoplane.measures.arrays import taking_arrays

    return taking_arrays(function)


def __dir__() -> list[str]:
    return sorted(_homes())

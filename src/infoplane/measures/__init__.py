"""Estimators as a library: ``from infoplane.measures import measure``.

The names are in ``__init__.pyi``, where editors and type checkers look for them; nothing is imported before it is asked
for, so that a job that uses one estimator neither waits for the others nor depends on them. What is imported from here
takes NumPy arrays wherever it takes tensors.
"""

import ast
from collections.abc import Callable
from functools import cache, wraps
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
    return _taking_arrays(found) if isfunction(found) else found


@cache
def _taking_arrays(function: Callable[..., object]) -> Callable[..., object]:
    """The same function, with arrays turned into tensors on their way in."""
    import numpy as np
    import torch

    def tensor(value: object) -> object:
        return torch.as_tensor(value) if isinstance(value, np.ndarray) else value

    @wraps(function)
    def taking_arrays(*args: object, **options: object) -> object:
        return function(*map(tensor, args), **{name: tensor(value) for name, value in options.items()})

    return taking_arrays


def __dir__() -> list[str]:
    return sorted(_homes())

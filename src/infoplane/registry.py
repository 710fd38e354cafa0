"""Find plug-ins: one file per architecture, shortcut, measure family, data set and chart.

The file's name is the plug-in's name. The workflow must know every name and option while it reads the
configuration, and must not pay for torch to do so; therefore a plug-in's ``Options`` class is read from its
source text alone (`options_class`), and the file is imported only by the job that uses it (`load`).
"""

import ast
import importlib
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from infoplane import options
from infoplane.errors import UserError, nearest
from infoplane.options import NoOptions

Role = Literal["data set", "architecture", "shortcut", "measure", "chart"]

FOLDERS: dict[Role, str] = {
    "data set": "infoplane.data.sets",
    "architecture": "infoplane.models.architectures",
    "shortcut": "infoplane.models.shortcuts",
    "measure": "infoplane.measures.families",
    "chart": "infoplane.charts.gallery",
}

PACKAGE = Path(__file__).parent
READABLE: dict[Role, tuple[str, ...]] = {"measure": ("activations", "checkpoints"), "chart": ("phases",)}
"""What a plug-in may ask for by the literal ``READS`` in its file."""

PARTS = ("s", "f", "z")
"""What is read of a residual addition, in order of visit: shortcut, branch, sum."""

LIGHT_MODULES = ("dataclasses", "typing", "math", "infoplane.options")
"""What an ``Options`` class may import: nothing that costs the workflow time."""


def folder(role: Role) -> Path:
    """The folder that holds this role's plug-ins."""
    return PACKAGE.joinpath(*FOLDERS[role].split(".")[1:])


@cache
def names(role: Role) -> tuple[str, ...]:
    """The plug-ins of a role, sorted."""
    return tuple(sorted(p.stem for p in folder(role).glob("*.py") if not p.stem.startswith("_")))


def source(role: Role, name: str) -> Path:
    """The plug-in's file; raises `UserError` with the nearest name when there is none."""
    if name not in names(role):
        raise UserError(f"unknown {role} '{name}': {nearest(name, names(role))}")
    return folder(role) / f"{name}.py"


def load(role: Role, name: str) -> ModuleType:
    """Import the plug-in's module; raises `UserError` with the nearest name when there is none."""
    source(role, name)
    return importlib.import_module(f"{FOLDERS[role]}.{name}")


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is not valid Python: {error}.") from None


def summary(role: Role, name: str) -> str:
    """The first line of the plug-in's docstring."""
    return (ast.get_docstring(_tree(source(role, name))) or "").split("\n", 1)[0]


@cache
def reads(role: Role, name: str) -> tuple[str, ...]:
    """What a plug-in needs beyond what all of its role do, by the literal ``READS`` in its file.

    Of a run a measure family needs activations or checkpoints; of an experiment a chart may need phases. Raises
    `UserError` for anything else.
    """
    found = _literal(role, name, "READS", ("activations",) if role == "measure" else ())
    known = READABLE.get(role, ())
    if not isinstance(found, tuple) or not set(found) <= set(known):
        expected = ", ".join(known) or "nothing"
        raise UserError(f"{source(role, name)}: READS is {found!r}: expected a tuple of {expected}.")
    return found


@cache
def regresses(family: str) -> bool:
    """Whether a measure family takes X for an amount, so that its values change when X's are renamed.

    Not where the literal ``INPUTS = "identity"`` in its file says that it only asks which inputs are equal. Raises
    `UserError` for anything else.
    """
    found = _literal("measure", family, "INPUTS", "amounts")
    if found not in ("amounts", "identity"):
        raise UserError(f"{source('measure', family)}: INPUTS is {found!r}: expected 'identity', or no such line.")
    return bool(found == "amounts")


@cache
def ignores_groups(family: str) -> bool:
    """Whether a measure family counts samples that belong together as independent ones.

    So the literal ``GROUPS = "ignored"`` in its file says. Raises `UserError` for anything else.
    """
    found = _literal("measure", family, "GROUPS", "respected")
    if found not in ("respected", "ignored"):
        raise UserError(f"{source('measure', family)}: GROUPS is {found!r}: expected 'ignored', or no such line.")
    return bool(found == "ignored")


@cache
def unstackable(role: Role, name: str) -> str:
    """Why networks with this plug-in cannot be stacked, by the literal ``UNSTACKABLE`` in its file; or empty."""
    return str(_literal(role, name, "UNSTACKABLE", ""))


@cache
def parts(shortcut: str) -> tuple[str, ...]:
    """What is read of an addition with this shortcut kind: `PARTS`, or what the literal ``PARTS`` in its file says.

    A kind whose s is always None says ``PARTS = ("f", "z")``. Raises `UserError` for anything else.
    """
    found = _literal("shortcut", shortcut, "PARTS", PARTS)
    if found not in (PARTS, PARTS[1:]):
        raise UserError(f"{source('shortcut', shortcut)}: PARTS is {found!r}: expected {PARTS[1:]!r}, or no such line.")
    return found


def _literal(role: Role, name: str, wanted: str, default: Any) -> Any:
    """The value of a literal at the top of a plug-in's file."""
    for node in _tree(source(role, name)).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [wanted]:
            return ast.literal_eval(node.value)
    return default


@cache
def option_names(role: Role, name: str) -> frozenset[str]:
    """Read the names of a plug-in's options from its source; nothing of it is executed."""
    found: set[str] = set()
    for node in _tree(source(role, name)).body:
        if isinstance(node, ast.ClassDef) and node.name == "Options":
            bases = [getattr(options, base.id, None) for base in node.bases if isinstance(base, ast.Name)]
            found |= {field.name for base in bases if is_dataclass(base) for field in fields(base)}
            lines = [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
            found |= {target.id for target in lines if isinstance(target, ast.Name)}
    return frozenset(found)


@cache
def options_class(role: Role, name: str) -> type[Any]:
    """The plug-in's ``Options`` dataclass, read from its source without importing it.

    Only ``Options`` itself and imports from `LIGHT_MODULES` are executed. A plug-in that defines none has
    `NoOptions`.
    """
    path = source(role, name)
    tree = _tree(path)
    wanted: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in LIGHT_MODULES
    ]
    classes: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Options"]
    if not classes:
        return NoOptions
    namespace: dict[str, Any] = {"__name__": f"{FOLDERS[role]}.{name}"}
    exec(compile(ast.Module(body=wanted + classes, type_ignores=[]), str(path), "exec"), namespace)
    return namespace["Options"]

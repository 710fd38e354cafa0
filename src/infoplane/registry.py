"""Find plug-ins: one file per data set, task, architecture, shortcut, measure family and chart.

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
from typing import Any

from infoplane import options
from infoplane.errors import UserError, nearest
from infoplane.options import NoOptions
from infoplane.plugin_files import OWN, PACKAGE, PluginFile, Role, plugins, prepare_import

__all__ = ["PACKAGE", "ROLES", "Role"]

ROLES: tuple[Role, ...] = tuple(OWN)

READABLE: dict[Role, tuple[str, ...]] = {"measure": ("activations", "checkpoints"), "chart": ("phases",)}
"""What a plug-in may ask for by the literal ``READS`` in its file."""

PARTS = ("s", "f", "z")
"""What is read of a residual addition, in order of visit: shortcut, branch, sum."""

LIGHT_MODULES = ("dataclasses", "typing", "math", "infoplane.options", "infoplane.metrics")
"""What an ``Options`` class may import: nothing that costs the workflow time."""


def names(role: Role) -> tuple[str, ...]:
    """The plug-ins of a role, sorted."""
    return tuple(plugins(role))


def _file(role: Role, name: str) -> PluginFile:
    known = plugins(role)
    if name not in known:
        raise UserError(f"unknown {role} '{name}': {nearest(name, known)}")
    return known[name]


def source(role: Role, name: str) -> Path:
    """The plug-in's file; raises `UserError` with the nearest name when there is none."""
    return _file(role, name).path


def load(role: Role, name: str) -> ModuleType:
    """Import the plug-in's module; raises `UserError` with the nearest name when there is none."""
    found = _file(role, name)
    prepare_import(found)
    return importlib.import_module(found.module)


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is not valid Python: {error}.") from None


def summary(role: Role, name: str) -> str:
    """The first line of the plug-in's docstring."""
    return (ast.get_docstring(_tree(source(role, name))) or "").split("\n", 1)[0]


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


def regresses(family: str) -> bool:
    """Whether a measure family takes X for an amount, so that its values change when X's are renamed.

    Not where the literal ``INPUTS = "identity"`` in its file says that it only asks which inputs are equal. Raises
    `UserError` for anything else.
    """
    return not _says(family, "INPUTS", "identity", "amounts")


VARIABLES = ("x", "y", *(f"{name} of {kind}" for name in "xy" for kind in ("numbers", "classes")))
"""What a measure may be about: X or Y of the run, of any kind or of one kind only."""


def about(family: str) -> dict[str, str]:
    """Measure, or a pattern of measures, of a family -> which of `VARIABLES` it is about.

    By the literal ``ABOUT`` in its file; without it, ``zx`` is about X and ``zy`` about Y, of any kind. Raises
    `UserError` for anything else.
    """
    found = _literal("measure", family, "ABOUT", None)
    found = {"zx": "x", "zy": "y"} if found is None else found
    if not isinstance(found, dict) or not set(found.values()) <= set(VARIABLES):
        known = ", ".join(VARIABLES)
        raise UserError(
            f"{source('measure', family)}: ABOUT is {found!r}: expected measures, each with one of {known}."
        )
    return found


def ignores_groups(family: str) -> bool:
    """Whether a measure family counts samples that belong together as independent ones.

    So the literal ``GROUPS = "ignored"`` in its file says. Raises `UserError` for anything else.
    """
    return _says(family, "GROUPS", "ignored", "respected")


def _says(family: str, literal: str, word: str, default: str) -> bool:
    """Whether a literal in a measure family's file is this word; raises `UserError` for a third one."""
    found = _literal("measure", family, literal, default)
    if found not in (word, default):
        raise UserError(f"{source('measure', family)}: {literal} is {found!r}: expected {word!r}, or no such line.")
    return bool(found == word)


def unstackable(role: Role, name: str) -> str:
    """Why networks with this plug-in cannot be stacked, by the literal ``UNSTACKABLE`` in its file; or empty."""
    return str(_literal(role, name, "UNSTACKABLE", ""))


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
    return _written(source(role, name), wanted, default)


@cache
def _written(path: Path, wanted: str, default: Any) -> Any:
    for node in _tree(path).body:
        if wanted in _defined(node) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                raise UserError(f"{path}: {wanted} must be written out, without names or calls.") from None
    return default


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


def options_class(role: Role, name: str) -> type[Any]:
    """The plug-in's ``Options`` dataclass, read from its source without importing it.

    Executed are ``Options`` itself, what of the same file it needs (constants, functions, base classes), and imports
    from `LIGHT_MODULES`. A plug-in that defines none has `NoOptions`. Raises `UserError` where it needs anything else.
    """
    found = _file(role, name)
    return _options(found.path, found.module)


@cache
def _options(path: Path, module: str) -> type[Any]:
    wanted = _needed(path, _tree(path))
    if not wanted:
        return NoOptions
    namespace: dict[str, Any] = {"__name__": module}
    code = compile(ast.Module(body=wanted, type_ignores=[]), str(path), "exec", dont_inherit=True)
    try:
        exec(code, namespace)
    except Exception as error:  # whatever the author's own lines raise
        raise UserError(f"{path}: its Options cannot be read: {error}") from None
    found: type[Any] = namespace["Options"]
    return found


def _needed(path: Path, tree: ast.Module) -> list[ast.stmt]:
    """The statements at the top of a file that ``Options`` needs, in their order; nothing where there is no such class.

    Without ``from __future__ import annotations``: the annotations are read as values.
    """
    needed, open_names = set[ast.stmt](), {"Options"}
    while open_names:
        name = open_names.pop()
        for node in tree.body:
            if name not in _defined(node) or node in needed:
                continue
            needed.add(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                relative = isinstance(node, ast.ImportFrom) and node.level > 0
                modules = {node.module} if isinstance(node, ast.ImportFrom) else {one.name for one in node.names}
                if relative or not modules <= set(LIGHT_MODULES):
                    raise UserError(
                        f"{path}: its Options use '{name}', which is imported. Options are read before any job "
                        f"runs, so they may use what the same file defines, and {', '.join(LIGHT_MODULES)}."
                    )
            else:
                used = (one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))
                open_names |= {one.id for one in used}
    return [node for node in tree.body if node in needed]


def _defined(node: ast.stmt) -> set[str]:
    """The names that a statement at the top of a file defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(one.asname or one.name).split(".")[0] for one in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}

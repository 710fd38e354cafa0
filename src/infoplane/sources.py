"""Find the source files that a stage imports, directly or not, within the package.

The workflow gives every job a digest of what these files mean, so that an edit reruns exactly the stages that use what
was edited. The closure is read from the source text; imports inside functions count too.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from infoplane import registry
from infoplane.meaning import DIGITS, NOTHING, meanings
from infoplane.registry import Role

ROOT = registry.PACKAGE.parent

WITHOUT_EFFECT = frozenset(
    registry.PACKAGE / f"{name}.py"
    for name in ("devices", "errors", "meaning", "progress", "reuse", "sources", "measures/__init__")
)
"""Modules that change no number: where and whether a job runs, what it prints, what a user may import."""


@cache
def _path(module: str) -> Path | None:
    """The file of a module of this package, or None for anything else."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]+))", re.MULTILINE
)
"""An import statement. A parser takes half a second for all files, and every start of Snakemake would wait for it."""


def imported(text: str) -> frozenset[str]:
    """Every module that the source imports anywhere, and for ``from a import b`` also ``a.b``.

    A line of a docstring that looks like an import is taken for one: the stage then counts one file too many.
    """
    modules: set[str] = set()
    for module, members, plain in IMPORT.findall(text):
        if module:
            words = re.sub(r"#[^\n]*", "", members).strip("()").split(",")
            modules |= {module} | {f"{module}.{word.split()[0]}" for word in words if word.strip()}
        else:
            modules |= {word.split()[0] for word in plain.split("#")[0].split(",") if word.strip()}
    return frozenset(modules)


@cache
def _imports(path: Path) -> frozenset[Path]:
    """The package's files that this file imports directly, with the ``__init__`` files on the way."""
    found: set[Path] = set()
    for module in imported(path.read_text(encoding="utf-8")):
        parts = module.split(".")
        if parts[0] == registry.PACKAGE.name:
            prefixes = (".".join(parts[: i + 1]) for i in range(len(parts)))
            found |= {found_path for prefix in prefixes if (found_path := _path(prefix))}
    return frozenset(found)


@cache
def _closure(start: Path) -> frozenset[Path]:
    seen, todo = {start}, [start]
    while todo:
        for path in _imports(todo.pop()) - seen:
            seen.add(path)
            todo.append(path)
    return frozenset(seen)


@cache
def closure(script: Path, *plugins: tuple[Role, str]) -> tuple[str, ...]:
    """The source files behind a script and the plug-ins that its job loads, sorted.

    Modules without effect on results and empty ``__init__`` files are left out.
    """
    paths = _closure(script)
    for role, name in plugins:
        paths |= _closure(registry.source(role, name))
    return tuple(sorted(str(path) for path in paths - WITHOUT_EFFECT if path.stat().st_size > 0))


def manifest(paths: Iterable[str | Path], checkout: Path, quoted: Iterable[tuple[Role, str]] = ()) -> dict[str, str]:
    """File -> digest of what it means, sorted; a file below ``checkout``, or of this package, goes by its name there.

    Files that do nothing, such as an ``__init__`` with a docstring, are left out. quoted: plug-ins whose docstring's
    first line is shown to readers, so that it counts here and nowhere else.
    """
    found = meanings(map(Path, paths))
    files = {_name(path, checkout): means for path, means in found.items() if means != NOTHING}
    for role, name in quoted:
        line = f"{_name(registry.source(role, name), checkout)} (its first line)"
        files[line] = hashlib.sha256(registry.summary(role, name).encode()).hexdigest()[:DIGITS]
    return dict(sorted(files.items()))


def verbatim(paths: Iterable[Path], checkout: Path) -> dict[str, str]:
    """The same by their bytes, for what passes the files on."""
    return {_name(path, checkout): hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS] for path in sorted(paths)}


def _name(path: Path, checkout: Path) -> str:
    for folder in (checkout, ROOT):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def digest(files: dict[str, str]) -> str:
    """One digest of a `manifest`."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:DIGITS]

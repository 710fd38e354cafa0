"""Find the source files that a stage imports, directly or not, within this package and those of plug-ins.

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
from infoplane.plugin_files import packages
from infoplane.registry import Role

ROOT = registry.PACKAGE.parent

WITHOUT_EFFECT = frozenset(
    registry.PACKAGE / f"{name}.py"
    for name in ("devices", "errors", "meaning", "plugin_files", "progress", "reuse", "sources", "measures/__init__")
)
"""Modules that change no number: where and whether a job runs, what it prints, what a user may import."""


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
            inside = module if module.endswith(".") else f"{module}."
            modules |= {module} | {f"{inside}{word.split()[0]}" for word in words if word.strip()}
        else:
            modules |= {word.split()[0] for word in plain.split("#")[0].split(",") if word.strip()}
    return frozenset(modules)


Packages = tuple[tuple[str, Path], ...]
"""Name and folder of each package whose files are followed."""


@cache
def _imports(path: Path, packages: Packages) -> frozenset[Path]:
    """The packages' files that this file imports directly, with the ``__init__`` files on the way."""
    folders, found = dict(packages), set[Path]()
    own = next((name for name, folder in packages if path.is_relative_to(folder)), None)
    within = () if own is None else (own, *path.relative_to(folders[own]).parent.parts)
    for module in imported(path.read_text(encoding="utf-8")):
        dots = len(module) - len(module.lstrip("."))
        parts = (*within[: len(within) - dots + 1], *filter(None, module.lstrip(".").split("."))) if dots else None
        parts = parts or tuple(module.split("."))
        if parts[0] in folders:
            bases = (folders[parts[0]].joinpath(*parts[1:end]) for end in range(1, len(parts) + 1))
            found |= {file for base in bases for file in (base.with_suffix(".py"), base / "__init__.py")}
    return frozenset(file for file in found if file.is_file())


@cache
def _closure(start: Path, packages: Packages) -> frozenset[Path]:
    seen, todo = {start}, [start]
    while todo:
        for path in _imports(todo.pop(), packages) - seen:
            seen.add(path)
            todo.append(path)
    return frozenset(seen)


@cache
def closure(script: Path, *plugins: tuple[Role, str]) -> tuple[str, ...]:
    """The source files behind a script and the plug-ins that its job loads, sorted.

    Modules without effect on results and empty ``__init__`` files are left out.
    """
    known = tuple(packages().items())
    paths = _closure(script, known)
    for role, name in plugins:
        paths |= _closure(registry.source(role, name), known)
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
    for name, folder in packages().items():
        if path.is_relative_to(folder):
            return f"{name}/{path.relative_to(folder).as_posix()}"
    return path.name


def digest(files: dict[str, str]) -> str:
    """One digest of a `manifest`."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:DIGITS]

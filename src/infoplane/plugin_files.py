"""Where plug-ins lie: folders that the user names, installed packages with entry points, and this package.

A folder of plug-ins is normal Python. It is imported as a package of its own name, so that its files may import one
another (`from mine.shared import f`, or `from ..shared import f`), and holds one folder per role: the measure family
`knn` is `mine/measures/knn.py`. An installed package names its files by entry points in its own pyproject.toml:

    [project.entry-points."infoplane.measures"]
    knn = "my_package.knn"
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal, NamedTuple

from infoplane.errors import UserError

Role = Literal["data set", "task", "architecture", "shortcut", "measure", "chart"]

PACKAGE = Path(__file__).parent

OWN: dict[Role, str] = {
    "data set": "infoplane.data.sets",
    "task": "infoplane.tasks",
    "architecture": "infoplane.models.architectures",
    "shortcut": "infoplane.models.shortcuts",
    "measure": "infoplane.measures.families",
    "chart": "infoplane.charts.gallery",
}
"""This package's own plug-ins, by their role."""

OUTSIDE: dict[Role, str] = {
    "data set": "data_sets",
    "task": "tasks",
    "architecture": "architectures",
    "shortcut": "shortcuts",
    "measure": "measures",
    "chart": "charts",
}
"""The folder of a role within a folder of plug-ins; `infoplane.` and this is the group of its entry points."""

VARIABLE = "INFOPLANE_PLUGINS"
"""The environment variable that tells a job where plug-ins lie."""


ARCHIVED = "plugins"
"""The folder in which an archive has the folders of plug-ins."""


class PluginFile(NamedTuple):
    """A plug-in's file, the name that it is imported by, and the package (name, folder) that it belongs to."""

    path: Path
    module: str
    package: tuple[str, Path]


class _Known(NamedTuple):
    """Folders of plug-ins, and the entry points of installed packages: role's folder -> name -> module."""

    folders: list[str]
    points: dict[str, dict[str, str]]


def use(folders: Iterable[Path]) -> None:
    """Look for plug-ins in these folders too, in this process and in those that it starts.

    Raises `UserError` for a folder that is not there, holds no folder of a role, or cannot be a package's name.
    """
    found = [_checked(folder.expanduser().resolve()) for folder in folders]
    by_name = {folder.name: folder for folder in found}
    for folder in found:
        if by_name[folder.name] != folder:
            raise UserError(f"{folder} and {by_name[folder.name]} have the same name: rename one of them.")
    os.environ[VARIABLE] = json.dumps(_Known([str(folder) for folder in found], _points()))


def _known() -> _Known:
    told = os.environ.get(VARIABLE)
    return _Known(*json.loads(told)) if told else _Known([], _points())


@cache
def _points() -> dict[str, dict[str, str]]:
    """Those of this Python; looking for them costs up to a tenth of a second, which no job of the workflow pays."""
    from importlib.metadata import entry_points

    groups = {folder: entry_points(group=f"infoplane.{folder}") for folder in OUTSIDE.values()}
    return {folder: {point.name: point.module for point in found} for folder, found in groups.items() if found}


def folders() -> list[Path]:
    """The folders of plug-ins in use."""
    return [Path(folder) for folder in _known().folders]


def plugins(role: Role) -> dict[str, PluginFile]:
    """Name -> where it lies, sorted. Raises `UserError` where two plug-ins of a role have one name."""
    return _plugins(role, os.environ.get(VARIABLE))


@cache
def _plugins(role: Role, told: str | None) -> dict[str, PluginFile]:
    found: dict[str, PluginFile] = {}
    for name, one in [*_of_folders(role), *_of_packages(role), *_own(role)]:
        if name in found and found[name].path != one.path:
            raise UserError(f"two plug-ins are the {role} '{name}': {found[name].path} and {one.path}: rename one.")
        found[name] = one
    return dict(sorted(found.items()))


def packages() -> dict[str, Path]:
    """Package name -> its folder: this package, and each one that plug-ins come from."""
    return {PACKAGE.name: PACKAGE} | dict(one.package for role in OWN for one in plugins(role).values())


def prepare_import(found: PluginFile) -> None:
    """Let the package of a plug-in be imported: a folder of plug-ins stands on no search path."""
    name, folder = found.package
    if name in sys.modules or folder not in folders():
        return
    file = folder / "__init__.py"
    spec = (
        importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
        if file.is_file()
        else ModuleSpec(name, None, is_package=True)
    )
    assert spec is not None and spec.submodule_search_locations is not None
    if not file.is_file():
        spec.submodule_search_locations.append(str(folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder of plug-ins.")
    if not any((folder / name).is_dir() for name in OUTSIDE.values()):
        raise UserError(f"{folder} holds no plug-ins: expected a folder in it named {' or '.join(OUTSIDE.values())}.")
    if not folder.name.isidentifier() or folder.name.startswith("_"):
        raise UserError(f"{folder}: its files are imported by its name, so it needs letters, digits and _ alone.")
    known = importlib.util.find_spec(folder.name)
    if known is not None and str(folder) not in (known.submodule_search_locations or ()):
        raise UserError(f"{folder}: Python has a module named '{folder.name}' already: rename the folder.")
    return folder


def _own(role: Role) -> list[tuple[str, PluginFile]]:
    folder = PACKAGE.joinpath(*OWN[role].split(".")[1:])
    return _files(folder, OWN[role], (PACKAGE.name, PACKAGE))


def _of_folders(role: Role) -> list[tuple[str, PluginFile]]:
    return [
        found
        for folder in folders()
        for found in _files(folder / OUTSIDE[role], f"{folder.name}.{OUTSIDE[role]}", (folder.name, folder))
    ]


def _of_packages(role: Role) -> list[tuple[str, PluginFile]]:
    """By entry points; no package is imported to find its files."""
    found = []
    for name, module in _known().points.get(OUTSIDE[role], {}).items():
        top, _, rest = module.partition(".")
        what = f"the entry point '{name}' of infoplane.{OUTSIDE[role]}"
        spec = importlib.util.find_spec(top)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"{what} names {module}: there is no package '{top}'.")
        base = Path(next(iter(spec.submodule_search_locations)))
        path = base.joinpath(*rest.split(".")) if rest else base
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.is_file():
            raise UserError(f"{what} names {path}: there is no such file.")
        found.append((name, PluginFile(path, module, (top, base))))
    return found


def _files(folder: Path, package: str, root: tuple[str, Path]) -> list[tuple[str, PluginFile]]:
    paths = (path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_"))
    return [(path.stem, PluginFile(path, f"{package}.{path.stem}", root)) for path in paths]

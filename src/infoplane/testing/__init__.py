"""Check a plug-in against what infoplane asks of its role: yours by the same functions as ours.

    check_plugin("measure", "nearest", plugins=["mine"])  # of a folder
    check_plugin("measure", my_package.nearest)           # of an installed package

`checks` gives them one by one, for a test of each: ``pytest.mark.parametrize("check", checks(...), ids=str)``.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from infoplane import plugin_files, registry
from infoplane.errors import UserError
from infoplane.registry import Role
from infoplane.testing.candidate import Candidate, Rule, rule_of

__all__ = ["Check", "check_plugin", "checks"]

MODULES: dict[Role, str] = {
    "data set": "data_sets",
    "task": "tasks",
    "architecture": "architectures",
    "shortcut": "shortcuts",
    "measure": "measures",
    "chart": "charts",
}
"""Role -> the module of this package that has its rules."""


@dataclass(frozen=True)
class Check:
    """One rule, held to one plug-in; raises ``AssertionError`` where it is broken."""

    rule: Rule
    role: Role
    name: str
    options: Mapping[str, Any]

    def __call__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.rule(Candidate(self.role, self.name, dict(self.options), Path(folder)))

    def __str__(self) -> str:
        return f"{self.role}-{self.name}-{self.rule.__name__}"


def checks(
    role: Role,
    plugin: str | ModuleType,
    options: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] | None = None,
) -> list[Check]:
    """List what a plug-in of this role is held to.

    plugin: its name, or its module. options: those that it needs, where it has some without a default. plugins: folders
    of plug-ins, as the configuration's key of that name. Raises `UserError` where there is no such plug-in.
    """
    if plugins is not None:
        plugin_files.use(map(Path, plugins))
    name = plugin if isinstance(plugin, str) else _name(role, plugin)
    registry.source(role, name)
    rules = [
        rule
        for module in ("any_role", MODULES[role])
        for rule in import_module(f"infoplane.testing.{module}").RULES
    ]  # fmt: skip
    return [Check(rule, role, name, options or {}) for rule in rules]


def check_plugin(
    role: Role,
    plugin: str | ModuleType,
    options: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] | None = None,
) -> None:
    """Hold a plug-in to every rule of its role; the arguments are those of `checks`.

    Raises ``AssertionError`` that names the file and each broken rule, and `UserError` where there is no such plug-in.
    """
    asked = checks(role, plugin, options, plugins)
    broken, first = [], None
    for check in asked:
        try:
            check()
        except Exception as error:  # whatever the plug-in raises breaks the rule
            said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            broken.append(f"- {rule_of(check.rule)} {said}".strip())
            first = first or error
    if broken:
        where = registry.source(role, asked[0].name)
        count = f"{len(broken)} of {len(asked)} rules"
        raise AssertionError("\n".join([f"the {role} '{asked[0].name}' ({where}) breaks {count}:", *broken])) from first


def _name(role: Role, module: ModuleType) -> str:
    """The name by which a module is known as a plug-in."""
    for name, found in plugin_files.plugins(role).items():
        if module.__file__ is not None and found.path.samefile(module.__file__):
            return name
    raise UserError(
        f"{module.__name__} is no {role} that infoplane knows: name it by an entry point of the group "
        f"infoplane.{plugin_files.OUTSIDE[role]}, or give the folder that holds it: plugins=[...]."
    )

"""The rules of the house: what may import what, what every plug-in and script must have, what versions are pinned."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from infoplane import registry
from infoplane.plugin_files import OWN
from infoplane.registry import Role

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "src" / "infoplane"

GROUND = {
    "checkout", "devices", "errors", "given", "meaning", "metrics", "options", "plugin_files", "progress", "provenance",
    "quantities", "registry", "reuse", "streams", "sources", "specs", "storage", "task", "tasks", "timings",
}  # fmt: skip
MAY_IMPORT: dict[str, set[str]] = {
    # The ground, from the bottom up.
    "__init__": set(),
    "errors": set(),
    "metrics": set(),
    "options": {"metrics"},
    "renamed": {"errors"},
    "provenance": set(),
    "progress": set(),
    "quantities": set(),
    "specs": {"errors"},
    "timings": {"errors"},
    "terminal_log": {"errors", "quantities"},
    "streams": set(),
    "devices": {"errors"},
    "checkout": {"errors"},
    "plugin_files": {"errors"},
    "registry": {"errors", "options", "plugin_files"},
    "storage": {"errors", "specs"},
    "meaning": {"errors", "storage"},
    "sources": {"meaning", "plugin_files", "registry"},
    "given": {"errors", "storage"},
    "task": {"errors", "metrics", "options", "registry", "specs"},
    "tasks": {"metrics", "options", "streams"},
    "reuse": {"errors", "provenance", "registry", "sources", "specs", "storage"},
    # The workflow's side: no job imports it.
    "config": {"errors", "metrics", "options", "plugin_files", "quantities", "registry", "renamed", "specs"},
    "why": {"config", "errors", "quantities", "registry", "sources", "specs", "storage", "timings"},
    # The jobs' side.
    "data": GROUND,
    "models": GROUND,
    "training": GROUND | {"data", "models"},
    "activations": GROUND | {"data", "models"},
    "measures": GROUND | {"data", "models", "activations", "renamed"},
    "purge": {"quantities", "reuse"},
    "tables": GROUND,
    "phases": GROUND | {"tables"},
    "charts": GROUND | {"tables", "phases"},
    "report": GROUND | {"tables", "phases", "charts"},
    "archive": GROUND | {"data", "renamed"},
    # Plug-ins are tried on everything that reads them.
    "testing": GROUND
    | {"data", "models", "training", "activations", "measures", "tables", "phases", "charts", "config"},
}
"""Arrows only run down: a module's floor, and the floors that it may stand on."""

ONLY_IN = {
    "pydantic": {"config"},
    "yaml": {"config", "report", "archive"},
    "polars": {"tables", "phases", "charts", "report", "archive", "testing"},
    "altair": {"charts"},
    "vl_convert": {"charts"},
    "jinja2": {"charts", "report"},
    "snakemake": set(),
    "pickle": set(),
    "joblib": set(),
}
"""Jobs that train, dump and measure also run where only torch, numpy, scipy and pyarrow are; nothing is pickled."""

ROLES: tuple[Role, ...] = registry.ROLES
PLUGINS = [(role, name) for role in ROLES for name in registry.names(role)]
SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.py"))
RULES = [
    REPOSITORY / "Snakefile",
    REPOSITORY / "workflow" / "Snakefile",
    *sorted((REPOSITORY / "workflow").rglob("*.smk")),
]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a file; for ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def own_files() -> list[Path]:
    """The repository's text files, without what tools and runs leave behind."""
    folders = (".ci", "bench", "config", "docs", "envs", "profiles", "scripts", "src", "tests", "workflow")
    files = [path for path in REPOSITORY.iterdir() if path.is_file()]
    files += [path for folder in folders for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    written = {".py", ".smk", ".yaml", ".yml", ".toml", ".md", ".txt", ".cff", ".json", ".j2", ".sh", ""}
    return sorted(p for p in files if p.suffix in written and not {"__pycache__", ".snakemake"} & set(p.parts))


# Floors


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_arrows_only_run_down(path: Path) -> None:
    here = floor(path)
    assert here in MAY_IMPORT, f"{relative(path)} stands on no floor: give it one in MAY_IMPORT"
    for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = module.split(".")
        if parts[0] == "infoplane" and len(parts) > 1:
            assert parts[1] in MAY_IMPORT[here] | {here}, f"{here} must not import {module}"


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_heavy_libraries_stay_where_they_are_needed(path: Path) -> None:
    for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        root = module.split(".")[0]
        assert floor(path) in ONLY_IN.get(root, {floor(path)}), f"{relative(path)} must not import {root}"


@pytest.mark.parametrize("path", [*modules(), *SCRIPTS], ids=relative)
def test_nothing_is_pickled(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert f"{node.value.id}.{node.attr}" not in ("torch.load", "torch.save", "np.load", "np.save")
        assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle")


@pytest.mark.parametrize("path", RULES, ids=relative)
def test_rules_import_neither_torch_nor_science(path: Path) -> None:
    lines = re.findall(r"^\s*(?:import|from)\s+([\w.]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    roots = {".".join(line.split(".")[:2]) for line in lines}
    science = {f"infoplane.{name}" for name in MAY_IMPORT} - {
        "infoplane.checkout",
        "infoplane.config",
        "infoplane.devices",
        "infoplane.errors",
        "infoplane.given",
        "infoplane.quantities",
        "infoplane.registry",
        "infoplane.reuse",
        "infoplane.sources",
        "infoplane.specs",
        "infoplane.terminal_log",
        "infoplane.why",
    }
    assert not roots & (science | {"torch", "numpy", "polars", "altair", "sklearn"})


def test_reading_the_demo_imports_no_heavy_library() -> None:
    code = (
        "import sys, yaml; from infoplane.config.load import load; from infoplane.sources import closure;"
        "from infoplane.config.disk import require_disk;"
        "require_disk(load(yaml.safe_load(open('config/config.yaml'))), None, lambda run: False);"
        "print(*{'torch', 'numpy', 'scipy', 'sklearn', 'polars', 'pyarrow', 'altair'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=with_source(), capture_output=True, text=True
    )
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def with_source() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


# Files


@pytest.mark.parametrize(
    "path", [p for p in own_files() if p.suffix in (".py", ".smk") or p.name == "Snakefile"], ids=relative
)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    assert path.stem not in ("utils", "util", "helpers", "misc"), "name a file after what is in it"


def test_no_path_of_one_machine_stands_in_the_repository() -> None:
    # A home folder, this checkout's own place, or a root that only some machine has.
    places = {re.escape(f"{place}/") for place in (REPOSITORY, Path.home()) if len(place.parts) > 1}
    pattern = re.compile(r"(?<![\w.~$})-])(?:" + "|".join([*sorted(places), r"/(?:home|Users|root|work)/\w"]) + ")")
    for path in own_files():
        found = pattern.search(path.read_text(encoding="utf-8"))
        assert not found, f"{relative(path)} names {found and found[0]}..."


# Scripts and rules


@pytest.mark.parametrize("script", SCRIPTS, ids=relative)
def test_a_script_explains_itself_from_any_folder(script: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, env=with_source(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    described = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert described and described.split()[0] in result.stdout


def rules_with_scripts() -> list[tuple[str, str]]:
    """The rules that call a script: name and text."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULES)
    found = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return [(name, body) for name, body in found if "{params.script:q}" in body]


@pytest.mark.parametrize(("rule", "body"), rules_with_scripts())
def test_a_rule_its_script_and_its_log_share_one_name(rule: str, body: str) -> None:
    assert re.findall(r'script=script\("(\w+)"\)', body) == [rule]
    assert re.search(rf"log:\n.*[/}}]{rule}\b", body), "its log has another name"
    if "    output:" in body:
        assert re.search(rf"benchmark:\n.*[/}}]{rule}\b", body), "its benchmark has another name"
    else:  # Snakemake takes a benchmark for a result, and would not run the rule a second time
        assert "benchmark:" not in body


@pytest.mark.parametrize(("rule", "body"), rules_with_scripts())
def test_a_rule_passes_what_its_script_takes(rule: str, body: str) -> None:
    script = (REPOSITORY / "scripts" / f"{rule}.py").read_text(encoding="utf-8")
    taken = dict(re.findall(r'add_argument\(\s*"(--[\w-]+)"(.*?)\)\n', script, flags=re.DOTALL))
    passed = set(re.findall(r"(?<= )--[\w-]+", body.split("shell:")[1]))
    assert passed <= set(taken)
    assert {name for name, rest in taken.items() if "required=True" in rest} <= passed


# Plug-ins


def test_every_role_has_plugins() -> None:
    for role in ROLES:
        folder = Path(importlib.import_module(OWN[role]).__path__[0])
        assert {*registry.names(role), "__init__"} == {path.stem for path in folder.glob("*.py")}
        assert registry.names(role)


# Versions


def pins(lines: list[str]) -> dict[str, str]:
    return dict(line.split("==") for line in (line.split("#")[0].strip() for line in lines) if "==" in line)


CONSTRAINTS = pins((REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines())
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=!~; \[]", line)[0] for line in lines}


@pytest.mark.parametrize("path", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=relative)
def test_conda_files_pin_what_the_constraints_pin(path: Path) -> None:
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    through_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    pinned = pins(through_pip)
    assert len(pinned) == len(through_pip), "every package is pinned"
    assert pinned == {name: CONSTRAINTS.get(name) for name in pinned}
    assert set(pinned) == required(PROJECT["dependencies"]) - {"snakemake"}


def test_the_constraints_pin_whatever_is_required() -> None:
    extras = [line for name in PROJECT["optional-dependencies"] for line in PROJECT["optional-dependencies"][name]]
    own = {PROJECT["name"]}  # `test` takes in what `docs` needs
    assert required(PROJECT["dependencies"] + extras) - own <= set(CONSTRAINTS)


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]


# The Makefile


def test_an_old_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = subprocess.run(
        ["make", "run", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert f"infoplane needs Python 3.11 or newer, and '{old}' is not" in result.stderr
    assert not (tmp_path / "venv").exists()

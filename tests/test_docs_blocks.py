"""Every code block of the documentation is run, read or parsed; none is passed over in silence."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import snakemake
import yaml
from conftest import REPOSITORY
from snakemake.cli import get_argument_parser

from infoplane.config.load import load
from infoplane.errors import UserError

PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "config/README.md"])

RUN_BY = {
    "CONTRIBUTING.md": ("test_docs.py", r"def test_the_\w+_of_the_guide"),
    "docs/how-it-works.md": ("test_docs.py", r"def test_examples_run"),
    "docs/own-activations.md": ("test_standalone.py", r"def test_the_examples_of_the_guide_run"),
    "docs/own-plugins.md": ("test_plugins.py", r"def test_the_lines_of_the_page_on_own_plugins_run"),
    "docs/shortcuts.md": ("test_docs.py", r"def test_the_table_of_a_state_that_is_kept"),
    "docs/verdicts.md": ("test_claims.py", r"def test_the_documented_count_of_false_alarms"),
}
"""Page with Python blocks -> the test that executes all of them."""

NOT_SHIPPED = {"negative": "the shortcut kind that CONTRIBUTING.md writes, which is no part of the package"}
"""Plug-in that a YAML block names -> why there is none."""

ELSEWHERE = {
    "squeue": "Slurm's own; tests/test_slurm.py runs it where there is a Slurm",
}
"""Command of a shell block that is none of ours -> why it is not parsed."""

NOT_SAID = {
    "results/demo/": "a listing of a result folder",
    "mine/": "a listing of a result folder",
    "demo/": "a listing of an archive",
    "files of the archive": "what the comparison prints; tests/test_archive_compare.py holds it",
    "rule         jobs": "a picture of the terminal; tests/test_staleness.py holds what is printed there",
    "module infoplane:": "another workflow's Snakefile; tests/test_module.py runs one like it",
    "run,seed,step,site,zx,zy": "the beginning of a CSV file",
    "FileNotFoundError": "Python says it; the test of targets below holds the cause",
    "Phases of the last block": "a picture of the terminal; tests/test_terminal.py holds what is printed there",
}
"""First line of a text block that no program says -> what it is."""

LANGUAGES = {"python", "yaml", "sh", "text"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of every fenced block, indented ones too."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^[ \t]*```(\w*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", text, flags=re.MULTILINE | re.DOTALL)
    assert text.count("```") == 2 * len(found), f"{name(page)}: a fence is open, or not on a line of its own"
    return found


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def each(language: str) -> list[Any]:
    """Page and content of every block of a language, as parameters."""
    return [
        pytest.param(name(page), content, id=f"{name(page)}-{content.split(chr(10))[0][:60]}")
        for page in PAGES
        for spoken, content in blocks(page)
        if spoken == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {language for language, _ in blocks(page)} <= LANGUAGES


# Python


def test_every_page_with_python_is_run_by_a_test() -> None:
    pages = {name(page) for page in PAGES if any(language == "python" for language, _ in blocks(page))}
    assert pages == set(RUN_BY)
    for page, (module, test) in RUN_BY.items():
        text = (REPOSITORY / "tests" / module).read_text(encoding="utf-8")
        assert re.search(test, text) and Path(page).name in text


def test_every_plugin_of_the_guide_is_run() -> None:
    text = (REPOSITORY / "tests/test_docs.py").read_text(encoding="utf-8")
    called = re.findall(r'example\("(.+?)"\)', text)
    written = [content for language, content in blocks(REPOSITORY / "CONTRIBUTING.md") if language == "python"]
    assert len(called) == len(written)
    for block in written:
        assert any(block.startswith(f'"""{first}') for first in called), block.split("\n")[0]


# Configuration


@pytest.mark.parametrize(("page", "content"), each("yaml"))
def test_a_fragment_of_configuration_is_understood(page: str, content: str) -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    fragment = yaml.safe_load(content)
    missing = [kind for kind in NOT_SHIPPED if re.search(rf"\b{kind}\b", content)]
    experiment = fragment if "experiment" in fragment else demo | fragment
    if missing:
        with pytest.raises(UserError, match=rf"unknown shortcut '{missing[0]}'"):
            load(experiment)
    else:
        assert load(experiment).runs


# Shell


def commands(content: str) -> list[list[str]]:
    """The words of every command of a block, without comments and without variables set for it."""
    found = []
    for line in content.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


@cache
def rules() -> set[str]:
    texts = [
        path.read_text(encoding="utf-8") for path in [REPOSITORY / "Snakefile", *REPOSITORY.glob("workflow/**/*.smk")]
    ]
    return set(re.findall(r"^rule (\w+):", "\n".join(texts), flags=re.MULTILINE))


@cache
def parser() -> Any:
    """Snakemake's own; made once, because its plug-ins are looked for each time."""
    return get_argument_parser()


def check_snakemake(words: list[str]) -> None:
    arguments = parser().parse_args(words)  # exits where an argument is unknown or has no such value
    assert set(arguments.targets) <= rules()
    for path in arguments.configfile or []:
        assert Path(path).is_file(), path
    if arguments.workflow_profile:
        assert Path(arguments.workflow_profile, "config.yaml").is_file()
    assert set(arguments.forcerun or []) <= rules()


def examples() -> list[str]:
    """Every command of Snakemake's with a configuration in README, docs, comments and docstrings, up to its end."""
    paths = [*REPOSITORY.glob("*.md"), REPOSITORY / "Snakefile"]
    paths += [
        path for folder in ("docs", "config", "profiles", "workflow") for path in (REPOSITORY / folder).rglob("*")
    ]
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in paths if p.is_file() and p.suffix in (".md", ".yaml", ".smk", "")
    )
    return re.findall(r"snakemake [^\n`#]*?--config(?:file)?\b[^\n`#]*", text)


def swallowed(command: str) -> set[str]:
    """The targets that stand where `--configfile` or `--config` takes them for a value of its own."""
    taken = re.sub(r"^.*?--config(?:file)?\b", "", command)
    return rules() & set(taken.split(" -")[0].split())


def test_the_target_stands_before_the_configuration() -> None:
    assert swallowed("snakemake --cores 1 --configfile mine.yaml why") == {"why"}
    found = examples()
    assert len(found) > 20
    wrong = "snakemake --configfile mine.yaml why"  # which docs/troubleshooting.md explains
    assert {command for command in found if swallowed(command)} == {wrong}


def check_make(words: list[str]) -> None:
    for target in words:
        subprocess.run(["make", "--dry-run", target], check=True, capture_output=True)


def check_pip(words: list[str]) -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert words[:3] == ["install", "-c", "constraints.txt"]
    assert words[3] == "-e" and re.match(r"\.(\[|$)", words[4])
    assert set(re.findall(r"[\w-]+", words[4])) <= set(project["optional-dependencies"])


def check_python(words: list[str]) -> None:
    if words[0] == "-P":  # Python's own: it does not import from the folder that it is started in
        words = words[1:]
    called = words[:2] if words[0] == "-m" else words[:1]
    if words[0] != "-m":
        assert Path(words[0]).is_file(), words[0]
    said = subprocess.run([sys.executable, *called, "--help"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    for word in words[len(called) :]:
        assert not word.startswith("-") or re.search(rf"(?<![\w-]){word}\b", said.stdout), word


def check_pytest(words: list[str]) -> None:
    assert Path(words[0]).is_file() and (words[1] == "-k" or words[1:] == ["--hypothesis-profile", "thorough"])


CHECKS = {
    "snakemake": check_snakemake,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    ".venv/bin/python": check_python,
    ".venv/bin/pytest": check_pytest,
}


@pytest.mark.parametrize(("page", "content"), each("sh"))
def test_a_command_is_one(page: str, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = commands(content)
    assert found
    for first, *words in found:
        if first not in ELSEWHERE:
            CHECKS[first](words)


@pytest.mark.parametrize("wrong", ["snakemake --coers 2", "snakemake reprot", "make tset", "python scripts/cnofig.py"])
def test_a_command_that_is_none_is_found_out(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    first, *words = shlex.split(wrong)
    with pytest.raises((AssertionError, SystemExit, subprocess.CalledProcessError)):
        CHECKS[first](words)


def test_no_exception_is_left_over() -> None:
    every = [(language, content) for page in PAGES for language, content in blocks(page)]
    text = "\n".join(content for _, content in every)
    for word in [*NOT_SHIPPED, *ELSEWHERE, *NOT_SAID]:
        assert re.search(rf"(?<![\w/]){re.escape(word)}", text), f"nothing says '{word}' any more: take it out"


# What programs say


@cache
def sayings() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What the package, the profiles and Snakemake can say: each text's literal part, and a pattern."""
    package = Path(snakemake.__file__).parent
    texts: set[tuple[str, ...]] = set()
    for path in [*REPOSITORY.glob("src/**/*.py"), package / "exceptions.py", package / "logging.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        pieces = {id(value) for node in formatted for value in node.values}
        for node in formatted:
            texts.add(tuple(str(v.value) if isinstance(v, ast.Constant) else "" for v in node.values))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
                texts |= {tuple(line.split("{}")) for line in node.value.splitlines()}
    for path in REPOSITORY.glob("profiles/*/config.yaml"):
        said = re.findall(r'sys\.exit\(f?"(.+?)"\)', path.read_text(encoding="utf-8"))
        texts |= {tuple(re.split(r"\{.*?\}", text)) for text in said}
    long = {pieces for pieces in texts if len("".join(pieces).strip()) >= 12}
    return tuple(("".join(pieces), re.compile(".*".join(map(re.escape, pieces)))) for pieces in long)


def said(line: str) -> bool:
    """Whether a program can say this line, or begins so."""
    return any(pattern.search(line) or line in text for text, pattern in sayings())


@pytest.mark.parametrize(("page", "content"), each("text"))
def test_a_message_is_one_that_can_be_said(page: str, content: str) -> None:
    lines = content.splitlines()
    if lines[0].startswith(tuple(NOT_SAID)):
        return
    for line in lines:
        assert said(line), f"{page}: nothing says: {line}"


def test_a_message_that_nothing_says_is_found_out() -> None:
    assert not said("error: the moon is in the seventh house: wait.")

"""Odd values, keys and paths of a configuration: each was taken without a word, or was a traceback, or never ended."""

import datetime
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from infoplane import registry
from infoplane.config.load import load
from infoplane.config.written import check_file
from infoplane.errors import UserError

CLAIM = {"sentence": "s", "provenance": "ours", "quantity": "label", "expected": "flat", "of": ["identity"]}

ODD: list[tuple[dict[Any, Any], str]] = [
    ({"activations": {"pool": {"*": 0}}}, "activations.pool.*: expected a number of at least 1, got 0"),
    (
        {"activations": {"project": {"*": -3}}},
        "activations.project.*: expected a number of at least 1, got -3",
    ),
    ({"training": {"steps": True}}, "training.steps: expected a whole number, got True"),
    ({"training": {"steps": 60.0}}, "training.steps: expected a whole number, got 60.0"),
    ({"training": {"stack_seeds": 1}}, "training.stack_seeds: expected true or false, got 1"),
    ({"training": {"learning_rate": "inf"}}, "training.learning_rate: expected a finite number, got 'inf'"),
    ({"training": {"learning_rate": math.nan}}, "training.learning_rate: expected a finite number, got nan"),
    ({"training": {"learning_rate": math.inf}}, "training.learning_rate: expected a finite number, got inf"),
    (
        {"shortcuts": {"scaled": {"alpha": math.nan}}},
        "shortcuts.scaled.alpha: expected a finite number, got nan",
    ),
    ({"claims": {"a": CLAIM | {"versus": math.inf}}}, "claims.a.versus"),
    ({"training": {"steps": 10**400}}, "training.steps: expected a number of at most 19 digits"),
    ({"seeds": [True, False]}, "seeds[0]: expected a whole number, got True"),
    ({"seeds": [2**63]}, "seeds[0]: expected a number of at most 19 digits"),
    ({"seeds": [2**32]}, "seeds[0]: expected a number of at most 4294967295, got 4294967296"),
    ({"seeds": {1, 2}}, "seeds: expected text, a number, true or false, a list or a mapping, got set {1, 2}"),
    ({"seeds": list(range(50_000))}, "too many for a job's command line"),
    ({"shortcuts": {"scaled": {"alpha": True}}}, "shortcuts.scaled.alpha: expected a number, got True"),
    ({"architectures": {"mlp": {"width": 8.0}}}, "architectures.mlp.width: expected a whole number, got 8.0"),
    ({"architectures": {"tapered_mlp": {"widths": [3, True]}}}, "widths[1]: expected a whole number, got True"),
    ({"architectures": {"mlp": {"blocks": 10**6}}}, "architectures.mlp: blocks must be at most 5000, got 1000000"),
    ({"architectures": {"mlp": {"training": [1]}}}, "architectures.mlp.training: expected keys and values, got [1]"),
    (
        {"architectures": {"mlp": {"training": {"checkpoints": 3}}}},
        "mlp.training.checkpoints: expected keys and values",
    ),
    (
        {"measures": {"kernel": {"seed": -1}}},
        "measures.kernel.seed: expected a whole number from 0 to 4294967295, got -1",
    ),
    (
        {"training": {"checkpoints": {"log": 10**7}}},
        "training.checkpoints.log: expected a number of at most 100000, got 10000000",
    ),
    (
        {"training": {"steps": 10**9, "checkpoints": {"stages": [[10**9, 1]]}}},
        "training: checkpoints.stages are 1000000000 checkpoints, which is more than 100000",
    ),
    (
        {"shortcuts": {"a\n": {"kind": "none"}}},
        "shortcuts: the key 'a\\n' must have at most 200 characters, all of them",
    ),
    ({"shortcuts": {1: {"kind": "none"}}}, "shortcuts: the key 1 is not text: put it in quotes"),
    ({"shortcuts": {False: {"kind": "none"}}}, "(YAML reads yes, no, on and off as true and false): put it in quotes"),
    ({"shortcuts": {"a" * 101: {"kind": "none"}}}, "a label has at most 100 characters, got 101"),
    ({"shortcuts": {"a": {"kind": ["none"]}}}, "shortcuts.a.kind: expected the name of a shortcut, got ['none']"),
    ({"experiment": "a" * 300}, "experiment: expected at most 100 characters"),
    (
        {"experiment": datetime.date(2020, 1, 1)},
        "experiment: expected text, a number, true or false, a list or a mapping",
    ),
    ({"results": ""}, "results: name a folder, got ''"),
    ({"results": "a{m}"}, "results: '{' cannot stand in the path of a folder, got 'a{m}'"),
    ({"results": "a\nb"}, "cannot stand in the path of a folder, got 'a\\nb'"),
    ({"results": "a" * 300}, "results: a path has at most 1000 bytes, each name in it 200"),
    ({"results": "~no-such-user/a"}, "results: the home folder in '~no-such-user/a' is not known"),
    ({"results": "a\0b"}, "results: the character '\\x00' cannot stand in a text"),
    ({"data": {"folder": "/"}}, "data.folder: name a folder, got '/'"),
    ({"claims": {"a b": CLAIM}}, "claims.a b: a label holds letters, digits, '_', '.' and '-' only, got 'a b'"),
    (
        {"claims": {"a": CLAIM | {"of": ["identity", "identity"]}}},
        "claims.a.of: 'identity' is listed twice: name it once",
    ),
]


@pytest.mark.parametrize(("odd", "sentence"), ODD, ids=[sentence[:50] for _, sentence in ODD])
def test_odd_values_are_one_clear_sentence(odd: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load(odd)
    assert sentence in str(caught.value) and str(caught.value).isprintable()


def test_a_home_folder_is_found_for_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load({"results": "~/res/"}).config.results == "/somewhere/res"
    assert load({"results": "./a b/"}).config.results == "a b"


def test_a_misspelt_key_executes_no_plugin_that_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    executed, read = set(), registry.options_class
    monkeypatch.setattr(registry, "options_class", lambda role, name: executed.add((role, name)) or read(role, name))
    for section, role, name, key in (
        ("architectures", "architecture", "mlp", "mlp_ratio"),
        ("shortcuts", "shortcut", "none", "bias"),
        ("measures", "measure", "linear", "landmark"),
        ("charts", "chart", "dynamics", "shared_axes"),
        ("data", "data set", "digits", "image"),
    ):
        config = {section: {"kind": name, key: 1} if section == "data" else {name: {key: 1}}}
        with pytest.raises(UserError, match="unknown key"):
            load(config)
        assert (role, name) in executed
    named = {
        "mlp",
        "resnet",
        "none",
        "identity",
        "linear",
        "kernel",
        "dynamics",
        "digits",
        "classification",
    }  # and what is the default beside them
    assert {name for _, name in executed} <= named


@pytest.mark.parametrize("role", registry.ROLES)
def test_options_are_named_without_executing_them(role: registry.Role) -> None:
    for name in registry.names(role):
        assert registry.option_names(role, name) == {field.name for field in fields(registry.options_class(role, name))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shortcuts:\n  none:\n  identity:\n  none: {}\n", "the key 'none' is there twice, in lines 2 and 4"),
        ("seeds: [0]\n'seeds': [1]\n", "the key 'seeds' is there twice, in lines 1 and 2"),
        ("claims: [{a: 1, b: {c: 1, d: [2], c: 3}}]\n", "the key 'c' is there twice, in lines 1 and 1"),
        ('{"seeds": [0],\t"seeds": [1]}', "the key 'seeds' is there twice, in the same mapping"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        check_file(path)
    assert str(caught.value) == f"{path}: {said}: keep one of them, or the first is lost."


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1, c: 2}\nd: {<<: *x, <<: *x, c: 3}\n",
        "a: [b, b]\nc: {b: b}\n",
        '{"a": {"b": 1}, "b": 2}',
        "a: [",
        "",
    ],
)
def test_other_files_are_left_to_snakemake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    check_file(path)

"""What a wrong value of a configuration is answered with: a sentence for a person, never the words of a library."""

import copy
import math
import re
from typing import Any

import pytest
from test_config_drawn import VALID, places

from infoplane import registry
from infoplane.config import problems, schema
from infoplane.config.load import load
from infoplane.errors import UserError

FOREIGN = re.compile(
    r"\b(input|valid|pars\w+|string|dictionary|dict|tuple|boolean|integer|instance|pattern|literal|NoneType|None|"
    r"validation error|function|field required|should (be|have|match))\b|\^|\\|known: "
)
"""Words of pydantic, of Python and of regular expressions."""

WRONG = [None, True, "1e3", "1,5", "", "a b", -1, 0.5, 10**12, math.nan, [], [1], [[1]], ["a"], {}, {"a": 1}, {"a": {}}]


def refused(config: Any) -> str:
    """The sentence, or empty where the configuration is taken."""
    try:
        load(config)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("turn", range(4))
def test_a_wrong_value_at_any_key_is_answered_in_plain_words(turn: int) -> None:
    """Of all keys and all values every pair that the turn takes; neighbours among keys get different values."""
    answered = 0
    for index, (*above, key) in enumerate(places(VALID)):
        value = WRONG[(index * 5 + turn * 4) % len(WRONG)]
        config = copy.deepcopy(VALID)
        parent = config
        for step in above:
            parent = parent[step]
        parent[key] = copy.deepcopy(value)
        said = refused(config)
        answered += bool(said)
        # our own lists of names, and what was given, may hold any word
        ours = re.sub(r"choose from .*|'[^']*'|got .*", "", said)
        assert not FOREIGN.search(ours) and problems.UNKNOWN not in said, (key, value, said)
    assert answered > 100


def test_every_regular_expression_has_a_name() -> None:
    patterns = set(re.findall(r"'pattern': '(.*?)'", str(schema.Experiment.model_json_schema()).replace("\\\\", "\\")))
    assert len(patterns) > 1 and patterns == set(problems.PATTERNS)


SAID: list[tuple[dict[str, Any], str]] = [
    ({"seeds": 2}, "seeds: expected a list, got 2: write [2], or [0, 1] for that many"),
    ({"seeds": 40}, "seeds: expected a list, got 40: write [40]"),
    ({"activations": {"sites": "*.z"}}, "activations.sites: expected a list, got '*.z': write ['*.z']"),
    ({"training": {"steps": "1e3"}}, "training.steps: expected a whole number, got '1e3': write 1000"),
    ({"training": {"steps": 2.5}}, "training.steps: expected a whole number, got 2.5"),
    ({"training": {"steps": None}}, "training.steps: expected a whole number, got nothing"),
    ({"training": {"learning_rate": "0,1"}},
     "training.learning_rate: expected a number, got '0,1': write 0.1, with a point"),
    ({"training": {"learning_rate": "fast"}}, "training.learning_rate: expected a number, got 'fast'"),
    ({"training": {"momentum": 1}}, "training.momentum: expected a number below 1, got 1"),
    ({"training": {"learning_rate": 0}}, "training.learning_rate: expected a number above 0, got 0"),
    ({"training": {"stepps": 3, "x": 1}}, "training.stepps: unknown key: did you mean 'steps'?"),
    ({"figures": {"zzz": 3}}, "figures.zzz: unknown key: choose from width"),
    ({"training": 3}, "training: expected keys and values, got 3"),
    ({"shortcuts": ["identity", "none"]},
     "shortcuts: expected keys and values, got ['identity', 'none']: write {identity: , none: }"),
    ({"measures": "kernel"}, "measures: expected keys and values, got 'kernel': write {kernel: }"),
    ({"shortcuts": {"half": "scaled"}}, "shortcuts.half: expected keys and values, got 'scaled': write {scaled: }"),
    ({"experiment": 2020}, "experiment: expected text, got 2020: put it in quotes"),
    ({"experiment": True},
     "experiment: expected text, got True (YAML reads yes, no, on and off as true and false: put it in quotes)"),
    ({"animation": {"format": False}},
     "animation.format: expected 'none', 'gif' or 'mp4', got False (YAML reads yes, no, on and off as true and "
     "false: put it in quotes)"),
    ({"device": "gpu"}, "device: expected 'auto', 'cpu' or 'cuda', got 'gpu': did you mean 'cuda'?"),
    ({"experiment": "my run"}, "experiment: expected a name of letters, digits, '_', '.' and '-' that begins with a "
     "letter or a digit, got 'my run': my-run, for example"),
    ({"claims": {"a": {}}}, "claims.a.sentence: this is missing, and has no default"),
    ({"claims": {"a": {"sentence": " "}}}, "claims.a.sentence: expected words, and not only blanks, got ' '"),
    ({"claims": {"a": {"sentence": ""}}}, "claims.a.sentence: expected a text that is not empty, got ''"),
    ({"accuracy": {"samples": []}}, "accuracy.samples: expected a list with 1 or more entries, got []"),
    ({"reuse": "perhaps"}, "reuse: expected true or false, got 'perhaps'"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "said"), SAID, ids=[said[:60] for _, said in SAID])
def test_the_sentence(config: dict[str, Any], said: str) -> None:
    assert refused(config) == said


def test_the_options_of_plugins_are_answered_alike() -> None:
    for role, section in (("architecture", "architectures"), ("shortcut", "shortcuts"), ("measure", "measures")):
        for name in registry.names(role):  # type: ignore[arg-type]
            said = refused({section: {name: 3}})
            assert said == f"{section}.{name}: expected keys and values, got 3"

"""Drawn configurations: each is a plan, or one sentence that names the key; never a traceback, never a hang."""

import contextlib
import copy
import datetime
import math
import signal
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
from conftest import draws
from hypothesis import event, given

from infoplane.config.complete import complete
from infoplane.config.demand import ALONE, OF_A_RUN, demand
from infoplane.config.disk import experiment_bytes, require_disk
from infoplane.config.load import load
from infoplane.config.plan import Plan
from infoplane.config.schema import Experiment
from infoplane.errors import UserError

SECONDS = 10
"""After which a configuration is taken for one that hangs."""
LONGEST = 1000
"""Characters of a sentence."""

CLAIM = {"sentence": "s", "provenance": "ours", "quantity": "fit_depth", "expected": "less", "of": ["identity"]}
WRITTEN: dict[str, Any] = {
    "architectures": {"mlp": {"training": {"steps": 60, "checkpoints": {"stages": [[20, 5], [60, 20]]}}}, "vit": None},
    "shortcuts": {"identity": None, "none": None, "half": {"kind": "scaled"}},
    "seeds": [0, 1],
    "activations": {"pool": {"*": 4}, "project": {"*.z": 64}},
    "measures": {"kernel": None, "anatomy": None, "binned": None},
    "charts": {"information_plane": None, "dynamics": None},
    "claims": {"fits": CLAIM | {"versus": "none"}, "starts": CLAIM | {"versus": 0.5}},
    "accuracy": {"families": {"binned": {"seeds": 3}}},
}
VALID = complete(load(WRITTEN))
"""With every key and option, so that every one of them is changed in some draw."""

NUMBERS = [0, 1, -1, -3, 2, 7, 10**6, 10**7, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, -(10**400), 0.0, -0.5, 0.5, 1.0]
NUMBERS += [60.0, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan]
TEXTS = ["", " ", "a", "0", "-1", "60", "1e3", "inf", "nan", "true", "all", "auto", "none", "identity", "kernel", "*"]
TEXTS += [
    "[",
    "*.z",
    "~",
    "~/a",
    "~nobody/a",
    "/",
    ".",
    "..",
    "../a",
    "a/b",
    "{m}",
    "[1]",
    "a b",
    "a\n",
    "é",
    "\0",
    "\x1b[1m",
]
TEXTS += ["\ud800", "a" * 300, "a" * 200_000, "</script>", "a|b", "None", "2020-01-01"]
ODD = [True, False, None, [], {}, [[]], {"a": {}}, [1, 1], ["*", "*"], [True], [None], list(range(50_000)), set(), b"a"]
ODD += [
    datetime.date(2020, 1, 1),
    (1, 2),
    {1: 2},
    {None: 1},
    {True: 1},
    {"kind": "none"},
    {"kind": []},
    {"training": []},
]

Path = tuple[Any, ...]


def places(values: Any, above: Path = ()) -> Iterator[Path]:
    """Where a value stands in nested mappings and lists, everywhere."""
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inner:
        yield (*above, key)
        yield from places(value, (*above, key))


def nested(depth: int) -> Any:
    """Mappings in mappings; and, at 0, one that holds itself."""
    found: dict[str, Any] = {}
    if not depth:
        found["a"] = found
    for _ in range(depth):
        found = {"a": found}
    return found


def bomb(levels: int) -> Any:
    """A few small lists by the name of which YAML writes billions of values."""
    found: list[Any] = [1]
    for _ in range(levels):
        found = [found] * 10
    return found


SINGLE = st.sampled_from([*NUMBERS, *TEXTS, *ODD]) | st.integers() | st.floats() | st.text(max_size=20)
VALUES = SINGLE | st.sampled_from([0, 3, 30, 3000]).map(nested) | st.just(9).map(bomb) | st.lists(SINGLE, max_size=3)


@st.composite
def configurations(draw: st.DrawFn) -> Any:
    """The valid one with a few changes: another value, a key less, a key more, a key by another name."""
    config = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        *above, key = draw(st.sampled_from(list(places(config))))
        parent = config
        for step in above:
            parent = parent[step]
        change = draw(st.sampled_from(["value", "value", "value", "without", "more", "name"]))
        if change == "value":
            parent[key] = draw(VALUES)
            break  # what was put in may hold itself
        value = parent.pop(key)
        if change != "without" and isinstance(parent, dict):
            name = draw(st.sampled_from([*TEXTS, f"{key}e", f"{key}\n", f"{key}"[:-1], 1, None, False]))
            parent[name] = value
            if change == "more":
                parent[key] = copy.deepcopy(value)
    return config


@contextlib.contextmanager
def watchdog() -> Iterator[None]:
    """Fail where the block takes too long."""

    def bark(*_: object) -> None:
        raise AssertionError(f"still busy after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def planned(config: Any) -> Plan:
    """All that is done with a configuration before the first job runs."""
    plan = load(config)
    stages = [(stage, label) for stage in OF_A_RUN for label in plan.architectures]
    for stage, label in [*((stage, None) for stage in ALONE), *stages]:
        assert demand(plan, stage, label).minutes > 0
    assert experiment_bytes(plan) > 0
    require_disk(plan, None, lambda run: False)
    return plan


@given(configurations())
@draws(100, 500)
def test_a_drawn_configuration_is_a_plan_or_one_sentence(config: Any) -> None:
    with watchdog():
        try:
            plan = planned(config)
        except UserError as error:
            event("sentence")
            said = str(error)
            assert said.isprintable() and 10 < len(said) < LONGEST, said
            assert said.split(":")[0].split(".")[0].split("[")[0].split(" x ")[0] in known(config), said
        else:
            event("plan")
            assert complete(load(complete(plan))) == complete(plan)


def known(config: Any) -> set[str]:
    """How a sentence may begin: with a section, or with what is written in place of one."""
    written = config if isinstance(config, dict) else {}
    return {*Experiment.model_fields, "the top level", "the activations of", *TEXTS, *map(str, written)}

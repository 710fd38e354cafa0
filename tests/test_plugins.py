"""Every plug-in of ours, and each that CONTRIBUTING.md writes, is held to the rules of its role."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY
from data_sources import LOCAL, SAMPLES

from infoplane import plugin_files, registry
from infoplane.errors import UserError
from infoplane.registry import Role
from infoplane.testing import Check, charts, check_plugin, checks
from infoplane.testing.candidate import Candidate

GUIDE = REPOSITORY / "CONTRIBUTING.md"
NAMED: dict[Role, str] = {
    "shortcut": "negative",
    "architecture": "two_layers",
    "measure": "nearest",
    "data set": "noise",
    "task": "absolute",
    "chart": "last_block",
}
"""Role, in the order of the guide, and the name under which its example is tried."""

OURS = [
    check
    for role in registry.ROLES
    for name in registry.names(role)
    if (role, name) not in {("data set", local) for local in LOCAL}
    for check in checks(role, name)
]


@pytest.mark.parametrize("check", OURS, ids=str)
def test_ours(check: Check) -> None:
    check()


RULES_OF_DATA = [check.rule for check in checks("data set", "digits")]


@pytest.mark.parametrize("rule", RULES_OF_DATA, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", LOCAL)
def test_data_sets_that_read_files(rule: "Check", name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each on a small copy in the format of its own."""
    module = registry.load("data set", name)
    options = LOCAL[name](module, tmp_path)
    if module.Options(**options).size is not None:
        for one in (module.Options, registry.options_class("data set", name)):
            monkeypatch.setattr(one, "size", SAMPLES)
    if name == "mnist5k":
        monkeypatch.syspath_prepend(tmp_path / "site")
    rule(Candidate("data set", name, options, tmp_path))


# The guide's


def written() -> list[str]:
    """The guide's Python blocks."""
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the guide's plug-ins, in use."""
    folder = tmp_path_factory.mktemp("guide") / "of_the_guide"
    for (role, name), block in zip(NAMED.items(), written(), strict=True):
        place = folder / plugin_files.OUTSIDE[role]
        place.mkdir(parents=True)
        (place / f"{name}.py").write_text(block, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plugin_files.VARIABLE, "")
        yield folder


@pytest.mark.parametrize("role", NAMED)
def test_a_plugin_of_the_guide(role: Role, guide: Path) -> None:
    check_plugin(role, NAMED[role], plugins=[guide])
    check_plugin(role, registry.load(role, NAMED[role]))


def test_the_guides_chart_colours_shortcuts(guide: Path) -> None:
    plugin_files.use([guide])
    assert list(charts.colours(charts.drawn(Candidate("chart", NAMED["chart"]), charts.whole())))


def test_every_example_stands_in_the_guide() -> None:
    assert len(written()) == len(NAMED)


def test_the_lines_of_the_page_on_own_plugins_run(guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/own-plugins.md: a plug-in of the folder `mine`, by its name and as a module."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "docs/own-plugins.md").read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    shutil.copytree(guide / "measures", tmp_path / "mine" / "measures")
    plugin_files.use([tmp_path / "mine"])
    exec(block, {"my_package": SimpleNamespace(nearest=registry.load("measure", "nearest"))})


# What is said of a plug-in that breaks a rule


BROKEN: dict[str, tuple[Role, str, str]] = {
    "time_is_mixed": (
        "shortcut",
        '"""s = x, mixed along the last axis."""\n'
        "from torch import nn\n"
        "from infoplane.models.residual import Kind\n"
        "class Shortcut(Kind):\n"
        "    def __init__(self, options, place):\n"
        "        super().__init__()\n"
        "        self.mix = nn.Linear(place.features, place.features)\n"
        "    def forward(self, x, f):\n"
        "        return self.mix(x), f\n",
        "- Channels first and channels last give the same, position by position; there are as many times as channels.",
    ),
    "wrong_shape": (
        "architecture",
        '"""A network that answers with one number too many."""\n'
        "from dataclasses import dataclass\n"
        "from torch import nn\n"
        "from infoplane.models.residual import through\n"
        "from infoplane.models.sites import Site\n"
        "from infoplane.options import Addition, ResidualOptions\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Options(ResidualOptions):\n"
        "    def places(self, input, output):\n"
        '        return {"block1": Addition((8,)), "logits": output.shape}\n'
        "class Network(nn.Module):\n"
        "    def __init__(self, options, input, output, add):\n"
        "        super().__init__()\n"
        "        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(input.values, 8))\n"
        "        self.block1 = add(nn.Linear(8, 8), 8, norm=nn.LayerNorm)\n"
        "        self.logits = nn.Linear(8, output.values + 1)\n"
        '        self.logits.add_module("z", Site())\n'
        "    def forward(self, x):\n"
        "        return self.logits(through(self, (\"block1\",), self.stem(x)))\n",
        "forward gives (4, 6) for 4 samples: expected (4, 5)",
    ),
    "unseeded": (
        "measure",
        '"""A random number for every activation."""\n'
        "import random\n"
        "from infoplane.measures.estimate import Estimate\n"
        "def estimate(z, targets, options):\n"
        '    return [Estimate(measure="zx", unit="1", value=random.random(), reference=None, n=len(z), d=1)]\n',
        "- The same run gives the same bytes: whatever is drawn has a seed.",
    ),
    "mean_of_all": (
        "task",
        '"""Learn the mean of all samples."""\n'
        "from infoplane.tasks.regression import Options, scores, trivial\n"
        "from infoplane.tasks.regression import losses as each\n"
        "def losses(output, batch, options):\n"
        "    found = each(output, batch, options)\n"
        "    return found.mean().expand_as(found)\n",
        "a loss depends on other samples",
    ),
    "unlike": (
        "data set",
        '"""Noise without a seed."""\n'
        "import numpy as np\n"
        "from infoplane.data.samples import Samples\n"
        "from infoplane.options import image, label\n"
        "class Options:\n"
        "    size = 100\n"
        '    fields = {"x": image(1, 4, 4), "y": label(2)}\n'
        "def load(options, folder):\n"
        "    draw = np.random.default_rng().integers\n"
        '    arrays = {"x": draw(0, 256, (100, 1, 4, 4), np.uint8), "y": np.arange(100) % 2}\n'
        '    return Samples(arrays, "unlike: noise.")\n',
        "load draws something that differs from call to call: seed it",
    ),
    "silent": (
        "chart",
        '"""Nothing, in all cases."""\n'
        "import altair as alt\n"
        "from infoplane.options import NoOptions as Options\n"
        "def draw(tables, options):\n"
        "    return alt.Chart().mark_point()\n",
        "a chart has the option family: which measure family's values it draws",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    role, text, said = BROKEN[name]
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    folder = tmp_path / f"of_{name}"
    place = folder / plugin_files.OUTSIDE[role]
    place.mkdir(parents=True)
    (place / f"{name}.py").write_text(text)
    with pytest.raises(AssertionError) as caught:
        check_plugin(role, name, plugins=[folder])
    assert str(caught.value).startswith(f"the {role} '{name}' ({place / name}.py) breaks ")
    assert said in str(caught.value)


def test_a_module_that_is_no_plugin_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"re is no measure that infoplane knows: name it by an entry point of the"):
        check_plugin("measure", re)

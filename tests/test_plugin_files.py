"""Plug-ins that lie elsewhere: a folder of the user's own, and installed packages."""

import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from workflow import Workflow, tiny

from infoplane import plugin_files, registry
from infoplane.checkout import below
from infoplane.config.complete import portable, recorded
from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.measures import measure
from infoplane.models.build import build
from infoplane.options import image, vector
from infoplane.specs import Plugin

SHARED = "def half(x):\n    return x / 2\n"

SHORTCUT = '''"""z = x / 2 + g f."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from torch import Tensor, nn

from ..shared import half

UNSTACKABLE: Final = "halved networks stand alone"
LEAST = 0.0


def check(gain: float) -> None:
    if gain < LEAST:
        raise ValueError(f"gain must be at least {LEAST}, got {gain}")


@dataclass(frozen=True)
class Base:
    gain: Annotated[float, "g"] = 1.0


@dataclass(frozen=True)
class Options(Base):
    def __post_init__(self) -> None:
        check(self.gain)


class Shortcut(nn.Module):
    def __init__(self, options: Options, place) -> None:
        super().__init__()
        self.gain = options.gain

    def forward(self, x: Tensor, f: Tensor):
        return half(x), self.gain * f
'''

MEASURE = '''"""The largest absolute value."""

from infoplane.measures.estimate import Estimate
from mine.largest import largest


def estimate(z, targets, options):
    return [Estimate(measure="largest", unit="", value=largest(z), reference=None, n=len(z), d=z[0].numel())]
'''


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def mine(root: Path) -> Path:
    return write(
        root / "mine",
        {
            "shared.py": SHARED,
            "largest.py": "def largest(z):\n    return float(z.abs().max())\n",
            "shortcuts/halved.py": SHORTCUT,
            "measures/size.py": MEASURE,
        },
    )


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """No folder of a test is in use after it, and its modules are forgotten."""
    before = os.environ.pop(plugin_files.VARIABLE, None)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "theirs_of_a_test")]:
        del sys.modules[name]
    os.environ.pop(plugin_files.VARIABLE, None)
    if before is not None:
        os.environ[plugin_files.VARIABLE] = before
    plugin_files._points.cache_clear()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of plug-ins, in use."""
    folder = mine(tmp_path)
    plugin_files.use([folder])
    return folder


def test_a_users_own_shortcut_is_normal_python(own: Path) -> None:
    options = registry.options_class("shortcut", "halved")
    assert [(field.name, field.default) for field in fields(options)] == [("gain", 1.0)]
    assert registry.unstackable("shortcut", "halved") == "halved networks stand alone"
    with pytest.raises(ValueError, match=r"gain must be at least 0.0, got -1.0"):
        options(gain=-1.0)
    network = build(
        Plugin("mlp", vars(registry.options_class("architecture", "mlp")(width=4, blocks=1))),
        Plugin("halved", {"gain": 0.5}),
        image(1, 2, 2),
        vector(3),
        seed=0,
    )
    shortcut = network.get_submodule("block1.shortcut")
    x, f = torch.ones(2, 4), torch.full((2, 4), 3.0)
    assert [part.unique().tolist() for part in shortcut(x, f)] == [[0.5], [1.5]]


def test_a_users_own_measure_is_called_as_ours_are(own: Path) -> None:
    z = np.array([[1.0, -7.0], [2.0, 3.0]] * 8)
    (found,) = measure(z, family="size")
    assert (found.measure, found.value, found.n, found.d) == ("largest", 7.0, 16, 2)


def test_the_configuration_names_the_folder(tmp_path: Path) -> None:
    plan = load(tiny() | {"plugins": [str(mine(tmp_path))], "shortcuts": {"halved": {"gain": 2}}})
    assert plan.shortcuts["halved"] == Plugin("halved", {"gain": 2.0})
    with pytest.raises(UserError, match=r"shortcuts.halved: unknown key 'gian': did you mean 'gain'"):
        load(tiny() | {"plugins": [str(tmp_path / "mine")], "shortcuts": {"halved": {"gian": 2}}})
    with pytest.raises(UserError, match="unknown shortcut 'halved'"):
        load(tiny() | {"shortcuts": {"halved": None}})


def test_an_installed_package_names_its_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_file = MEASURE.replace("mine.largest", "theirs_of_a_test.largest")
    write(
        tmp_path,
        {
            "theirs_of_a_test/__init__.py": "",
            "theirs_of_a_test/largest.py": "def largest(z):\n    return float(z.max())\n",
            "theirs_of_a_test/sizes.py": measure_file,
            "theirs_of_a_test-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: theirs-of-a-test\nVersion: 1.0\n",
            "theirs_of_a_test-1.0.dist-info/entry_points.txt": "[infoplane.measures]\nsizes = theirs_of_a_test.sizes\n",
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin_files._points.cache_clear()
    plugin_files.use([])
    assert registry.source("measure", "sizes") == tmp_path / "theirs_of_a_test" / "sizes.py"
    assert measure(np.ones((16, 2)), family="sizes")[0].value == 1.0


@pytest.mark.parametrize(
    ("folder", "files", "message"),
    [
        ("gone", {}, "there is no such folder of plug-ins"),
        ("empty", {"knn.py": ""}, "holds no plug-ins: expected a folder in it named data_sets or tasks or"),
        ("json", {"measures/knn.py": ""}, "Python has a module named 'json' already: rename the folder"),
        ("my plug-ins", {"measures/knn.py": ""}, "it needs letters, digits and _ alone"),
        ("twice", {"measures/kernel.py": ""}, "two plug-ins are the measure 'kernel'"),
        ("broken", {"measures/broken.py": "def"}, "broken.py is not valid Python"),
        (
            "imports",
            {"measures/imports.py": "from torch import nan\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass "
             "Options:\n    a: float = nan\n"},
            "its Options use 'nan', which is imported",
        ),
    ],
)  # fmt: skip
def test_a_folder_that_will_not_do_is_one_sentence(
    tmp_path: Path, folder: str, files: dict[str, str], message: str
) -> None:
    write(tmp_path / folder, files)
    with pytest.raises(UserError, match=message) as caught:
        load(tiny() | {"plugins": [str(tmp_path / folder)], "measures": dict.fromkeys((folder, "linear"))})
    assert "\n" not in str(caught.value)


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [write(tmp_path / part / "mine", {"measures/knn.py": '"""A measure."""'}) for part in ("a", "b")]
    with pytest.raises(UserError, match="have the same name"):
        plugin_files.use(folders)


def test_staleness_follows_imports_within_the_folder(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(
        tmp_path,
        tiny()
        | {
            "plugins": ["mine"],
            "architectures": {"mlp": {"width": 8, "blocks": 1}},
            "shortcuts": {"identity": None, "halved": None},
            "measures": {"linear": None, "size": None},
        },
    )
    folder = mine(tmp_path)
    workflow.hollow()
    assert workflow.pending() == {}
    (folder / "largest.py").write_text("def largest(z):\n    return float(z.abs().max()) + 1\n")
    assert workflow.pending() == {"measures": 2} | AFTERWARDS
    workflow.hollow()
    (folder / "shared.py").write_text(SHARED.replace("2", "3"))
    of_one_shortcut = {"train": 1, "activations": 1, "measures": 2, "reconstructions": 1, "histograms": 1}
    assert workflow.pending() == of_one_shortcut | AFTERWARDS
    workflow.hollow()
    (folder / "shared.py").write_text("# half of it\n" + SHARED.replace("2", "3"))
    assert workflow.pending() == {}


AFTERWARDS = {"tables": 1, "phases": 1, "charts": 2, "report": 1}


def test_an_archive_has_them_where_its_configuration_says(tmp_path: Path) -> None:
    folder = mine(tmp_path)
    plan = load(tiny() | {"plugins": [str(folder)], "shortcuts": {"halved": None}})
    assert portable(plan)["plugins"] == ["plugins/mine"]
    assert Path("shortcuts/halved.py") in below(folder) and "plugins" not in recorded(plan)

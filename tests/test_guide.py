"""The plug-ins that CONTRIBUTING.md writes, put into a folder as they stand there, pass the tests of every plug-in.

Each of those tests is called here with the guide's plug-in in place of ours, with every other argument that it has.
"""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic_results as synthetic
import test_charts
import test_data
import test_house
import test_measures_job
import test_models
import test_same_meaning
from conftest import REPOSITORY

from infoplane import plugin_files, registry
from infoplane.charts import render, theme
from infoplane.charts.frames import Tables
from infoplane.registry import Role
from infoplane.specs import Plugin

GUIDE = REPOSITORY / "CONTRIBUTING.md"
NAMED: dict[Role, str] = {
    "shortcut": "negative",
    "architecture": "two_layers",
    "measure": "nearest",
    "data set": "noise",
    "chart": "last_block",
}
"""Role, in the order of the guide, and the name under which its example is tried."""

Test = Callable[..., None]
TESTS: dict[Role, tuple[str, tuple[Test, ...]]] = {
    "shortcut": (
        "kind",
        (
            test_models.test_channels_are_mixed_and_not_positions,
            test_models.test_trains_and_is_finite,
            test_models.test_sum_is_shortcut_plus_branch,
        ),
    ),
    "architecture": (
        "architecture",
        (
            test_models.test_trains_and_is_finite,
            test_models.test_seed_decides_weights_and_nothing_else_does,
            test_models.test_sum_is_shortcut_plus_branch,
            test_models.test_sites_run_from_stem_to_logits,
            test_models.test_declared_places_are_those_that_are_visited,
            test_models.test_norm_placement,
            test_models.test_a_branch_of_gain_0_starts_as_its_shortcut,
        ),
    ),
    "measure": ("family", (test_measures_job.test_one_tidy_file, test_measures_job.test_same_activations_same_bytes)),
    "data set": (
        "source",
        (
            test_data.test_options_are_known_without_reading_or_importing,
            test_data.test_splits_are_exact_disjoint_and_faithful,
            test_data.test_a_spec_gives_the_same_bytes_twice_and_another_seed_gives_others,
        ),
    ),
    "chart": (
        "name",
        (
            test_charts.test_summary_is_a_title,
            test_charts.test_without_phases,
            test_charts.test_nothing_measured_yet,
            test_charts.test_gaps_are_told,
            test_charts.test_no_bands_for_one_seed,
            test_charts.test_unknown_option,
            test_charts.test_absent_family_is_told,
            test_charts.test_anatomy_parts_do_not_mix,
        ),
    ),
}
"""What every plug-in of a role is held to, and the argument that names the plug-in."""
OF_ALL: tuple[Test, ...] = (
    test_house.test_a_plugin_says_what_it_is,
    test_house.test_a_plugin_needs_no_option_but_what_it_asks_for,
    test_house.test_options_read_from_the_source_are_those_of_the_module,
)


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
        plugin_files.use([folder])
        yield folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.made(tmp_path_factory.mktemp("experiment"))


def variants(test: Test, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What else a test is tried with: the product of its parameters that are not given."""
    axes: list[list[dict[str, Any]]] = []
    for mark in getattr(test, "pytestmark", ()):
        names = mark.args[0] if isinstance(mark.args[0], tuple) else tuple(mark.args[0].split(","))
        if mark.name == "parametrize" and not set(names) & set(given):
            axes.append([dict(zip(names, one if len(names) > 1 else (one,), strict=True)) for one in mark.args[1]])
    for choice in itertools.product(*axes):
        yield {key: value for one in choice for key, value in one.items()}


def hold(test: Test, given: dict[str, Any], at_hand: dict[str, Any], tmp_path: Path) -> None:
    """Call a test with the given arguments, a folder of its own, and every variant of the others."""
    wanted = inspect.signature(test).parameters
    for index, others in enumerate(variants(test, given)):
        arguments = at_hand | {"options": {}} | others | given
        if "tmp_path" in wanted:
            (tmp_path / str(index)).mkdir()
            arguments["tmp_path"] = tmp_path / str(index)
        test(**{name: arguments[name] for name in wanted})


@pytest.mark.parametrize("test", OF_ALL, ids=lambda test: test.__name__)
@pytest.mark.parametrize("role", NAMED)
def test_a_plugin_of_the_guide_is_a_plugin(role: Role, test: Test, guide: Path) -> None:
    test(role=role, name=NAMED[role])


EVERY = [pytest.param(role, test, id=f"{role}-{test.__name__}") for role, (_, tests) in TESTS.items() for test in tests]


@pytest.mark.parametrize(("role", "test"), EVERY)
def test_a_plugin_of_the_guide_passes(
    role: Role, test: Test, guide: Path, tables: Tables, splits: dict[str, Path], tmp_path: Path
) -> None:
    name = NAMED[role]
    at_hand: dict[str, Any] = {"tables": tables, "splits": splits}
    if role == "chart":
        at_hand["specs"] = {name: render.spec(name, {}, tables)}
    hold(test, {TESTS[role][0]: Plugin(name) if role == "data set" else name}, at_hand, tmp_path)


def colours(drawn: Any) -> Iterator[Any]:
    """The range of every colour scale of shortcuts in a chart."""
    if isinstance(drawn, dict):
        colour = drawn.get("color")
        if isinstance(colour, dict) and colour.get("field") == "shortcut":
            yield (colour.get("scale") or {}).get("range")
    for inner in drawn.values() if isinstance(drawn, dict) else drawn if isinstance(drawn, list) else ():
        yield from colours(inner)


def test_every_chart_gives_shortcuts_the_same_colours(guide: Path, tmp_path: Path) -> None:
    tables = synthetic.made(tmp_path, architectures=("resnet",), seeds=1, blocks=1, checkpoints=3)
    wanted = theme.shortcut_colours(tables).to_dict()["range"]
    found = {name: list(colours(render.spec(name, {}, tables))) for name in registry.names("chart")}
    assert found[NAMED["chart"]]
    for name, ranges in found.items():
        assert all(one == wanted for one in ranges), f"{name}: colour shortcuts by theme.shortcut_colours(tables)"


def test_the_meaning_of_the_guides_plugins_is_known(guide: Path) -> None:
    for role in NAMED:
        test_same_meaning.test_every_plugin_means_what_it_means_however_it_is_written(role)


def test_every_example_stands_in_the_guide() -> None:
    assert len(written()) == len(NAMED) and set(TESTS) == set(registry.ROLES)

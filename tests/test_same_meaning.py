"""Two configurations that mean the same are the same to the workflow; two sources that mean the same, too."""

import ast
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from infoplane import meaning, registry
from infoplane.config.complete import LABELLED, complete, recorded
from infoplane.config.load import load
from infoplane.config.plan import Plan
from infoplane.config.schema import Experiment
from infoplane.meaning import NOTHING, meanings
from infoplane.sources import manifest, verbatim
from infoplane.specs import ActivationsSpec

# --- configurations

CLAIM = {"sentence": "s", "provenance": "ours", "quantity": "fit_depth", "expected": "less", "of": "identity"}
WRITTEN: dict[str, Any] = {
    "experiment": "e",
    "results": "results",
    "plugins": [],
    "data": {"kind": "digits", "train": 500, "held_out": 100},
    "task": {"kind": "classification", "y": "y", "label_noise": 0.1},
    "targets": {"pixels": "x", "image": "x"},
    "architectures": {
        "resnet": {"width": 4, "blocks": 2, "training": {"steps": 50, "learning_rate": 0.1, "stack_seeds": True}},
        "mlp": {"blocks": 2, "width": 8},
        "own": {"kind": "mlp", "training": {"checkpoints": {"stages": [[20, 5]]}, "momentum": 0.5}},
    },
    "shortcuts": {"none": None, "identity": {}, "p": {"kind": "projection", "init": "random"}},
    "seeds": [1, 0],
    "training": {"steps": 60, "batch_size": 32, "checkpoints": {"log": 3, "linear": 2, "log_until": 20}},
    "activations": {"sites": ["*.z", "block1.f"], "pool": {"*": 2, "block*.z": 4}, "project": {"s*": 9, "b*.z": 7}},
    "disk": {"budget": 5},
    "measures": {"linear": None, "kernel": {"folds": 4, "seed": 1}},
    "charts": {"information_plane": {"x": "zx", "family": "auto"}, "dynamics": None},
    "claims": {"b": CLAIM, "a": CLAIM | {"versus": ["none"], "of": ["identity"], "margin": 0.02}},
    "phases": {"level": 0.9, "margin": 0.02},
    "reconstructions": {"images": 2, "checkpoints": 3},
    "histograms": {"checkpoints": 3, "bins": 9},
    "figures": {"width": 5},
    "animation": {"seconds": 4, "format": "gif"},
    "accuracy": {"samples": [100], "seeds": 4, "families": {"linear": {"seeds": 3, "samples": [50]}, "kernel": {}}},
    "device": "cpu",
    "slots": 2,
    "reuse": False,
}


def compared(plan: Plan) -> dict[str, Any]:
    """All that the workflow hands to its jobs and compares with the last time, as text where order counts."""
    runs = {run.path: plan.train_spec(run.architecture, run.shortcut, run.seed).to_json() for run in plan.runs}
    stacks = {label: plan.stack_spec(label, "none").to_json() for label in plan.stacked}
    files = {run.path: plan.stored(run.architecture, run.shortcut) for run in plan.runs}
    specs = {
        "data": plan.data,
        "activations": plan.activations,
        **plan.measures,
        **{f"truths {label}": spec for label, spec in plan.truths.items()},
        "reconstructions": plan.reconstructions,
        "histograms": plan.histograms,
    }
    jobs = {name: spec and spec.to_json() for name, spec in specs.items()}
    charts = json.dumps({label: [chart.kind, sorted(chart.options.items())] for label, chart in plan.charts.items()})
    drawn = (plan.config.phases, plan.config.figures, plan.config.animation)
    return {
        "recorded": json.dumps(recorded(plan)),
        "claims": json.dumps(plan.claims),
        "charts": charts,
        "drawn": [section.model_dump_json() for section in drawn],
        "seeds": plan.config.seeds,
        **runs, **stacks, **files, **jobs,
    }  # fmt: skip


def reversed_keys(value: Any, labelled: bool = False) -> Any:
    """The same with the keys of every mapping in the opposite order; labelled: but for those of the outermost."""
    if isinstance(value, dict):
        keys = list(value) if labelled else list(reversed(value))
        return {key: reversed_keys(value[key]) for key in keys}
    return value


SECTIONS = list(Experiment.model_fields)


def test_every_section_is_among_them() -> None:
    assert set(WRITTEN) == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_order_of_keys_and_defaults_spelt_out_change_nothing(section: str) -> None:
    before = compared(load(WRITTEN))
    labelled = section in LABELLED or section == "claims"
    turned = WRITTEN | {section: reversed_keys(WRITTEN[section], labelled)}
    assert compared(load(turned)) == before
    spelt = WRITTEN | {section: complete(load(WRITTEN))[section]}
    assert compared(load(spelt)) == before


def test_all_of_it_at_once() -> None:
    spelt = complete(load(WRITTEN))
    inner = {key: reversed_keys(value, key in LABELLED or key == "claims") for key, value in spelt.items()}
    assert compared(load(dict(reversed(inner.items())))) == compared(load(WRITTEN))


@pytest.mark.parametrize("section", [*LABELLED, "claims", "seeds"])
def test_the_order_of_labels_and_seeds_is_meant(section: str) -> None:
    values = WRITTEN[section]
    turned = values[::-1] if isinstance(values, list) else dict(reversed(values.items()))
    assert compared(load(WRITTEN | {section: turned})) != compared(load(WRITTEN))


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ({"steps": 60, "checkpoints": {"log": 3}}, True),
        ({}, True),
        ({"stack_seeds": True}, True),
        ({"steps": 61}, False),
        ({"checkpoints": {"log": 4}}, False),
    ],
)
def test_an_override_counts_where_it_differs(override: dict[str, Any], same: bool) -> None:
    plain, other = copy.deepcopy(WRITTEN), copy.deepcopy(WRITTEN)
    other["architectures"]["mlp"]["training"] = override
    assert (json.dumps(recorded(load(plain))) == json.dumps(recorded(load(other)))) == same


def test_what_is_recorded_is_a_configuration() -> None:
    plan = load(WRITTEN)
    read = load(recorded(plan))
    assert recorded(read) == recorded(plan)
    assert [read.train_spec(**vars(run)) for run in read.runs] == [plan.train_spec(**vars(run)) for run in plan.runs]


def test_the_longest_pattern_decides_and_a_job_reads_it_as_the_plan_does() -> None:
    plan = load(WRITTEN)
    job = ActivationsSpec.from_json(plan.activations.to_json())
    for spec in (plan.activations, job):
        assert spec.stored("block1.z", (4, 8, 8), "chw").pooled == (4, 4, 4)
        assert spec.stored("block1.z", (4, 8, 8), "chw").projection == 7
        assert spec.stored("stem.z", (4, 8, 8), "chw").pooled == (4, 2, 2)


# --- sources

SOURCE = '''"""What it is.

More of it.
"""

from torch import Tensor, nn


class Shortcut(nn.Module):
    """A shortcut."""

    scale = 1_000.0
    """What it is for."""

    def forward(self, x: Tensor, *, y: int = 2) -> tuple[Tensor, Tensor]:
        """Return both."""
        said = f"{x!r:>{y}} and {y}" "more"
        match y:
            case {"a": 1, **rest} | [None, *rest]:
                return -x, {**rest, "b": None}
            case _:
                pass
        return (x if y else -x), [b"a" * y for _ in range(3) if not said]
'''
KNOWN = "7f305dac51e4"
"""Its meaning, by the Pythons that we support: one that says otherwise would make all results stale."""

SAME = {
    "a comment": SOURCE.replace("    scale =", "    # why\n    scale ="),
    "no docstrings": "\n".join(line for line in SOURCE.split("\n") if '"""' not in line and line != "More of it."),
    "other words": SOURCE.replace("What it is", "Another sentence").replace("Return both", "Do"),
    "as the parser writes it": ast.unparse(ast.parse(SOURCE)),
    "more lines": SOURCE.replace("Tensor, *, y", "Tensor,\n\n*,\n\ty").replace("    scale", "\n\n\n    scale"),
    "brackets, and other quotes": SOURCE.replace("-x, {**rest", "(-x), {**rest").replace('"b"', "'b'"),
    "line ends of Windows": SOURCE.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + SOURCE,
}  # fmt: skip
OTHER = {
    "a number": SOURCE.replace("1_000.0", "1_001.0"),
    "a whole number": SOURCE.replace("1_000.0", "1_000"),
    "a sign": SOURCE.replace("return -x", "return +x"),
    "a name": SOURCE.replace("scale", "scales"),
    "a default": SOURCE.replace("y: int = 2", "y: int = 3"),
    "a type": SOURCE.replace("y: int", "y: float"),
    "a text": SOURCE.replace('"b"', '"c"'),
    "a text within a text": SOURCE.replace(" and {", " or {"),
    "the order of statements": SOURCE.replace("Tensor, nn", "nn, Tensor"),
    "a call": SOURCE + "\nprint()\n",
    "None in place of nothing": SOURCE.replace("[None, *rest]", "[*rest]"),
}


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_formatting_means_nothing(source: str) -> None:
    assert source != SOURCE and meaning.meaning(source.encode()) == meaning.meaning(SOURCE.encode()) == KNOWN


@pytest.mark.parametrize("source", OTHER.values(), ids=OTHER)
def test_all_else_means_something(source: str) -> None:
    assert meaning.meaning(source.encode()) != KNOWN


@pytest.mark.parametrize("role", registry.ROLES)
def test_every_plugin_means_what_it_means_however_it_is_written(role: registry.Role) -> None:
    for name in registry.names(role):
        source = registry.source(role, name).read_text(encoding="utf-8")
        assert meaning.meaning(ast.unparse(ast.parse(source)).encode()) == meaning.meaning(source.encode()), name


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where meanings are kept, empty."""
    monkeypatch.setattr(meaning, "KEPT", tmp_path / "kept" / "meanings.json")
    monkeypatch.setattr(meaning.sys, "dont_write_bytecode", False)
    meaning._kept.cache_clear()
    yield tmp_path / "kept" / "meanings.json"
    meaning._kept.cache_clear()


def written(folder: Path, **texts: str) -> dict[str, Path]:
    paths = {name: folder / f"{name}.py" for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text)
    return paths


def test_a_content_is_parsed_once(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = written(tmp_path, a="a = 1\n", b="a = 1  # one\n", c='"""Nothing."""\n')
    found = meanings(paths.values())
    assert found[paths["a"]] == found[paths["b"]] != found[paths["c"]] == NOTHING
    meaning._kept.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(meaning.ast, "parse", lambda source: pytest.fail("it is parsed again"))
        assert meanings(paths.values()) == found
    paths["a"].write_text("a = 2\n")
    assert meanings(paths.values())[paths["a"]] not in found.values()


@pytest.mark.parametrize("damage", ["", "[1]", '{"a"', "null"])
def test_what_is_kept_only_saves_time(kept: Path, tmp_path: Path, damage: str) -> None:
    paths = written(tmp_path, a="a = 1\n")
    found = meanings(paths.values())
    kept.write_text(damage)
    meaning._kept.cache_clear()
    assert meanings(paths.values()) == found
    assert kept.read_text().startswith("{") and kept.read_text().endswith("}")


def test_where_nothing_may_be_kept_nothing_is(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = written(tmp_path, a="a = 1\n")
    kept.parent.write_text("a file in its place")
    assert meanings(paths.values())[paths["a"]]
    monkeypatch.setattr(meaning.sys, "dont_write_bytecode", True)
    kept.parent.unlink()
    meaning._kept.cache_clear()
    assert meanings(paths.values())[paths["a"]] and not kept.exists()


def test_what_is_not_python_goes_by_its_bytes(kept: Path, tmp_path: Path) -> None:
    paths = written(tmp_path, a="a = (\n", b="a = (\n\n", c="a = 1\n", d="a = 1\n# a comment\n")
    page = tmp_path / "page.css"
    page.write_text("a {}\n")
    before = meanings([*paths.values(), page])
    page.write_text("a {}\n\n")
    assert before[paths["a"]] != before[paths["b"]] and before[page] != meanings([page])[page]
    plain = verbatim(paths.values(), tmp_path)  # what an archive holds
    assert plain["c.py"] != plain["d.py"] and before[paths["c"]] == before[paths["d"]]


def test_a_first_line_counts_where_it_is_shown() -> None:
    paths = [registry.source("shortcut", "identity")]
    plain, quoted = manifest(paths, REPOSITORY), manifest(paths, REPOSITORY, [("shortcut", "identity")])
    assert quoted.keys() - plain.keys() == {"src/infoplane/models/shortcuts/identity.py (its first line)"}

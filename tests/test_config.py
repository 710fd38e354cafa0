"""The configuration: what is accepted, what is refused and in which words, and what ends up in a spec."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from workflow import tiny

from infoplane import registry
from infoplane.config.load import load
from infoplane.config.plan import Run
from infoplane.config.template import default_text, json_schema, schema_text
from infoplane.errors import UserError
from infoplane.sources import closure, digest, imported, manifest
from infoplane.specs import ActivationsSpec, DataSpec, MeasuresSpec, StackSpec, TrainSpec

EXPERIMENTS = [REPOSITORY / "config" / "config.yaml", *sorted((REPOSITORY / "config" / "experiments").glob("*.yaml"))]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    plan = load(yaml.safe_load(path.read_text()))
    assert plan.config.experiment == ("demo" if path.stem == "config" else path.stem)
    assert len(plan.runs) == len(plan.architectures) * len(plan.shortcuts) * len(plan.config.seeds)


def test_the_generated_files_tell_the_truth() -> None:
    """Run scripts/config.py after a change of models or plug-ins."""
    assert (REPOSITORY / "config" / "schema.json").read_text() == schema_text()
    assert (REPOSITORY / "config" / "default.yaml").read_text() == default_text()


def test_the_default_file_is_the_default() -> None:
    assert load(yaml.safe_load(default_text())) == load({})


def test_the_schema_knows_every_plugin_and_option() -> None:
    schema = json_schema()
    for section in ("architectures", "shortcuts", "measures", "charts"):
        for name, entry in schema["properties"][section]["properties"].items():
            assert entry["anyOf"][0]["description"], (section, name)
            for option, described in entry["anyOf"][0].get("properties", {}).items():
                assert option == "training" or described["description"], (section, name, option)
    assert set(schema["$defs"]["Data"]["properties"]["kind"]["enum"]) == set(registry.names("data set"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sedes": [1]}, "sedes: unknown key: did you mean 'seeds'?"),
    ({"training": {"stepz": 3}}, "training.stepz: unknown key: did you mean 'steps'?"),
    ({"training": {"steps": "many"}}, "training.steps: expected a whole number, got 'many'"),
    ({"training": {"checkpoints": {"lineer": 1}}}, "training.checkpoints.lineer: unknown key: did you mean 'linear'?"),
    ({"training": {"warmup": 900}}, "training: warmup (900) must be shorter than steps (640)"),
    (
        {"training": {"optimizer": "sdg"}},
        "training.optimizer: expected 'sgd', 'adamw' or 'adam', got 'sdg': did you mean 'sgd'?",
    ),
    ({"architectures": {"resnt": None}}, "architectures.resnt: unknown architecture 'resnt': did you mean 'resnet'?"),
    ({"architectures": {"resnet": {"widht": 3}}}, "architectures.resnet: unknown key 'widht': did you mean 'width'?"),
    ({"architectures": {"resnet": {"width": "a"}}}, "architectures.resnet.width: expected a whole number, got 'a'"),
    ({"architectures": {"resnet": {"width": 0}}}, "architectures.resnet: width must be at least 1, got 0"),
    (
        {"architectures": {"vit": {"patch": 3}}},
        "vit: patch 3 does not divide the images' height and width, 8x8; the inputs of 'digits' are 1x8x8 (channels",
    ),
    ({"architectures": {"resnet": {"stages": 5}}}, "which 8x8 images do not allow"),
    ({"architectures": {"vit": {"heads": 5}}}, "architectures.vit: heads (5) must divide dim (32)"),
    (
        {"architectures": {"vit": {"training": {"warmup": 700}}}},
        "architectures.vit.training.warmup (700) must be shorter than steps (640)",
    ),
    ({"architectures": {"a b": {"kind": "vit"}}}, "a label holds letters, digits"),
    ({"shortcuts": {"identiti": None}}, "unknown shortcut 'identiti': did you mean 'identity'?"),
    (
        {"shortcuts": {"none": {"init": "random"}}},
        "shortcuts.none: unknown key 'init': shortcut 'none' has no options; shortcut 'projection' has it",
    ),
    (
        {"shortcuts": {"projection": {"init": "rand"}}},
        "shortcuts.projection.init: expected 'random', 'identity' or 'orthogonal', got 'rand': did you mean 'random'?",
    ),
    ({"measures": {"kernle": None}}, "measures.kernle: unknown measure 'kernle': did you mean 'kernel'?"),
    ({"charts": {"information_plan": None}}, "did you mean 'information_plane'?"),
    ({"data": {"kind": "digit"}}, "data: unknown data set 'digit': did you mean 'digits'?"),
    ({"data": {"helt_out": 50}}, "data: unknown key 'helt_out': did you mean 'held_out'?"),
    (
        {"data": {"held_out": 5000}},
        "held_out (5000) + validation (197) + train (at least 1) is more than the 1797 samples",
    ),
    (
        {"data": {"held_out": "all", "validation": 1797}},
        "data: validation (1797) + train (at least 1) is more than the 1797 samples of 'digits'",
    ),
    ({"data": {"held_out": "every"}}, "data.held_out: expected a number of samples, at least 2, or 'all', got 'every'"),
    ({"data": {"held_out": 1}}, "data.held_out: expected a number of samples, at least 2, or 'all', got 1"),
    (
        {"training": {"checkpoints": {"stages": [[20, 5], [10, 1]]}}},
        "training.checkpoints: stages must be pairs [until, every] with ascending steps, got [(20, 5), (10, 1)]",
    ),
    ({"training": {"checkpoints": {"stages": [[20, 0]]}}}, "stages must be pairs [until, every]"),
    ({"training": {"checkpoints": {"stages": []}}}, "stages must be pairs [until, every]"),
    ({"architectures": {"tapered_mlp": {"widths": []}}}, "widths must name the units, at least 1, of one hidden layer"),
    ({"seeds": []}, "seeds: empty, so there is nothing to run"),
    ({"shortcuts": {}}, "shortcuts: empty, so there is nothing to run"),
    ({"architectures": {}}, "architectures: empty, so there is nothing to run"),
    ({"measures": {}}, "measures: empty, so there is nothing to run"),
    ({"seeds": [1, 1]}, "seeds: must be distinct and not negative, got [1, 1]"),
    ({"seeds": 3}, "seeds: expected a list, got 3: write [3], or [0, 1, 2] for that many"),
    ({"activations": {"dtype": "int8"}}, "activations.dtype: expected 'float16' or 'float32', got 'int8'"),
    (
        {"experiment": "my run"},
        "experiment: expected a name of letters, digits, '_', '.' and '-' that begins with a letter or a digit, got "
        "'my run': my-run, for example",
    ),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=[sentence[:50] for _, sentence in WRONG])
def test_wrong_configurations_are_one_clear_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load(wrong)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_plugins_that_cannot_be_stacked_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    stacked = {"architectures": {"mlp": {"training": {"stack_seeds": True}}}, "shortcuts": {"gated": None}}
    assert load(stacked).stacked
    for role, kind in (("architecture", "mlp"), ("shortcut", "gated")):
        with monkeypatch.context() as patch:
            patch.setattr(registry, "unstackable", lambda *asked, said=(role, kind): "of a reason" * (asked == said))
            with pytest.raises(UserError) as caught:
                load(stacked)
            assert str(caught.value) == (
                f"architectures.mlp: training.stack_seeds: networks with the {role} '{kind}' cannot learn side by "
                "side (of a reason): leave stack_seeds false."
            )


def test_specs_hold_every_option_and_no_label() -> None:
    plain = load({"shortcuts": {"projection": None}})
    labelled = load({"shortcuts": {"p": {"kind": "projection", "init": "random"}}})
    assert plain.train_spec("resnet", "projection", 0) == labelled.train_spec("resnet", "p", 0)
    spec = json.loads(plain.train_spec("resnet", "projection", 0).to_json())
    assert spec["shortcut"] == {"kind": "projection", "options": {"init": "random"}}
    assert spec["architecture"]["options"]["width"] == 16


def test_an_architecture_overrides_training_alone() -> None:
    config = tiny()
    config["architectures"]["mlp"]["training"] = {"learning_rate": 0.5, "checkpoints": {"log": 1}}
    plan = load(config)
    assert plan.training["mlp"].learning_rate == 0.5 and plan.training["resnet"].learning_rate == 0.1
    assert plan.training["mlp"].checkpoints.log == 1 and plan.training["mlp"].checkpoints.linear == 1
    assert plan.training["mlp"].steps == plan.training["resnet"].steps == 6


def test_what_is_not_used_leaves_specs_as_they_were() -> None:
    plain = json.loads(load({}).train_spec("resnet", "identity", 0).to_json())
    assert plain["training"]["checkpoints"] == {"log": 10, "log_until": 160, "linear": 4}
    assert "stack_seeds" not in plain["training"]
    staged = load({"training": {"checkpoints": {"stages": [[20, 5], [40, 20]]}}})
    found = staged.train_spec("resnet", "identity", 0)
    assert TrainSpec.from_json(found.to_json()) == found
    assert found.training.checkpoints.stages == [[20, 5], [40, 20]]
    # what the stages take the place of is no part of the spec
    other = load({"training": {"checkpoints": {"stages": [[20, 5], [40, 20]], "log": 3, "linear": 7}}})
    assert other.train_spec("resnet", "identity", 0) == found


def test_stacking_is_chosen_by_architecture_and_is_no_part_of_a_runs_spec() -> None:
    config = tiny() | {"seeds": [0, 4]}
    solo = load(config)
    config["architectures"] = {"mlp": {"width": 8, "blocks": 1, "training": {"stack_seeds": True}}}
    stacked = load(config)
    assert solo.stacked == [] and stacked.stacked == ["mlp"]
    assert stacked.train_spec("mlp", "projection", 4) == solo.train_spec("mlp", "projection", 4)
    stack = stacked.stack_spec("mlp", "projection")
    assert stack.runs == [solo.train_spec("mlp", "projection", seed) for seed in (0, 4)]
    assert StackSpec.from_json(stack.to_json()) == stack


def test_several_charts_of_one_kind() -> None:
    plan = load({"charts": {"information_plane": None, "classic": {"kind": "information_plane", "x": "ixz"}}})
    assert [chart.kind for chart in plan.charts.values()] == ["information_plane"] * 2
    assert [chart.options["x"] for chart in plan.charts.values()] == ["zx", "ixz"]


def test_specs_survive_their_json() -> None:
    plan = load(tiny())
    train = plan.train_spec("mlp", "projection", 0)
    for spec, kind in ((train, TrainSpec), (plan.data, DataSpec), (plan.activations, ActivationsSpec)):
        assert kind.from_json(spec.to_json()) == spec
    measures = plan.measures["kernel"]
    assert MeasuresSpec.from_json(measures.to_json()) == measures
    with pytest.raises(UserError, match="TrainSpec has no key 'sed': did you mean 'seed'"):
        TrainSpec.from_dict({"sed": 1})
    with pytest.raises(UserError, match="not JSON"):
        TrainSpec.from_json("{")


def test_runs_are_the_grid() -> None:
    config = tiny() | {"seeds": [0, 3]}
    assert Run("mlp", "projection", 3) in load(config).runs and len(load(config).runs) == 8
    assert Run("mlp", "projection", 3).path == "mlp/projection/seed3"


# --- what a job's sources are


def sources(script: str, *plugins: tuple[registry.Role, str]) -> set[str]:
    root = registry.PACKAGE
    paths = map(Path, closure(REPOSITORY / "scripts" / f"{script}.py", *plugins))
    return {str(path.relative_to(root)) if path.is_relative_to(root) else path.name for path in paths}


def test_a_stage_is_stale_by_what_it_imports() -> None:
    train = sources("train", ("architecture", "resnet"), ("shortcut", "identity"))
    assert {"train.py", "training/run.py", "models/residual.py", "data/samples.py"} <= train
    assert {"models/architectures/resnet.py", "models/shortcuts/identity.py"} <= train
    others = ("measures/", "charts/", "config/", "activations/", "models/architectures/vit", "models/shortcuts/none")
    assert not [path for path in train if path.startswith((*others, "devices", "progress", "errors"))]
    assert "training/run.py" not in sources("activations", ("architecture", "vit"), ("shortcut", "none"))
    measures = sources("measures", ("measure", "kernel"))
    assert not [
        path for path in measures if path.startswith(("models/", "training/", "charts/", "measures/families/linear"))
    ]
    charts = sources("charts", ("chart", "dynamics"))
    assert not [
        path for path in charts if path.startswith(("models/", "training/", "measures/", "charts/gallery/heat"))
    ]


def test_the_digest_of_code_follows_content_and_not_places(tmp_path: Path) -> None:
    def checkout(name: str, text: str) -> dict[str, str]:
        (tmp_path / name / "scripts").mkdir(parents=True)
        (tmp_path / name / "scripts" / "train.py").write_text(text)
        return manifest([tmp_path / name / "scripts" / "train.py", registry.PACKAGE / "specs.py"], tmp_path / name)

    here, moved, other = checkout("a", "a = 1\n"), checkout("b", "a = 1\n"), checkout("c", "a = 2\n")
    assert list(here) == ["infoplane/specs.py", "scripts/train.py"]
    assert here == moved and digest(here) == digest(moved) != digest(other)
    assert {name for name in here if here[name] != other[name]} == {"scripts/train.py"}


@pytest.mark.parametrize("folder", ["src/infoplane", "scripts"])
def test_imports_are_read_as_python_reads_them(folder: str) -> None:
    """By a pattern, which is faster; it may find one too many in a text, and misses none."""
    paths = list((REPOSITORY / folder).rglob("*.py"))
    assert len(paths) > 15
    for path in paths:
        text = path.read_text(encoding="utf-8")
        modules: set[str] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found = imported(text)
        assert modules <= found, path
        assert {name for name in found - modules if name.startswith("infoplane")} == set(), path


def test_imports_in_odd_places() -> None:
    text = "import a.b as c, d  # e\ndef f():\n    from g import (  # why\n        h,\n        i as j,\n    )\n"
    assert imported(text) == {"a.b", "d", "g", "g.h", "g.i"}


def test_what_the_command_line_makes_of_numbers() -> None:
    """``--config 'data={held_out: 50}'``: below the top level Snakemake hands over strings."""
    said = {
        "data": {"held_out": "50", "validation": "40"},
        "seeds": ["0", "1"],
        "training": {"steps": "60", "stack_seeds": "true"},
        "architectures": {"mlp": {"width": "8"}},
        "measures": {"kernel": {"folds": "4"}},
    }
    plan = load(said)
    assert (plan.data.held_out, plan.data.validation, plan.config.seeds) == (50, 40, [0, 1])
    assert plan.stacked == ["mlp"] and plan.training["mlp"].steps == 60
    assert plan.architectures["mlp"].options["width"] == 8 and plan.measures["kernel"].family.options["folds"] == 4

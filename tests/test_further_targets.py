"""Further targets: what they may be, that they are measured beside Y and never mixed with it, and a real run of all."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from phase_tables import FEW, around, frames, measured
from planted_experiment import BOTH, SKIPS, Planted
from workflow import Workflow, tiny

from infoplane import registry
from infoplane.charts import theme
from infoplane.charts.frames import Tables, curves
from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.options import Field, label
from infoplane.phases.analysis import analyse
from infoplane.phases.curves import of_targets
from infoplane.phases.targets import of_target, read, with_targets_named
from infoplane.tables import with_best_family, with_capacity_gap

POINTS = '''"""Points in the plane with a number to learn, a colour and words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infoplane.data.samples import Samples
from infoplane.options import Field, Fields, label


@dataclass(frozen=True)
class Options:
    @property
    def fields(self) -> Fields:
        return {"x": Field((3,), "d", "float32"), "y": Field((2,), "d", "float32"), "colour": label(3)}

    @property
    def size(self) -> int:
        return 260


def load(options: Options, folder: Path) -> Samples:
    random = np.random.default_rng(0)
    colour = np.arange(260) % 3
    x = (random.normal(size=(260, 3)) + 2 * np.eye(3)[colour]).astype(np.float32)
    y = np.stack([x[:, 0] - x[:, 1], x[:, 2]], 1).astype(np.float32)
    return Samples({"x": x, "y": y, "colour": colour}, "points: made here.")
'''


def experiment() -> dict[str, Any]:
    return tiny() | {
        "plugins": ["mine"],
        "data": {"kind": "points", "train": 120, "held_out": 60, "validation": 40},
        "task": {"kind": "regression"},
        "targets": {"colour": "colour"},
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"identity": None},
        "measures": {"linear": None, "binned": None, "health": None},
        "charts": {"information_plane": {"family": "linear"}, "dynamics": {"measures": ["zx", "zy", "zy_of_colour"]}},
        "phases": {"family": "linear"},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A regression with a further target, run to the end."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("targets"), experiment())
    folder = workflow.root / "mine" / "data_sets"
    folder.mkdir(parents=True)
    (folder / "points.py").write_text(POINTS, encoding="utf-8")
    workflow.snakemake()
    return workflow


def test_a_regression_is_measured_in_nmse_and_its_further_target_in_nats(finished: Workflow) -> None:
    rows = pl.read_parquet(finished.results / "tables" / "measures.parquet")
    zy = rows.filter(pl.col("family") == "linear", pl.col("measure") == "zy", pl.col("part") == "z")
    units = dict(zy.select("field", "unit").unique().iter_rows())
    assert units == {"y": "nmse", "colour": "nats"}
    assert set(zy.filter(field="y")["reference"]) == {1.0}
    assert zy.filter(field="colour")["reference"].is_between(1.09, 1.1).all()
    stem = zy.filter(pl.col("step") == 0, pl.col("depth") == 0)
    assert 0 <= stem.filter(field="y")["value"][0] < 0.9 and 0 < stem.filter(field="colour")["value"][0] < 1
    zx = rows.filter(pl.col("family") == "linear", pl.col("measure") == "zx")
    assert set(zx["field"]) == {"x"} and zy.filter(field="colour").height == zy.filter(field="y").height
    assert set(rows.filter(measure="effective_rank")["field"]) == {""}
    keys = ["family", "step", "site", "part", "measure", "field"]
    assert rows.select(keys).is_unique().all()


def test_what_needs_classes_says_so_of_the_numbers_and_measures_the_classes(finished: Workflow) -> None:
    rows = pl.read_parquet(finished.results / "tables" / "measures.parquet").filter(family="binned")
    izy = rows.filter(measure="izy")
    assert izy.filter(field="y")["value"].is_null().all()
    assert set(izy.filter(field="y")["note"]) == {"needs classes, and Y is numbers"}
    assert izy.filter(field="colour")["value"].is_finite().all()
    assert rows.filter(measure="ixz")["value"].is_finite().all() and rows.filter(measure="h_answer_z").is_empty()


def test_phases_of_a_target_stand_apart(finished: Workflow) -> None:
    own, of_colour = (
        pl.read_parquet(finished.results / "phases" / f"{name}.parquet") for name in ("phases", "targets")
    )
    assert set(own["measure"]) == {"zx"} and set(of_colour["measure"]) == {"zy_of_colour"}
    assert own.height == of_colour.height
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    assert "Z-Y of colour: phases of the last blocks" in page


def test_charts_show_y_and_a_target_by_its_name(finished: Workflow) -> None:
    tables = finished.results / "tables"
    found = Tables.read(tables / "measures.parquet", tables / "history.parquet")
    both = curves(found, "linear", measures=("zy", "zy_of_colour"))
    assert both.units == {"zy": "nmse", "zy_of_colour": "nats"} and both.label_entropy() is None
    assert set(both.rows["zy_seeds"]) == {1} == set(both.rows["zy_of_colour_seeds"])
    assert "Z-Y of colour" in (finished.results / "charts" / "dynamics.json").read_text(encoding="utf-8")
    plane = (finished.results / "charts" / "information_plane.json").read_text(encoding="utf-8")
    assert "colour" not in plane.replace("colours", "") and "nats" not in plane


def test_another_target_trains_nothing(finished: Workflow) -> None:
    finished.write(experiment() | {"targets": {"colour": "colour", "place": "x"}})
    assert finished.pending() == {"measures": 3, "tables": 1, "phases": 1, "charts": 2, "report": 1}
    finished.write(experiment())
    assert finished.pending() == {}


# Without a run


def test_two_targets_are_never_averaged() -> None:
    rows = measured(around([1.0, 0.2, 0.1]), measure="zy", field="y", unit="nats")
    rows += measured(around([0.9, 0.5, 0.7]), measure="zy", field="colour", unit="nats")
    rows += measured(around([1.0, 0.4, 0.6]), measure="zx", field="x", unit="nmse")
    measures, history = frames(rows)
    values = with_targets_named(measures)
    assert of_targets(values, "kernel") == ["zy_of_colour"] and of_target("zy_of_colour") == ("zy", "colour")
    found = analyse(values, history, FEW)
    assert set(found.phases["measure"]) == {"zx"} and set(found.targets["measure"]) == {"zy_of_colour"}
    whole = found.targets.filter(pl.col("seed").is_null()).row(0, named=True)
    assert whole["start"] == pytest.approx(0.9, abs=0.01) and whole["compression_height"] == pytest.approx(
        0.2, abs=0.02
    )
    gain = found.phases.filter(pl.col("seed").is_null())["label_gain"][0]
    assert gain == pytest.approx(0.9, abs=0.01), "of Y alone: an average of both would be 0.55"
    assert theme.name("zy_of_colour") == "Z-Y of colour"


def test_a_claim_on_a_target_is_judged_on_its_own_curve() -> None:
    planted = Planted({("cnn", "a"): SKIPS, ("cnn", "b"): BOTH})
    rows = planted.measures.with_columns(pl.col("measure").str.slice(1).alias("field"))
    rest = pl.col("value") * 0 + pl.when(pl.col("shortcut") == "a").then(0.7).otherwise(1.1)
    spread = pl.col("value") - pl.col("value").mean().over("shortcut", "step")
    of_colour = rows.filter(measure="zy").with_columns(
        pl.lit("colour").alias("field"),
        (rest + spread).alias("value"),
        pl.lit(None, pl.List(pl.Float64)).alias("blocks"),
    )
    planted.measures = with_targets_named(pl.concat([rows, of_colour]))
    claim = {"quantity": "end", "measure": "zy_of_colour", "versus": "b", "expected": "less"}
    row = planted.judge(claim).row(0, named=True)
    assert row["verdict"] == "reproduced" and row["effect"] == pytest.approx(-0.4, abs=0.01)
    own = planted.judge({"quantity": "end", "measure": "zy", "expected": "less", "versus": 0.5}).row(0, named=True)
    assert own["effect"] == pytest.approx(0.3 - 0.5, abs=0.01)


def test_families_are_compared_target_by_target() -> None:
    rows = []
    for field, worse in (("y", 0.1), ("colour", 0.3)):
        for family, more in (("kernel", 0.0), ("linear", worse)):
            rows += [
                row | {"family": family}
                for row in measured(around([0.5 + more]), measure="zy", field=field, unit="nats", blocks=False)
            ]
    values = frames(rows)[0].pipe(with_capacity_gap).pipe(with_best_family)
    gaps = values.filter(family="kernel").group_by("field").agg(pl.col("capacity_gap").mean()).sort("field")
    assert gaps["capacity_gap"].to_list() == pytest.approx([0.3, 0.1], abs=1e-6)
    assert values.height == len(rows) and set(values["best_family"]) == {"kernel"}


def test_a_damaged_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a complete Parquet file"):
        read(tmp_path / "m.parquet")


REFUSED = [
    ({"colour": "label"}, "targets.colour: the data set 'digits' has no field 'label'"),
    ({"colour": "yy"}, "targets.colour: the data set 'digits' has no field 'yy': did you mean 'y'?"),
    ({"digit": "y"}, "targets.digit: 'y' is what the task learns, which is measured anyway: name another field"),
    ({"y": "x"}, "targets.y: a target's label holds letters, digits and '_', begins with a letter and is not x or y"),
    ({"a.b": "x"}, "targets.a.b: a target's label holds letters"),
    ({"words": "words"}, "targets.words: 'words' holds 4 (time) of classes: a target is one class for each sample"),
]


@pytest.mark.parametrize(("targets", "sentence"), REFUSED, ids=lambda one: str(one)[:30])
def test_a_target_that_cannot_be_one(targets: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "words" in targets:
        fields = {"x": Field((2,), "d", "float32"), "y": label(3), "words": Field((4,), "t", "int64", classes=7)}
        monkeypatch.setattr(registry.options_class("data set", "digits"), "fields", fields)
    with pytest.raises(UserError) as caught:
        load(tiny() | {"architectures": {"mlp": None}, "targets": targets})
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_only_families_that_measure_y_are_asked_for_a_target() -> None:
    measures = dict.fromkeys(("linear", "variational", "gradients", "binned"))
    plan = load(tiny() | {"targets": {"pixels": "x"}, "measures": measures})
    asked = {name: spec.targets for name, spec in plan.measures.items()}
    assert asked == {"linear": {"pixels": "x"}, "binned": {"pixels": "x"}, "variational": None, "gradients": None}
    assert all("targets" not in spec.to_dict() for spec in load(tiny()).measures.values())
    assert yaml.safe_load(yaml.safe_dump(plan.config.targets)) == {"pixels": "x"}

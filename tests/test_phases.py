"""The phase analysis from tables to tables: labels, intervals, differences, gaps, nulls, notes and errors."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from phase_tables import FEW, around, frames, measured
from scipy import stats

from infoplane.charts.frames import Tables
from infoplane.config.schema import Phases as Section
from infoplane.errors import UserError
from infoplane.phases import contrasts, curves, gap, planted
from infoplane.phases.analysis import Settings, analyse, write
from infoplane.phases.results import TABLES, Phases
from infoplane.tables import collect
from infoplane.testing import results as synthetic
from infoplane.testing.histories import long

ROOT = Path(__file__).parents[1]
FALLING = np.linspace(2.3, 0.5, 8)


def one(curve: list[float], settings: Settings = FEW, y: np.ndarray = FALLING, **more: Any) -> dict[str, Any]:
    """The row over all seeds for a curve of Z-X."""
    rows = measured(around(curve), **more)
    rows += measured(around(y[: len(curve)]), "zy", reference=math.log(10))
    found = analyse(*frames(rows), settings).phases.filter(pl.col("seed").is_null())
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def found(tables: Tables) -> Phases:
    phases = synthetic.analysed(tables).phases
    assert phases is not None
    return phases


# Labels


@pytest.mark.parametrize(
    ("curve", "label"),
    [
        ([0.5, 0.4, 0.3, 0.25, 0.3, 0.4, 0.45, 0.5], "two-phase"),
        ([0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4], "compression-only"),
        ([0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.2], "fitting-only"),
        ([0.3] * 8, "flat"),
    ],
)
def test_each_shape_has_its_label(curve: list[float], label: str) -> None:
    row = one(curve)
    assert (row["label"], row["basis"], row["blocks"], row["seeds"]) == (label, "samples x seeds", 20, 3)
    assert row["confidence"] > 0.95 and row["note"] == ""
    assert row["fit_depth"] == pytest.approx(curve[0] - min(curve), abs=2e-3)
    assert row["compression_height"] == pytest.approx(curve[-1] - min(curve), abs=2e-3)
    assert row["fit_depth_low"] <= row["fit_depth"] <= row["fit_depth_high"]


def test_the_turn_is_where_it_was_put() -> None:
    row = one([0.5, 0.4, 0.3, 0.25, 0.3, 0.4, 0.45, 0.5])
    assert (row["turn_step_low"], row["turn_step"], row["turn_step_high"]) == (4, 4, 4)
    assert row["start"] == pytest.approx(0.5, abs=2e-3) and row["turn"] == pytest.approx(0.25, abs=2e-3)


def test_a_change_within_the_margin_is_none() -> None:
    curve = [0.305, 0.304, 0.302, 0.3, 0.301, 0.303, 0.304, 0.305]
    assert one(curve)["label"] == "flat"
    assert one(curve, replace(FEW, margin=0.002))["label"] == "two-phase"


def test_what_the_seeds_disagree_on_is_ambiguous() -> None:
    falls, still = [0.5, 0.4, 0.3, 0.3, 0.3, 0.3], [0.5] * 6
    rows = measured(np.concatenate([around(falls, 1), around(still, 1)]))
    phases = analyse(*frames(rows), FEW).phases
    assert phases["label"].to_list() == ["ambiguous", "fitting-only", "flat"]
    assert phases["confidence"][0] < 0.95 < phases["confidence"][1]


def test_a_frozen_network_is_exactly_flat() -> None:
    values = np.repeat(around([0.3], 2), 6, axis=1)
    found = analyse(*frames(measured(values)), FEW)
    assert found.phases["label"].to_list() == ["flat"] * 3
    assert found.phases["confidence"].to_list() == [1.0] * 3
    assert found.phases.select("fit_depth_low", "fit_depth_high").row(0) == (0.0, 0.0)
    assert found.nulls["false_positives"].to_list() == [0]


# What may not be flattered


def test_a_path_down_up_down_up_is_said_to_be_one() -> None:
    """The trial on CIFAR-10 without shortcuts: 0.831 0.727 0.779 0.680 0.752."""
    row = one([0.831, 0.727, 0.75, 0.779, 0.74, 0.68, 0.72, 0.752])
    assert row["label"] == "two-phase"
    assert row["note"] == "rises by 0.052 on its way down to the turn"


def test_a_second_descent_after_the_turn_is_said() -> None:
    row = one([0.5, 0.3, 0.2, 0.3, 0.45, 0.4, 0.35, 0.35])
    assert row["note"] == "falls again by 0.100 after the turn"


def test_a_label_that_was_not_learned_is_said() -> None:
    row = one([0.5, 0.4, 0.3, 0.25, 0.3, 0.4, 0.45, 0.5], y=np.full(8, 2.3))
    assert row["note"].startswith("Z-Y does not clearly fall here")
    assert row["learned"] < 0.95 and abs(row["label_gain"]) < 0.01
    assert one([0.3] * 8)["learned"] > 0.99


def test_diverged_and_missing_runs_are_left_out_and_named(found: Phases) -> None:
    rows = found.phases.filter(pl.col("architecture") == "vit", pl.col("seed").is_null())
    notes = dict(rows.select("shortcut", "note").unique().iter_rows())
    assert notes["none"] == "left out: seed 1 diverged"
    assert notes["projection"] == "left out: seed 1 missing"
    assert notes["identity"] == ""


# Other measures, and less to go by


def test_information_fits_where_it_rises() -> None:
    bits = 4 - np.array([2.0, 1.0, 0.5, 0.2, 0.8, 1.2, 1.4, 1.5])
    row = one(bits.tolist())
    assert row["label"] == "compression-only"
    rows = measured(around(bits), "ixz", reference=4.0)
    row = analyse(*frames(rows), FEW).phases.row(0, named=True)
    assert (row["label"], row["measure"], row["margin"]) == ("two-phase", "ixz", 0.04)
    assert row["start"] == pytest.approx(2, abs=0.01) and row["turn"] == pytest.approx(3.8, abs=0.01)
    assert row["start_low"] < row["start"] < row["start_high"]
    assert row["fit_depth"] == pytest.approx(1.8, abs=0.01) and row["label_gain"] is None


@pytest.mark.parametrize(
    ("seeds", "more", "basis"),
    [
        (1, {}, "samples"),
        (3, {"blocks": False}, "seeds"),
        (1, {"blocks": False, "stderr": 0.002}, "standard errors"),
        (1, {"blocks": False}, "roughness"),
    ],
)
def test_intervals_know_of_what_there_is(seeds: int, more: dict[str, Any], basis: str) -> None:
    curve = [0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    found = analyse(*frames(measured(around(curve, seeds), **more)), FEW)
    row = found.phases.row(0, named=True)
    assert (row["basis"], row["label"], row["seed"]) == (basis, "two-phase", None)
    assert row["fit_depth_low"] < 0.25 < row["fit_depth_high"]
    assert ("roughness" in basis) == ("noise estimated" in row["note"])
    assert found.nulls["replicates"].to_list() == [20]


def test_one_checkpoint_has_no_label() -> None:
    row = one([0.5])
    assert row["label"] is None and "one checkpoint" in row["note"]


def test_nothing_measured_makes_empty_tables(tmp_path: Path) -> None:
    paths = tmp_path / "measures.parquet", tmp_path / "history.parquet"
    collect([synthetic.expected(tmp_path, "resnet", "none", seed) for seed in (0, 1)], None, *paths)
    empty = Tables.read(*paths)
    found = analyse(empty.measures, empty.history, FEW, empty.metadata)
    assert [getattr(found, name).height for name in TABLES] == [0] * 6


def test_columns_that_can_be_done_without_may_be_missing() -> None:
    rows, history = frames(measured(around([0.5, 0.3, 0.5, 0.6])))
    bare = rows.drop("blocks", "stderr", "reference", "depth")
    assert analyse(bare, history, FEW).phases["basis"].to_list()[0] == "seeds"
    with pytest.raises(UserError, match="has no column 'site': expected architecture"):
        analyse(bare.drop("site"), history, FEW)


def test_a_family_that_was_not_measured_is_refused(tables: Tables) -> None:
    with pytest.raises(UserError, match=r"phases\.family: no measure is called 'kernl': did you mean 'kernel'"):
        analyse(tables.measures, tables.history, Settings(family="kernl"))


def test_another_family_can_be_asked_for(tables: Tables) -> None:
    found = analyse(tables.measures, tables.history, replace(FEW, family="linear"), tables.metadata)
    assert set(found.phases["family"]) == {"linear"}


# Tables


def test_rows_of_all_seeds_and_of_each(found: Phases) -> None:
    rows = found.phases.filter(
        pl.col("architecture") == "resnet", pl.col("shortcut") == "none", pl.col("site") == "block5"
    )
    assert rows["seed"].to_list() == [None, 0, 1]
    assert rows["seeds"].to_list() == [2, 1, 1]
    assert rows["metric"][0] == pytest.approx(rows["metric"][1:].mean())


def test_differences_are_paired_and_adjusted(found: Phases) -> None:
    rows = found.differences.filter(pl.col("quantity") == "fit_depth", pl.col("architecture") == "resnet")
    last = rows.filter(pl.col("site") == "block5")
    assert last["shortcut"].to_list() == ["none", "projection"] and set(rows["reference"]) == {"identity"}
    assert (last["difference_high"] < 0).all() and (last["p_adjusted"] >= last["p"]).all()
    assert rows.filter(pl.col("site") != "block5")["p_adjusted"].is_null().all()
    of = found.phases.filter(
        pl.col("seed").is_null(), pl.col("architecture") == "resnet", pl.col("site") == "block5"
    ).select("shortcut", "fit_depth")
    depth = dict(of.iter_rows())
    assert last["difference"].to_list() == pytest.approx([depth["identity"] - depth[x] for x in ("none", "projection")])


def test_pairing_takes_out_what_two_shortcuts_share() -> None:
    """Seeds that move both shortcuts alike make each uncertain, and their difference sure."""
    shared = np.array([0.0, 0.05, -0.05])[:, None, None] * np.linspace(0, 1, 8)[:, None]
    fits = [0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.2]
    rows = measured(around(fits) + shared) + measured(around([0.5] * 8) + shared, shortcut="none")
    found = analyse(*frames(rows), FEW)
    row = found.differences.filter(pl.col("quantity") == "end").row(0, named=True)
    wide = found.phases.filter(pl.col("seed").is_null())
    assert row["difference"] == pytest.approx(-0.3, abs=2e-3)
    assert row["difference_high"] - row["difference_low"] < 0.1 * (wide["end_high"] - wide["end_low"]).min()


def test_one_seed_says_nothing_of_accuracy() -> None:
    history = [
        {"architecture": "net", "shortcut": name, "seed": 0, "step": 8, "validation_accuracy": value}
        | {"status": "finished"}
        for name, value in (("identity", 0.9), ("none", 0.6))
    ]
    rows = measured(around([0.5, 0.3, 0.5], 1)) + measured(around([0.5, 0.4, 0.5], 1), shortcut="none")
    found = analyse(*frames(rows, long(history)), FEW).differences.filter(pl.col("quantity") == "metric")
    row = found.row(0, named=True)
    assert (row["difference"], row["p"], row["note"]) == (pytest.approx(0.3), None, "one seed")


def test_without_the_reference_nothing_is_compared(tables: Tables) -> None:
    found = analyse(tables.measures, tables.history, replace(FEW, reference="dense"), tables.metadata)
    assert found.differences.height == 0


def test_holm_is_holm() -> None:
    assert contrasts.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert contrasts.holm([0.6, 0.9]) == [1.0, 1.0]
    assert contrasts.holm([]) == []


def test_correlations_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    depth = generator.normal(size=12)
    loss = depth + 0.3 * generator.normal(size=12)
    keys = {"architecture": "net", "family": "kernel", "measure": "zx", "compression_height": 0.0, "metric_gap": None}
    runs = [keys | {"fit_depth": a, "loss_gap": b} for a, b in zip(depth.tolist(), loss.tolist(), strict=True)]
    rows = {(row["quantity"], row["gap"], row["method"]): row for row in gap.correlations(runs, 0.95, 400)}
    tests = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    for method, test in tests.items():
        row = rows["fit_depth", "loss", method]
        assert (row["correlation"], row["p"]) == pytest.approx(tuple(test(depth, loss)))
        assert row["correlation_low"] < row["correlation"] < row["correlation_high"] and row["runs"] == 12
    assert rows["compression_height", "loss", "pearson"]["note"] == "one of the two does not vary"
    assert rows["fit_depth", "metric", "pearson"]["note"] == "fewer than 4 runs"


def test_settings_have_the_defaults_of_the_configuration() -> None:
    assert Settings() == Settings.of(Section().model_dump())
    with pytest.raises(UserError, match="phases: unknown key 'levle'"):
        Settings.of({"levle": 0.9})


def test_last_blocks_are_told(found: Phases) -> None:
    assert found.metadata["last_blocks"] == {"resnet": "block5", "vit": "block5"}
    assert curves.last_block(["stem", "block1", "block2", "readout"]) == "block2"


def test_nulls_of_this_experiment_have_its_noise() -> None:
    noise = planted.Noise(samples=0.06, seed=0.015, both=0.03)
    values = planted.plant(planted.shape(0.2, 0.1, 0.5, 8), noise, 1, 3, 20, np.random.default_rng(0)).values[0]
    row = analyse(*frames(measured(values)), replace(FEW, nulls=300)).nulls.row(0, named=True)
    assert row["replicates"] == 300 and row["ambiguous"] > 30
    assert row["rate"] <= 0.05 and row["rate_low"] <= row["rate"] <= row["rate_high"]
    assert row["noise"] == "own residuals of seeds and of parts of the samples"


def test_the_script_writes_the_same_bytes_twice(tables: Tables, tmp_path: Path) -> None:
    paths = tmp_path / "results" / "m.parquet", tmp_path / "results" / "h.parquet"
    collect(synthetic.experiment(tmp_path / "runs", ("resnet",), seeds=2, checkpoints=6), None, *paths)
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        outputs = [folder / f"{name}.parquet" for name in TABLES]
        settings = json.dumps({"resamples": 100, "nulls": 10, "level": 0.9})
        command = [sys.executable, ROOT / "scripts" / "phases.py", "--measures", paths[0], "--history", paths[1]]
        subprocess.run([*command, "--settings", settings, "--output", *outputs], check=True)
        written.append([path.read_bytes() for path in outputs])
        read = Phases.read(outputs)
        assert read.metadata["phases"]["level"] == 0.9 and read.phases.height
        assert all(list(getattr(read, name).schema.items()) == list(TABLES[name].items()) for name in TABLES)
    assert written[0] == written[1]


def test_an_output_that_is_not_named_is_asked_for(found: Phases, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--output names no differences\.parquet"):
        write(found, [tmp_path / "phases.parquet"])

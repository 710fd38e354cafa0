"""The experiment's two tables: what they hold, what they say of gaps, and that their bytes depend on results alone."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from infoplane.errors import UserError
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.tables import RUN, ExpectedRun, collect, expected_runs
from infoplane.testing import results as synthetic

ROOT = Path(__file__).parents[1]


@pytest.fixture
def runs(tmp_path: Path) -> list[ExpectedRun]:
    return synthetic.experiment(tmp_path / "results", checkpoints=6, blocks=2)


def collected(runs: list[ExpectedRun], folder: Path, name: str = "tables") -> tuple[pl.DataFrame, pl.DataFrame]:
    paths = folder / name / "measures.parquet", folder / name / "history.parquet"
    collect(runs, synthetic.config(), *paths)
    return pl.read_parquet(paths[0]), pl.read_parquet(paths[1])


GRID = {
    "architectures": ["resnet", "vit"],
    "shortcuts": ["identity", "none", "projection"],
    "seeds": [0, 1],
    "families": ["kernel", "linear"],
}


def paths_of(runs: list[ExpectedRun]) -> tuple[str, str]:
    """Templates of the paths under which these runs lie."""
    run = runs[0]
    labels, template = f"{run.architecture}/{run.shortcut}/seed{run.seed}", "{architecture}/{shortcut}/seed{seed}"
    history, measures = str(run.history), str(run.measures["kernel"]).replace("kernel", "{family}")
    return history.replace(labels, template), measures.replace(labels, template)


def test_every_value_arrives_under_its_run(runs: list[ExpectedRun], tmp_path: Path) -> None:
    measures, history = collected(runs, tmp_path)
    source = pl.read_parquet(runs[0].measures["kernel"])
    mine = measures.filter(
        pl.col("architecture") == runs[0].architecture,
        pl.col("shortcut") == runs[0].shortcut,
        pl.col("seed") == runs[0].seed,
        pl.col("family") == "kernel",
    )
    assert sorted(mine["value"].to_list()) == sorted(source["value"].to_list())
    assert mine["status"].unique().to_list() == ["finished"]
    assert history.filter(pl.col("status") == "finished").height > 0


def test_labels_are_the_experiments_own(tmp_path: Path) -> None:
    """A run that was measured under another label (a shared result) appears under the label it is expected under."""
    synthetic.write_run(tmp_path, "resnet", "identity", 0, synthetic.steps(4), synthetic.sites(1))
    real = synthetic.expected(tmp_path, "resnet", "identity", 0)
    renamed = ExpectedRun("small", "plain", 0, real.history, real.measures)
    measures, history = collected([renamed], tmp_path)
    assert measures["architecture"].unique().to_list() == history["architecture"].unique().to_list() == ["small"]
    assert measures["shortcut"].unique().to_list() == ["plain"]


def test_files_of_another_experiment_are_one_sentence(tmp_path: Path) -> None:
    """The right labels, made by another spec: of training, of what was measured, and of the measure itself."""
    path, train = tmp_path / "m.parquet", {"architecture": {"kind": "mlp"}, "shortcut": {"kind": "none"}, "seed": 0}
    run = ExpectedRun("a", "s", 0, tmp_path / "h.parquet", {"linear": path})
    specs = {"architectures": {"a": {"architecture": train["architecture"]}}, "shortcuts": {"s": train["shortcut"]}}
    specs["measures"] = {"linear": {"folds": 5}}
    synthetic.write_run(tmp_path, "a", "s", 0, synthetic.steps(2), synthetic.sites(1))
    made = synthetic.expected(tmp_path, "a", "s", 0)
    history, measures = read_rows(made.history)[0], read_rows(made.measures["linear"])[0]
    for of, measured, by, said in (
        (train | {"seed": 1}, train, {"folds": 5}, r"h\.parquet is of another run or experiment \(seed is 1, not 0\)"),
        (train, train | {"seed": 1}, {"folds": 5}, r"m\.parquet is of another run or experiment \(seed is 1, not 0\)"),
        (train, train, {"folds": 4}, r"m\.parquet is of another run or experiment \(folds is 4, not 5\)"),
    ):
        write_rows(run.history, history, {"spec": of})
        write_rows(path, measures, {"spec": by, "train_spec": measured})
        with pytest.raises(UserError, match=said + ": delete it and run the workflow again"):
            collect([run], None, tmp_path / "1", tmp_path / "2", specs)
        collect([run], None, tmp_path / "1", tmp_path / "2")


def test_missing_run_is_one_row_per_family(runs: list[ExpectedRun], tmp_path: Path) -> None:
    measures, history = collected(runs, tmp_path)
    gap = measures.filter(pl.col("status") == "missing")
    assert gap.select("architecture", "shortcut", "seed", "family").rows() == [
        ("vit", "projection", 1, "kernel"),
        ("vit", "projection", 1, "linear"),
    ]
    assert gap["value"].null_count() == gap["step"].null_count() == 2
    assert history.filter(pl.col("status") == "missing").height == 1


def test_nothing_at_all_is_a_table_of_missing_runs(tmp_path: Path) -> None:
    runs = [synthetic.expected(tmp_path / "nowhere", "resnet", "identity", seed) for seed in range(3)]
    measures, history = collected(runs, tmp_path)
    assert measures["status"].to_list() == ["missing"] * 6
    assert history["status"].to_list() == ["missing"] * 3


def test_trained_but_not_measured(runs: list[ExpectedRun], tmp_path: Path) -> None:
    runs[0].measures["kernel"].unlink()
    measures, _ = collected(runs, tmp_path)
    assert measures.filter(pl.col("status") == "missing", pl.col("family") == "kernel").height == 2
    _, metadata = read_rows(tmp_path / "tables" / "measures.parquet")
    assert metadata["runs"][0]["status"] == "finished"
    assert metadata["runs"][0]["measures"] == {"kernel": "missing", "linear": "finished"}


def test_diverged_run_keeps_its_rows(runs: list[ExpectedRun], tmp_path: Path) -> None:
    measures, history = collected(runs, tmp_path)
    for table in (measures, history):
        rows = table.filter(pl.col("status") == "diverged")
        assert rows.select("architecture", "shortcut", "seed").unique().rows() == [("vit", "none", 1)]
    _, metadata = read_rows(tmp_path / "tables" / "measures.parquet")
    assert [run["diverged_at"] for run in metadata["runs"] if run["status"] == "diverged"] == [20]


def test_capacity_gap_is_linear_minus_kernel(runs: list[ExpectedRun], tmp_path: Path) -> None:
    measures, _ = collected(runs, tmp_path)
    kernel = measures.filter(pl.col("family") == "kernel", pl.col("value").is_not_null())
    assert kernel["capacity_gap"].to_list() == pytest.approx([0.05] * kernel.height)
    assert measures.filter(pl.col("family") == "linear")["capacity_gap"].null_count() == len(
        measures.filter(pl.col("family") == "linear")
    )


def test_the_best_family_of_each_place_stands_beside_each(runs: list[ExpectedRun], tmp_path: Path) -> None:
    first = runs[0].measures["linear"]
    place = pl.read_parquet(first).filter(measure="zx").row(3, named=True)
    revalued(first, {key: place[key] for key in ("measure", "step", "site", "part")}, 0.001)
    measures, _ = collected(runs, tmp_path)
    decoded = measures.filter(pl.col("measure").is_in(["zx", "zy"]), pl.col("value").is_not_null())
    here = decoded.filter(**{key: place[key] for key in (*RUN, "measure", "step", "site", "part")})
    assert set(here["best_family"]) == {"linear"} and set(here["best_value"]) == {0.001}
    assert here["family"].to_list() == ["kernel", "linear"]
    others = decoded.join(here, on=decoded.columns, how="anti", nulls_equal=True)
    assert set(others["best_family"]) == {"kernel"}
    keys = [*RUN, "measure", "step", "site", "part"]
    least = others.select(pl.col("value").min().over(keys).alias("least"), "best_value")
    assert least["least"].to_list() == least["best_value"].to_list()


def test_one_family_alone_has_no_best(tmp_path: Path) -> None:
    measures, _ = collected(synthetic.experiment(tmp_path, checkpoints=3, blocks=1, families=("kernel",)), tmp_path)
    assert measures["best_family"].null_count() == measures["best_value"].null_count() == measures.height


def test_no_capacity_gap_without_linear(tmp_path: Path) -> None:
    runs = synthetic.experiment(tmp_path, checkpoints=4, blocks=1, families=("kernel",))
    measures, _ = collected(runs, tmp_path)
    assert measures["capacity_gap"].null_count() == measures.height


def revalued(path: Path, at: dict[str, object], value: float) -> None:
    """Give the rows of a run's measures file that have these keys another value."""
    frame, metadata = pl.read_parquet(path), read_rows(path)[1]
    chosen = pl.all_horizontal(pl.col(key) == wanted for key, wanted in at.items())
    frame = frame.with_columns(pl.when(chosen).then(value).otherwise(pl.col("value")).alias("value"))
    write_rows(path, frame.to_arrow(compat_level=pl.CompatLevel.oldest()), metadata)


def excesses(measures: pl.DataFrame, run: ExpectedRun, **at: object) -> dict[str, float | None]:
    """Site -> ``dpi_excess`` of one run's kernel Z-X."""
    rows = measures.filter(**run.keys, family="kernel", **at).sort("depth")
    return dict(rows.select("site", "dpi_excess").rows())


def test_a_deeper_sum_that_knows_more_is_told(runs: list[ExpectedRun], tmp_path: Path) -> None:
    """Z-X rises with depth here, so nothing is; until one sum's value is taken to be lower than one's before it."""
    path = runs[0].measures["kernel"]
    measures, _ = collected(runs, tmp_path, "before")
    zx = measures.filter(pl.col("measure") == "zx", pl.col("step") == 0)
    assert zx["dpi_excess"].null_count() == zx.height > 0
    for site, value in (("stem", 0.3), ("block1", 0.5), ("block2", 0.1), ("readout", 0.45), ("logits", 0.6)):
        revalued(path, {"measure": "zx", "step": 0, "site": site}, value)
    measures, _ = collected(runs, tmp_path, "after")
    found = excesses(measures, runs[0], measure="zx", step=0)
    assert found["block2"] == pytest.approx(0.4) and found["readout"] == pytest.approx(0.05)
    assert found["stem"] is None and found["block1"] is None and found["logits"] is None
    others = measures.filter(
        pl.col("measure") == "zx", pl.col("step") == 0, ~pl.col("site").is_in(["block2", "readout"])
    )
    assert others["dpi_excess"].null_count() == others.height, "no other site, and no other run"


def test_sums_that_are_no_chain_are_not_compared(runs: list[ExpectedRun], tmp_path: Path) -> None:
    """A kind with a memory: what its training wrote says so, of this network alone."""
    for run in runs[:2]:
        for site, value in (("stem", 0.3), ("block1", 0.5), ("block2", 0.1)):
            revalued(run.measures["kernel"], {"measure": "zx", "step": 0, "site": site}, value)
    assert (runs[0].architecture, runs[0].shortcut) != (runs[-1].architecture, runs[-1].shortcut)
    history, metadata = read_rows(runs[0].history)
    before, _ = collected(runs, tmp_path, "before")
    assert excesses(before, runs[0], measure="zx", step=0)["block2"] == pytest.approx(0.4)
    write_rows(runs[0].history, history, metadata | {"chain": False})
    after, _ = collected(runs, tmp_path, "after")
    own = (pl.col("architecture") == runs[0].architecture) & (pl.col("shortcut") == runs[0].shortcut)
    assert after.filter(own)["dpi_excess"].null_count() == after.filter(own).height
    assert after.filter(~own).equals(before.filter(~own))


def test_information_may_only_fall_along_the_sums(runs: list[ExpectedRun], tmp_path: Path) -> None:
    """Mutual information is bound the other way; what is no sum, has no value or is no such measure is left out."""
    path = runs[0].measures["kernel"]
    frame, metadata = pl.read_parquet(path).filter(pl.col("step") == 0), read_rows(path)[1]
    values = {"stem": 3.0, "block1": None, "block2": 4.0, "readout": 2.0, "logits": 2.5}
    given = pl.col("site").replace_strict(values, return_dtype=pl.Float64).alias("value")
    ixz = frame.filter(pl.col("measure") == "zx").with_columns(given, pl.lit("ixz").alias("measure"))
    rank = ixz.with_columns(pl.lit("effective_rank").alias("measure"))
    branch = ixz.filter(pl.col("site") == "block2").with_columns(pl.lit("f").alias("part"), pl.lit(9.0).alias("value"))
    together = pl.concat([ixz, rank, branch])
    write_rows(path, together.to_arrow(compat_level=pl.CompatLevel.oldest()), metadata)
    measures, _ = collected(runs, tmp_path)
    found = excesses(measures, runs[0], measure="ixz", part="z")
    assert found == {"stem": None, "block1": None, "block2": 1.0, "readout": None, "logits": 0.5}
    assert excesses(measures, runs[0], measure="ixz", part="f") == {"block2": None}
    assert set(excesses(measures, runs[0], measure="effective_rank").values()) == {None}


def test_bytes_depend_on_results_alone(runs: list[ExpectedRun], tmp_path: Path) -> None:
    collected(runs, tmp_path, "first")
    collected(runs, tmp_path, "again")
    collected(runs[::-1], tmp_path, "reversed")
    for table in ("measures.parquet", "history.parquet"):
        first = (tmp_path / "first" / table).read_bytes()
        assert (tmp_path / "again" / table).read_bytes() == first
        assert (tmp_path / "reversed" / table).read_bytes() == first


def test_seconds_stay_out(runs: list[ExpectedRun], tmp_path: Path) -> None:
    assert "seconds" in set(pl.read_parquet(runs[0].history)["quantity"])
    _, history = collected(runs, tmp_path)
    assert "seconds" not in set(history["quantity"])


def test_what_was_said_of_the_images_is_kept(runs: list[ExpectedRun], tmp_path: Path) -> None:
    for place, run in enumerate(runs[:2]):
        table, about = read_rows(run.measures["kernel"])
        write_rows(run.measures["kernel"], table, about | {"images": ["copies: 3", "left out: 1"][: place + 1]})
    collected(runs, tmp_path)
    assert read_rows(tmp_path / "tables" / "measures.parquet")[1]["images"] == ["copies: 3", "left out: 1"]


def test_metadata_of_the_experiment(runs: list[ExpectedRun], tmp_path: Path) -> None:
    collected(runs, tmp_path)
    _, metadata = read_rows(tmp_path / "tables" / "history.parquet")
    assert metadata["config"] == synthetic.config()
    assert metadata["versions"] == synthetic.VERSIONS
    assert (metadata["n"], metadata["seeds"], metadata["classes"]) == ([synthetic.SAMPLES], [0, 1], 10)
    assert metadata["label_entropy"] == pytest.approx(synthetic.LABEL_ENTROPY)
    assert metadata["shortcuts"] == {"identity": "identity", "none": "none", "projection": "projection"}
    assert set(metadata["families"]) == {"kernel", "linear"}


def test_other_tools_open_the_tables(runs: list[ExpectedRun], tmp_path: Path) -> None:
    measures, _ = collected(runs, tmp_path)
    query = f"select count(*) from '{tmp_path}/tables/measures.parquet' where status = 'finished'"
    assert duckdb.sql(query).fetchall() == [(measures.filter(pl.col("status") == "finished").height,)]


@pytest.mark.parametrize("which", ["history", "measures"])
@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_truncated_input(runs: list[ExpectedRun], tmp_path: Path, which: str, keep: float) -> None:
    path = runs[0].history if which == "history" else runs[0].measures["kernel"]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UserError, match=f"{path.name} is not a complete Parquet file"):
        collected(runs, tmp_path)
    assert not (tmp_path / "tables").exists()


def test_damaged_pages(runs: list[ExpectedRun], tmp_path: Path) -> None:
    """The footer is whole, the data are not."""
    path = runs[0].measures["kernel"]
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(len(content) // 3 - 4)
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        collected(runs, tmp_path)
    assert not (tmp_path / "tables").exists()


def test_missing_column(runs: list[ExpectedRun], tmp_path: Path) -> None:
    table, metadata = read_rows(runs[0].measures["kernel"])
    write_rows(runs[0].measures["kernel"], table.drop_columns(["reference"]), metadata)
    with pytest.raises(UserError, match="has no column 'reference'"):
        collected(runs, tmp_path)


def test_a_history_of_an_earlier_version_is_recognised(runs: list[ExpectedRun], tmp_path: Path) -> None:
    table, metadata = read_rows(runs[0].history)
    values = table["value"]
    old = table.drop_columns(["split", "quantity", "value"])
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        old = old.append_column(name, values)
    write_rows(runs[0].history, old, metadata)
    with pytest.raises(UserError) as caught:
        collected(runs, tmp_path)
    assert str(caught.value) == (
        f"{runs[0].history} is of an earlier version, which gave each quantity a column such as 'validation_loss': "
        "delete it and run the workflow again."
    )


def test_a_grid_is_every_run(runs: list[ExpectedRun]) -> None:
    found = expected_runs(json.dumps(GRID), *paths_of(runs))
    assert sorted(found, key=str) == sorted(runs, key=str)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]", '{"architectures": ["resnet"]}'])
def test_a_grid_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="the grid is not a JSON object"):
        expected_runs(text, "h", "m")


def test_a_grid_that_names_a_label_twice() -> None:
    with pytest.raises(UserError, match=r"twice in \[0, 0\]"):
        expected_runs(json.dumps(GRID | {"seeds": [0, 0]}), "h", "m")


def test_script(runs: list[ExpectedRun], tmp_path: Path) -> None:
    """Gaps are told; the tables equal those of the function."""
    history, measures = paths_of(runs)
    outputs = [tmp_path / "script" / name for name in ("measures.parquet", "history.parquet")]
    command = [sys.executable, ROOT / "scripts" / "tables.py", "--grid", json.dumps(GRID)]
    command += ["--run-history", history, "--run-measures", measures]
    command += ["--config", json.dumps(synthetic.config()), "--measures", outputs[0], "--history", outputs[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "vit/projection/seed1: training missing, kernel missing, linear missing" in done.stdout
    collected(runs, tmp_path)
    assert outputs[0].read_bytes() == (tmp_path / "tables" / "measures.parquet").read_bytes()


def test_script_says_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "tables.py", "--grid", "nonsense"]
    command += ["--run-history", "h", "--run-measures", "m"]
    command += ["--measures", tmp_path / "m.parquet", "--history", tmp_path / "h.parquet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the grid is not") and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())

"""A table of one's own: what it becomes, what is drawn of it, and one sentence for each mistake."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic_results as synthetic

from infoplane.errors import UserError
from infoplane.phases.analysis import Settings, analyse
from infoplane.report import own_table
from infoplane.tables import HISTORY, MEASURES

HEADER = "run,step,site,zx,zy"


def written(folder: Path, *lines: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def planted() -> pl.DataFrame:
    """Two runs of two seeds and two sites: one that fits and compresses, one that only compresses."""
    rows: list[dict[str, Any]] = []
    for run, dip in (("plain", 0.3), ("skips", 0.0)):
        for seed in (0, 1):
            for step in (0, 1, 4, 16, 64, 256):
                time = math.log1p(step) / math.log1p(256)
                for site, more in (("block1", 0.0), ("block2", 0.1)):
                    noise = 0.002 * math.sin(7 * seed + step + more)
                    zx = 0.4 + more - dip * math.sin(math.pi * time) + 0.2 * time**2 + noise
                    rows.append({"run": run, "seed": seed, "step": step, "site": site, "zx": zx, "zy": 2.3 - 2 * time})
    return pl.DataFrame(rows)


# What it becomes


def test_the_standard_tables(tmp_path: Path) -> None:
    planted().write_csv(tmp_path / "mine.csv")
    tables = own_table.read(tmp_path / "mine.csv", classes=10)
    assert set(MEASURES) < set(tables.measures.columns) and tables.history.columns == [*HISTORY, "status"]
    assert tables.measures.height == 2 * planted().height and tables.history.is_empty()
    row = tables.measures.filter(
        pl.col("shortcut") == "skips", pl.col("seed") == 1, pl.col("step") == 16, pl.col("site") == "block2"
    ).rows_by_key("measure", named=True, unique=True)
    source = planted().filter(pl.col("run") == "skips", pl.col("seed") == 1, pl.col("step") == 16)
    assert row["zx"]["value"] == pytest.approx(source["zx"][1]) and row["zy"]["value"] == pytest.approx(source["zy"][1])
    assert (row["zx"]["reference"], row["zy"]["reference"]) == (1.0, pytest.approx(math.log(10)))
    assert tables.architectures == ["mine"] and tables.shortcuts == ["plain", "skips"]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    planted().write_csv(tmp_path / "mine.csv")
    planted().write_parquet(tmp_path / "mine.parquet")
    one, other = (own_table.read(tmp_path / f"mine.{kind}") for kind in ("csv", "parquet"))
    assert one.measures.equals(other.measures)


def test_phases_of_planted_curves(tmp_path: Path) -> None:
    planted().write_csv(tmp_path / "mine.csv")
    tables = own_table.read(tmp_path / "mine.csv")
    found = analyse(
        tables.measures, tables.history, Settings(resamples=100, nulls=5, reference="skips"), tables.metadata
    )
    labels = found.phases.filter(pl.col("seed").is_null(), pl.col("site") == "block2")
    assert dict(labels.select("shortcut", "label").iter_rows()) == {"plain": "two-phase", "skips": "compression-only"}


def test_every_optional_column(tmp_path: Path) -> None:
    table = planted().with_columns(
        pl.lit("vit").alias("architecture"),
        pl.col("run").replace({"plain": "none", "skips": "identity"}).alias("shortcut"),
        pl.lit(0.01).alias("zx_stderr"),
        pl.lit(500).alias("n"),
        (pl.col("step") / 256).alias("accuracy"),
        pl.lit(0.5).alias("train_loss"),
        pl.lit("k").alias("family"),
        pl.col("site").replace_strict({"block1": 7, "block2": 3}).alias("depth"),
    )
    table.write_csv(tmp_path / "mine.csv", separator=";")
    tables = own_table.read(tmp_path / "mine.csv")
    assert tables.architectures == ["vit"] and tables.shortcuts == ["identity", "none"]
    assert set(tables.measures["family"]) == {"k"} and tables.metadata["n"] == [500]
    assert tables.measures.filter(pl.col("measure") == "zx")["stderr"].unique().to_list() == [0.01]
    assert dict(tables.measures.select("site", "depth").unique().iter_rows()) == {"block1": 7, "block2": 3}
    assert tables.history.height == 4 * 6
    assert tables.history.filter(pl.col("step") == 256)["validation_accuracy"].to_list() == [1.0] * 4


def test_runs_of_one_network_are_its_seeds(tmp_path: Path) -> None:
    lines = [f"{run},{step},z,0.{step + 1},1.0,none" for run in ("b", "a") for step in (0, 1)]
    tables = own_table.read(written(tmp_path, f"{HEADER},shortcut", *lines))
    assert tables.metadata["seeds"] == [0, 1] and tables.shortcuts == ["none"]


# Mistakes


ROWS = ("a,0,z,0.5,2.0", "a,1,z,0.4,1.0")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["run,step,site,z_x,zy", *ROWS], "has no column 'zx': did you mean 'z_x'?"),
        (["run,step,zx,zy", "a,0,0.5,2.0"], "has no column 'site': found run, step, zx, zy."),
        (["name,step,site,zx,zy", *ROWS], "has no column 'run': found name,"),
        ([f"{HEADER},zx_sdterr", "a,0,z,0.5,2.0,1"], "unknown column 'zx_sdterr': did you mean 'zx_stderr'?"),
        ([HEADER, "a,0,z,0.5,2.0", "a,1,z,high,1.0"], "zx in row 3 is 'high': expected a number."),
        ([HEADER, "a,0,z,0.5,2.0", "a,1,z,nan,1.0"], "zx in row 3 is 'nan': expected a number."),
        ([HEADER, "a,0,z,0.5,inf", "a,1,z,0.5,1.0"], "zy in row 2 is 'inf': expected a number."),
        ([HEADER, "a,0,z,0.5,", "a,1,z,0.5,1.0"], "zy in row 2 is empty: expected a number."),
        ([HEADER, "a,0,,0.5,1.0", "a,1,z,0.5,1.0"], "site in row 2 is empty: expected a name."),
        ([HEADER, "a,0.5,z,0.5,2.0", "a,1,z,0.4,1.0"], "step in row 2 is '0.5': expected a whole number, 0 or more."),
        ([HEADER, "a,-1,z,0.5,2.0", "a,1,z,0.4,1.0"], "step in row 2 is '-1': expected a whole number, 0 or more."),
        ([HEADER, "a,0,z,0.5,2.0", "b,0,z,0.4,1.0"], "every run has one step only at each site"),
        ([HEADER, *ROWS, ROWS[0]], "run 'a', step 0, site 'z' stands in rows 2 and 4: keep one, or tell repeats apart"),
        ([HEADER], "has no rows: expected one per run, step and site."),
    ],
)
def test_a_mistake_is_one_sentence(lines: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as said:
        own_table.read(written(tmp_path, *lines))
    assert sentence in str(said.value) and "mine.csv" in str(said.value) and "\n" not in str(said.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.csv is missing: expected a CSV or Parquet file with the columns run"):
        own_table.read(tmp_path / "mine.csv")
    (tmp_path / "mine.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"mine\.parquet is not a readable parquet file"):
        own_table.read(tmp_path / "mine.parquet")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.csv is not a readable csv file"):
        own_table.read(tmp_path / "empty.csv")
    with pytest.raises(UserError, match="not a readable csv file"):
        own_table.read(written(tmp_path, HEADER, "a,0,z,0.5,2.0,7,8"))


def test_reference(tmp_path: Path) -> None:
    planted().write_csv(tmp_path / "mine.csv")
    tables = own_table.read(tmp_path / "mine.csv")
    assert own_table.reference(tables, None) == "plain" and own_table.reference(tables, "skips") == "skips"
    with pytest.raises(UserError, match="no run is called 'skip': did you mean 'skips'"):
        own_table.reference(tables, "skip")


# As a command


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infoplane.report", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_command(tmp_path: Path) -> None:
    planted().with_columns(pl.lit("x").alias("remark")).write_csv(tmp_path / "mine.csv")
    done = command(tmp_path / "mine.csv", "--output", tmp_path / "out", "--classes", "10")
    assert done.returncode == 0, done.stderr
    assert "ignored columns: remark" in done.stdout and "Phases of the last block" in done.stdout
    assert "two-phase" in done.stdout and f"report: {tmp_path / 'out' / 'report.html'}" in done.stdout
    page = tmp_path / "out" / "report.html"
    assert synthetic.loads(page) == [] and "skips" in page.read_text()
    for file in ("charts/contrast.pdf", "charts/phase_diagram.svg", "tables/measures.parquet", "phases/phases.parquet"):
        assert (tmp_path / "out" / file).stat().st_size > 0


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    done = command(written(tmp_path, "run,step,site,zx", "a,0,z,1"), "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "has no column 'zy': found run, step, site, zx." in done.stderr
    assert not (tmp_path / "out").exists()

"""A table of one's own: what it becomes, what is drawn of it, and one sentence for each mistake."""

import math
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infoplane.charts.frames import of_history
from infoplane.errors import UserError
from infoplane.phases.analysis import Settings, analyse
from infoplane.report import own_table
from infoplane.tables import HISTORY, MEASURES
from infoplane.testing import results as synthetic

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
    assert tables.history.height == 2 * 4 * 6
    assert (
        of_history(tables.history, "validation", "accuracy").filter(pl.col("step") == 256)["value"].to_list()
        == [1.0] * 4
    )


def test_runs_of_one_network_are_its_seeds(tmp_path: Path) -> None:
    lines = [f"{run},{step},z,0.{step + 1},1.0,none" for run in ("b", "a") for step in (0, 1)]
    tables = own_table.read(written(tmp_path, f"{HEADER},shortcut", *lines))
    assert tables.metadata["seeds"] == [0, 1] and tables.shortcuts == ["none"]


# Mistakes


ROWS = ("a,0,z,0.5,2.0", "a,1,z,0.4,1.0")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["run,step,site,z_x,zy", *ROWS], "has no column 'zx': rename 'z_x' to 'zx', if that is what it holds."),
        (["run,step,site,zxx,zy", *ROWS], "has no column 'zx': did you mean 'zxx'?"),
        (["run,epoch,site,zx,zy", *ROWS], "has no column 'step': rename 'epoch' to 'step', if that is what it holds."),
        (
            ["network,Epoch,layer,zx,Z-Y", *ROWS],
            "has no columns 'run', 'step', 'site' and 'zy': rename 'network' to 'run', 'Epoch' to 'step', 'layer' to "
            "'site' and 'Z-Y' to 'zy', if that is what they hold.",
        ),
        (
            ["network,step,site,zx,b", *ROWS],
            "has no columns 'run' and 'zy': rename 'network' to 'run', if that is what it holds; add 'zy'.",
        ),
        (["run step site zx zy", "a 0 z 0.5 2.0"], "has one column, 'run step site zx zy': separate cells by commas,"),
        (
            ["run;step;site;zx;zy", "a;0;z;0,5;2", "a;1;z;0,4;1"],
            "zx in row 2 is '0,5': expected a number: write 0.5, with a decimal point.",
        ),
        (
            ["run;step;site;zx;zy", "a;0;z;0.5;2", "a;1,000;z;0.4;1"],
            "step in row 3 is '1,000': expected a whole number, 0 or more: write 1000, without a comma for thousands.",
        ),
        (
            [f"{HEADER},accuracy", "a,0,z,0.5,2,55%", "a,1,z,0.4,1,60%"],
            "accuracy in row 2 is '55%': expected a share, 0 to 1, not percent: write it without a percent sign.",
        ),
        (
            [HEADER, "a,0,z,0,5,2,0", "a,1,z,0,4,1,0"],
            "a row has more cells than the header; if numbers have a decimal comma, separate cells by semicolons.",
        ),
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
        ([HEADER, *ROWS, ROWS[0]], "run 'a', step 0, site 'z' is in rows 2 and 4: keep one, or tell repeats apart"),
        ([HEADER], "has no rows: expected one per run, step and site."),
    ],
)
def test_a_mistake_is_one_sentence(lines: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as said:
        own_table.read(written(tmp_path, *lines))
    assert sentence in str(said.value) and "mine.csv" in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([HEADER, "a,0,z,0.5,2.0", "a,1,z,-0.6,1.0"], "zx in row 3 is '-0.6': expected a number, -0.05 or more"),
        ([HEADER, "a,0,z,0.5,2.0", "a,1e30,z,0.4,1.0"], "step in row 3 is '1e30': expected a whole number, 0 or more."),
        (
            ["run;step;site;zx;zy", "a;0;z;0.5;2", "a;1.000;z;0.4;1"],
            "step in row 3 is '1.000': expected a whole number with",
        ),
        (
            [f"{HEADER},zx_stderr", "a,0,z,0.5,2,0.1", "a,1,z,0.4,1,-0.1"],
            "zx_stderr in row 3 is '-0.1': expected a number, 0",
        ),
        (
            [f"{HEADER},accuracy", "a,0,z,0.5,2,0.1", "a,1,z,0.4,1,150"],
            "accuracy in row 3 is '150': expected a share, 0 to 1",
        ),
        ([f"{HEADER},n", "a,0,z,0.5,2,True", "a,1,z,0.4,1,5"], "n in row 2 is 'True': expected a whole number"),
        (
            [f"{HEADER},depth", "a,0,z,0.5,2,1", "a,1,z,0.4,1,2"],
            "depth of site 'z' is 1 in row 2 and 2 in row 3: expected the same in every row.",
        ),
        (
            [f"{HEADER},train_loss", "a,0,z,0.5,2,1", "a,0,y,0.4,1,2", "a,1,z,0.5,2,1"],
            "train_loss of step 0 of one run is 1 in row 2 and 2 in row 3: expected the same in every row.",
        ),
    ],
)
def test_what_cannot_be_is_refused(lines: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as said:
        own_table.read(written(tmp_path, *lines))
    assert sentence in str(said.value) and "mine.csv" in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "column", "sentence"),
    [
        ("zx", [[0.5], [0.4]], r"column 'zx' holds List\(Float64\): expected one value per row"),
        ("site", [["z"], ["z"]], r"column 'site' holds List\(String\): expected one value per row"),
        ("zy", [True, False], "column 'zy' holds Boolean: expected numbers"),
        ("step", [date(2026, 1, 1), date(2026, 1, 2)], "column 'step' holds Date: expected numbers"),
    ],
)
def test_columns_of_another_kind_are_refused(name: str, column: list[Any], sentence: str, tmp_path: Path) -> None:
    table: dict[str, list[Any]] = {
        "run": ["a", "a"],
        "step": [0, 1],
        "site": ["z", "z"],
        "zx": [0.5, 0.4],
        "zy": [2, 1],
    }
    pl.DataFrame(table | {name: column}).write_parquet(tmp_path / "mine.parquet")
    with pytest.raises(UserError, match=sentence):
        own_table.read(tmp_path / "mine.parquet")


def test_values_that_are_no_shares_are_asked_about(tmp_path: Path) -> None:
    honest = own_table.read(written(tmp_path, HEADER, "a,0,z,1.2,2.0", "a,1,z,-0.01,1.0"))
    assert own_table.cautions(honest) == []
    tables = own_table.read(written(tmp_path, HEADER, "a,0,z,61,2.0", "a,1,z,0.4,1.0"))
    assert own_table.cautions(tables)[0].startswith("zx is above 1.5 in 1 rows, up to 61: is it divided by the input's")
    assert tables.measures.filter(pl.col("value") == 61)["note"].item().startswith("above 1.5")


@pytest.mark.parametrize(
    ("sites", "ordered"),
    [
        (["layer1", "layer10", "layer11", "layer2"], ["layer1", "layer2", "layer10", "layer11"]),
        (["stem", "layer1.1", "layer1.10", "layer1.9", "head"], ["stem", "layer1.1", "layer1.9", "layer1.10", "head"]),
        (["block10", "block11", "block9"], ["block9", "block10", "block11"]),
        (["down1", "down2", "up2", "up1"], ["down1", "down2", "up2", "up1"]),
        (["z", "a"], ["z", "a"]),
    ],
)
def test_numbered_sites_stand_in_the_order_of_their_numbers(
    sites: list[str], ordered: list[str], tmp_path: Path
) -> None:
    lines = [f"a,{step},{site},0.5,1.0" for step in (0, 1) for site in sites]
    tables = own_table.read(written(tmp_path, HEADER, *lines))
    depths = tables.measures.select("site", "depth").unique().sort("depth")
    assert depths["site"].to_list() == ordered and depths["depth"].to_list() == list(range(len(sites)))


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


def test_the_command_takes_values_below_nothing_and_names_the_last_block(tmp_path: Path) -> None:
    """Z-X a little below 0 everywhere: rounding of a network that keeps its input."""
    lines = [f"a,{step},layer{k},-0.0{k + 1}1,{2 - step}" for k in range(2) for step in (0, 1)]
    done = command(written(tmp_path, HEADER, *lines), "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "last block of mine: layer1" in done.stdout and (tmp_path / "out" / "report.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "out"]


def test_the_command_never_writes_over_its_table(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "measures.parquet"
    planted().write_parquet(table)
    before = table.read_bytes()
    done = command(table, "--output", tmp_path)
    assert done.returncode == 2 and "would overwrite" in done.stderr and table.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["tables"], "and nothing else is left"
    done = command(table, "--output", table)
    assert done.returncode == 2 and "is a file: expected a folder" in done.stderr


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    done = command(written(tmp_path, "run,step,site,zx", "a,0,z,1"), "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "has no column 'zy': found run, step, site, zx." in done.stderr
    assert not (tmp_path / "out").exists()

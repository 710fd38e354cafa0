"""The report: one page that loads nothing, says where it comes from, and is drawn by a real browser."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic_results as synthetic

from infoplane import registry
from infoplane.charts import render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.report import page as report
from infoplane.report.numbers import diagnostics, headlines
from infoplane.tables import collect

ROOT = Path(__file__).parents[1]
CHARTS = registry.names("chart")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    return synthetic.made(folder)


@pytest.fixture(scope="module")
def specs(tables: Tables) -> dict[str, dict[str, Any]]:
    return {name: render.spec(name, {}, tables) for name in CHARTS}


@pytest.fixture(scope="module")
def page(tables: Tables, specs: dict[str, dict[str, Any]], folder: Path) -> Path:
    paths = []
    for name, spec in specs.items():
        render.save(spec, None, None, None, folder / f"{name}.json")
        paths.append(folder / f"{name}.json")
    report.write(tables, paths, folder / "report.html")
    return folder / "report.html"


def test_report_loads_nothing(page: Path) -> None:
    parser = synthetic.Fetches()
    text = page.read_text(encoding="utf-8")
    parser.feed(text)
    assert parser.fetched == []
    assert set(parser.targets) <= set(parser.ids) and len(parser.ids) == len(set(parser.ids))
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    assert text.count("window.vegaEmbed=") == 1
    assert page.stat().st_size < 5_000_000


def test_report_says_where_it_comes_from(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S)
    for wanted in (
        "torch 9.8.7",
        "learning_rate: 0.0625",
        f"n = <b>{synthetic.PROBES}</b>",
        "seeds <b>0, 1</b>",
        "vit/projection seed 1 missing",
        "vit/none seed 1 diverged at step 20",
        "<b>10</b> of 12 runs",
        "12,345",
        "H(Y) = <b>2.303</b> nats",
    ):
        assert wanted in shown, wanted
    for name in CHARTS:
        assert f'id="spec-{name}"' in text


def test_headline_numbers(tables: Tables) -> None:
    row = next(row for row in headlines(tables)["resnet"] if row.shortcut == "projection")
    block5 = tables.measures.filter(
        pl.col("architecture") == "resnet",
        pl.col("shortcut") == "projection",
        pl.col("site") == "block5",
        pl.col("family") == "kernel",
        pl.col("measure") == "zx",
    )
    means = block5.group_by("step").agg(pl.col("value").mean()).sort("value")
    assert (row.site, row.turn_step, row.end_step) == ("block5", means["step"][0], 640)
    assert row.turn.mean == pytest.approx(means["value"][0], rel=1e-3)
    assert row.start.mean == pytest.approx(block5.filter(pl.col("step") == 0)["value"].mean(), rel=1e-3)
    assert row.accuracy.mean == pytest.approx((0.9 + 0.868) / 2)
    assert (row.seeds, row.status) == ("2 of 2", "finished")
    assert [row.status for row in headlines(tables)["vit"]] == ["finished", "1 diverged at step 20", "1 missing"]


def test_diagnostics_are_counted(tables: Tables) -> None:
    kernel, linear = diagnostics(tables)
    assert kernel.edges == {"ridge:low": 22}  # 11 runs, stem at step 0, two measures
    assert kernel.capacity_gap.mean == pytest.approx(0.05)
    assert linear.capacity_gap.mean is None and kernel.unmeasurable == 0


def test_report_escapes_what_it_is_given(tables: Tables, folder: Path, tmp_path: Path) -> None:
    metadata = json.loads(json.dumps(tables.metadata))
    metadata["config"]["experiment"] = "<img src=x onerror=alert(1)></script>"
    report.write(Tables(tables.measures, tables.history, metadata), [], tmp_path / "report.html")
    assert synthetic.loads(tmp_path / "report.html") == []
    assert render.script_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}'


def test_report_of_nothing(tmp_path: Path) -> None:
    paths = tmp_path / "measures.parquet", tmp_path / "history.parquet"
    collect([synthetic.expected(tmp_path / "none", "resnet", "identity", 0)], None, *paths)
    report.write(Tables.read(*paths), [], tmp_path / "report.html")
    assert "nothing measured yet" in (tmp_path / "report.html").read_text()


def test_report_is_the_same_twice(tables: Tables, page: Path, folder: Path, tmp_path: Path) -> None:
    report.write(tables, [folder / f"{name}.json" for name in CHARTS], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_report_refuses_what_is_no_chart(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.json is missing"):
        report.write(tables, [tmp_path / "gone.json"], tmp_path / "report.html")
    (tmp_path / "half.json").write_text('{"mark": "ba')
    with pytest.raises(UserError, match=r"half.json is not a chart"):
        report.write(tables, [tmp_path / "half.json"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_scripts_say_one_sentence(folder: Path, tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes((folder / "measures.parquet").read_bytes()[:1000])
    for script, more in (("charts", ["--chart=contrast"]), ("report", [])):
        command = [sys.executable, ROOT / "scripts" / f"{script}.py", f"--measures={tmp_path / 'cut.parquet'}"]
        command += [f"--history={folder / 'history.parquet'}", *more]
        command += [f"--{'svg' if script == 'charts' else 'output'}={tmp_path / 'output'}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
        assert not (tmp_path / "output").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_report_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Every chart is drawn, and the console stays silent."""
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=20000 --enable-logging=stderr --dump-dom"
    command = [str(CHROMIUM), *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert len(re.findall(r'<svg[^>]*class="marks"', done.stdout)) == len(CHARTS)
    assert "could not be drawn" not in re.sub(r"<script\b.*?</script>", "", done.stdout, flags=re.S)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]

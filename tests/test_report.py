"""The report: one page that loads nothing, says where it comes from, and is drawn by a real browser."""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infoplane import registry
from infoplane.charts import render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.phases import verdicts
from infoplane.quantities import duration
from infoplane.report import page as report
from infoplane.report.numbers import diagnostics, headlines
from infoplane.tables import collect
from infoplane.testing import results as synthetic

ROOT = Path(__file__).parents[1]
CHARTS = registry.names("chart")
RECORD = ROOT / "bench" / "results" / "accuracy.json"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    return synthetic.analysed(synthetic.made(folder), nulls=20, resamples=100)


@pytest.fixture(scope="module")
def specs(tables: Tables) -> dict[str, dict[str, Any]]:
    return {name: render.spec(name, {}, tables) for name in CHARTS}


@pytest.fixture(scope="module")
def page(tables: Tables, specs: dict[str, dict[str, Any]], folder: Path) -> Path:
    paths = []
    for name, spec in specs.items():
        render.save(spec, None, None, None, folder / f"{name}.json")
        paths.append(folder / f"{name}.json")
    report.write(tables, paths, folder / "report.html", beside(folder))
    return folder / "report.html"


def claim(**values: Any) -> dict[str, Any]:
    """A row of the table of verdicts."""
    row = {"claim": "fits_less", "sentence": "Identity shortcuts fit less.", "source": "a study", "provenance": "ours"}
    row |= {"architecture": "resnet", "site": "block5", "family": "kernel", "quantity": "fit_depth"}
    row |= {"of": "identity", "versus": "none", "expected": "less", "found": None, "effect": -0.0625}
    row |= {"effect_low": -0.071, "effect_high": -0.052, "p_adjusted": 0.0312, "margin": 0.01, "n": 400, "seeds": 2}
    return row | {"verdict": "reproduced", "note": "", "overall": True} | values


def beside(folder: Path) -> report.Beside:
    """What stands beside tables and charts: three verdicts, the repository's record of accuracy, and timings."""
    rows = [
        claim(),
        claim(sentence="Others have two phases.", quantity="label", expected="two-phase", found="flat", effect=None)
        | {"verdict": "not reproduced"},
        claim(
            claim="all_compress", sentence="All compress.", verdict="undecided", note="too few seeds", p_adjusted=None
        ),
        claim(claim="all_compress", overall=False, architecture="vit", effect=0.4321),
        claim(claim="all_compress", overall=False, architecture="vit", effect=0.1, verdict="undecided"),
        claim(claim="all_compress", overall=False, architecture="resnet", effect=0.3),
    ]
    settings = {"phases": {"level": 0.95}, "family": "kernel"}
    table = pl.DataFrame(rows, schema=verdicts.VERDICTS)
    verdicts.write(table, settings, folder / "verdicts.parquet", folder / "verdicts.md")
    for name, seconds in (("tables", 61.5), ("train/resnet/identity/seed0", 7200.0), ("train/resnet/none/seed0", 30.0)):
        path = folder / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t512.5\n")
    return report.Beside(folder / "verdicts.parquet", (), (), RECORD, folder / "benchmarks")


def words(html: str) -> str:
    """What a reader sees of a page."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


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
        f"n = <b>{synthetic.SAMPLES}</b>",
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


def test_the_answer_comes_first(page: Path, tables: Tables) -> None:
    text = words(page.read_text(encoding="utf-8"))
    assert "Of 3 claims: 1 reproduced, 1 not reproduced, 1 undecided." in text
    assert "Of the 3 comparisons behind them: 2 reproduced, 1 undecided." in text
    assert "? vit undecided ✓ resnet reproduced" in text
    rows = text[text.index("Of 3 claims") : text.index("What the last block did")]
    assert "✓ reproduced Identity shortcuts fit less. a study · ours identity: fit depth less than none" in rows
    assert "−0.062 [−0.071, −0.052] 0.031" in rows
    assert "✗ not reproduced Others have two phases." in rows and "flat" in rows
    assert "? undecided All compress." in rows and "too few seeds" in rows and "0.432" in rows
    blocks = text[text.index("What the last block did") : text.index("Explore every layer")]
    assert tables.phases is not None
    judged = tables.phases.phases.filter(pl.col("seed").is_null(), pl.col("site") == "block5")
    assert judged["label"].n_unique() > 1
    for label in judged["label"].unique():
        assert label in blocks
    assert re.search(r"Of [\d,]+ curves that never move, \d+ \(\d+\.\d%\) were said to fit or to compress", blocks)
    contrast, explorer = (
        page.read_text(encoding="utf-8").index(f'<section id="{name}"') for name in ("contrast", "explorer")
    )
    assert contrast < explorer


def test_the_question_says_how_long_each_network_was_trained(tables: Tables) -> None:
    config = {"data": {"kind": "digits"}, "training": {"steps": 144}, "architectures": {"vit": None}}
    of = {"resnet": {"training": {"steps": 48}}, "vit": None}
    for architectures, said in (({"vit": None}, "on digits for 144 steps."), (of, "on digits for 48 to 144 steps.")):
        own = Tables(
            tables.measures, tables.history, tables.metadata | {"config": config | {"architectures": architectures}}
        )
        assert said in report.question(own)


def test_phases_of_every_layer_are_there(page: Path, tables: Tables) -> None:
    html = page.read_text(encoding="utf-8")
    section = html[html.index('<section id="phases">') : html.index('<section id="blocks">')]
    assert tables.phases is not None
    rows = tables.phases.phases.filter(pl.col("seed").is_null(), pl.col("architecture") == "resnet")
    fold = section[section.index("resnet: every layer") :].split("</details>")[0]
    assert fold.count("<tr") - 1 == rows.height == 3 * 8
    assert fold.index("<td>block5</td>") < fold.index("<td>logits</td>") < fold.index("<td>stem</td>")
    assert "identity − none" in section and "p, adjusted" in section
    assert "left out: seed 1 diverged" in section


def test_estimators_and_durations(page: Path) -> None:
    text = words(page.read_text(encoding="utf-8"))
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert f"({record['hardware']})" in text
    rows = text[text.index("Where the truth is known") : text.index("12 runs, 2 of them")]
    assert "kernel Z-X 1000" in rows and "linear Z-Y 1000" in rows and "neighbours" not in rows
    wrong = [
        row for row in record["rows"] if (row["family"], row["verdict"]) == ("linear", "wrong") and row["n"] == 1000
    ]
    assert max(wrong, key=lambda row: row["error"])["distribution"] in rows
    assert "2 h 01 min of jobs in all, 3 jobs" in text
    assert "train 2 2 h 00 min 2 h 00 min" in text and "tables 1 1 min 02 s" in text
    assert [duration(seconds) for seconds in (0.25, 42, 59.9, 3599)] == ["0.2 s", "42 s", "60 s", "59 min 59 s"]


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    tables = Tables.read(folder / "measures.parquet", folder / "history.parquet")
    report.write(tables, [], tmp_path / "report.html")
    text = words((tmp_path / "report.html").read_text(encoding="utf-8"))
    for line in (
        "so no network is labelled",
        "The phase analysis was not given to this page",
        "The anatomy of the additions was not measured",
        "No reconstructions were made",
        "No histograms were made",
        "The record of the estimators' accuracy was not given",
        "Durations not recorded",
    ):
        assert line in text, line


def test_headings_are_in_order_and_controls_have_names(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    html = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)
    levels = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for select in re.findall(r"<select[^>]*>", html):
        assert re.search(rf"<label[^>]*>[^<]+{re.escape(select)}", html), select
    assert 'class="skip" href="#answer"' in html and 'type="range"' in html and 'aria-label="Training step"' in html


def test_a_damaged_piece_is_named(tables: Tables, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"rows": [{}], "hardware": "x"}')
    with pytest.raises(UserError, match=r"record.json is not a record of accuracy"):
        report.write(tables, [], tmp_path / "report.html", report.Beside(accuracy=tmp_path / "record.json"))
    with pytest.raises(UserError, match=r"gone.json is missing"):
        report.write(tables, [], tmp_path / "report.html", report.Beside(accuracy=tmp_path / "gone.json"))
    with pytest.raises(UserError, match=r"measures.parquet has no column 'claim'"):
        report.write(tables, [], tmp_path / "report.html", report.Beside(folder / "measures.parquet"))
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / "train.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=r"train.tsv is no timing"):
        report.write(tables, [], tmp_path / "report.html", report.Beside(benchmarks=tmp_path / "timings"))
    assert not (tmp_path / "report.html").exists()


def test_headline_numbers(tables: Tables) -> None:
    row = next(row for row in headlines(tables)["resnet"] if row.shortcut == "projection")
    block5 = tables.measures.filter(
        pl.col("architecture") == "resnet",
        pl.col("shortcut") == "projection",
        pl.col("site") == "block5",
        pl.col("family") == "kernel",
        pl.col("measure") == "zx",
        pl.col("part") == "z",
    )
    means = block5.group_by("step").agg(pl.col("value").mean()).sort("value")
    assert (row.site, row.turn_step, row.end_step) == ("block5", means["step"][0], 640)
    assert row.turn.mean == pytest.approx(means["value"][0], rel=1e-3)
    assert row.start.mean == pytest.approx(block5.filter(pl.col("step") == 0)["value"].mean(), rel=1e-3)
    assert row.metric.mean == pytest.approx((0.9 + 0.868) / 2)
    assert (row.seeds, row.status) == ("2 of 2", "finished")
    assert [row.status for row in headlines(tables)["vit"]] == ["finished", "1 diverged at step 20", "1 missing"]


def test_diagnostics_are_counted(tables: Tables) -> None:
    kernel, linear = diagnostics(tables)
    assert kernel.edges == {"ridge:low": 22}  # 11 runs, stem at step 0, two measures
    assert kernel.capacity_gap.mean == pytest.approx(0.05)
    assert linear.capacity_gap.mean is None and kernel.unmeasurable == 0
    best, places, above = kernel.best["Z-X"]
    assert best == places and above.mean == 0
    assert linear.best["Z-X"][:2] == (0, places) and linear.best["Z-X"][2].mean == pytest.approx(0.05)


def test_report_escapes_what_it_is_given(tables: Tables, folder: Path, tmp_path: Path) -> None:
    metadata = json.loads(json.dumps(tables.metadata))
    metadata["config"]["experiment"] = "<img src=x onerror=alert(1)></script>"
    metadata["images"] = ["left out of <b>: '.heic' files (1)"]
    report.write(Tables(tables.measures, tables.history, metadata), [], tmp_path / "report.html")
    assert synthetic.loads(tmp_path / "report.html") == []
    assert "<dt>Images</dt><dd>left out of &lt;b&gt;: " in (tmp_path / "report.html").read_text()
    assert render.script_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}'


def test_report_of_nothing(tmp_path: Path) -> None:
    paths = tmp_path / "measures.parquet", tmp_path / "history.parquet"
    collect([synthetic.expected(tmp_path / "none", "resnet", "identity", 0)], None, *paths)
    report.write(Tables.read(*paths), [], tmp_path / "report.html")
    assert "nothing measured yet" in (tmp_path / "report.html").read_text()


def test_report_is_the_same_twice(tables: Tables, page: Path, folder: Path, tmp_path: Path) -> None:
    report.write(tables, [folder / f"{name}.json" for name in CHARTS], tmp_path / "again.html", beside(folder))
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
    figures = re.findall(r'<div class="chart[^>]*data-spec=.*?</figure>', done.stdout, flags=re.S)
    assert len(figures) == len(CHARTS) and all('class="marks"' in figure for figure in figures)
    assert "could not be drawn" not in re.sub(r"<script\b.*?</script>", "", done.stdout, flags=re.S)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]

"""The accuracy table: what is drawn, how it is judged, what the page and the chart show, and the target itself."""

import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from workflow import Workflow, tiny

from infoplane import registry
from infoplane.charts import accuracy_chart, render
from infoplane.charts.accuracy import ABSENT, RIGHT, SAMPLED, WRONG, Accuracy, scores, summarised
from infoplane.charts.tolerances import tolerance
from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.truths.run import LEFT_OUT, SCHEMA, SURVEYS, run
from infoplane.report import accuracy_page
from infoplane.specs import Plugin, TruthsSpec
from infoplane.storage.parquet import write_rows
from infoplane.testing import results as synthetic

CPU = torch.device("cpu")


def one(measure: str, value: float | None, unit: str = "nats", **more: Any) -> Estimate:
    return Estimate(measure=measure, unit=unit, value=value, reference=None, n=40, d=1, **more)


def family(*estimates: Estimate, **more: Any) -> SimpleNamespace:
    """A family that always says the same."""
    return SimpleNamespace(estimate=lambda z, targets, options: list(estimates), **more)


def ran(
    module: SimpleNamespace, folder: Path, monkeypatch: pytest.MonkeyPatch, *patterns: str, **changes: Any
) -> pl.DataFrame:
    """The rows that a made-up family leaves."""
    monkeypatch.setattr(registry, "load", lambda role, name: module)
    spec = TruthsSpec(Plugin("made_up"), **({"seeds": 2, "samples": [40]} | changes), distributions=list(patterns))
    run(spec, folder / "made_up.parquet", "made_up", CPU)
    return pl.read_parquet(folder / "made_up.parquet")


# What a family is asked


def test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = family(one("ixz", 2.0, "bits", stderr=0.5, extrapolated=1.0, calibration=-0.25), one("other", 1.0))
    rows = ran(said, tmp_path, monkeypatch, "correlated Gaussians, d = [12], 3 nats", samples=[40, 80])
    assert rows.columns == SCHEMA.names
    drawn = rows.filter(pl.col("note") == "")
    assert drawn.select("distribution", "n", "seed").unique().height == drawn.height == 8
    assert set(drawn["measure"]) == {"ixz"} and set(drawn["unit"]) == {"nats"} and set(drawn["truth"]) == {3.0}
    nats = drawn.select("estimate", "stderr", "extrapolated", "calibration").unique().row(0)
    assert nats == pytest.approx([math.log(2) * bits for bits in (2.0, 0.5, 1.0, -0.25)])


def test_what_is_left_out_is_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ran(family(one("zx", 0.5)), tmp_path, monkeypatch, "sign channel", "Z = X*")
    absent = rows.filter(pl.col("note") == LEFT_OUT)
    assert absent["estimate"].null_count() == absent.height > 10
    assert "independent noise, d = 4000" in set(absent["distribution"])
    assert not set(absent["distribution"]) & {"sign channel", "pictures of rectangles, 1 nats"}


def test_a_bound_is_held_against_what_it_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = family(one("ixz_upper", 4.0), one("ixz_lower", 2.0))
    rows = ran(said, tmp_path, monkeypatch, "correlated Gaussians, d = 1, 3 nats").filter(pl.col("note") == "")
    assert set(rows["bound"]) == {"upper", "lower"} and set(rows["truth"]) == {3.0}


def test_a_frozen_network_is_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def estimate(z: torch.Tensor, targets: Any, options: Any) -> list[Estimate]:
        seen.append(z)
        return [one("ixz_upper", float(len(seen)), stderr=0.1)]

    rows = ran(SimpleNamespace(estimate=estimate), tmp_path, monkeypatch, "frozen*", seeds=1)
    drawn = rows.filter(pl.col("note") == "")
    assert drawn.select("estimate", "truth", "bound", "stderr").rows() == [(1.0, 0.0, "", None)]
    assert torch.equal(seen[0].sort(1).values, seen[1].sort(1).values) and not torch.equal(*seen)


def test_a_family_is_asked_once_where_it_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def estimate(z: torch.Tensor, targets: Any, options: Any) -> list[Estimate]:
        asked.append(len(z))
        return [one("izy", 1.0)]

    rows = ran(SimpleNamespace(estimate=estimate), tmp_path, monkeypatch, "sign channel", "4 Gaussian*", seeds=3)
    assert len(asked) == 1 + 3
    assert set(rows.filter(pl.col("note") == "")["distribution"]) == {"4 Gaussian classes, d = 4"}


def test_a_refusal_and_a_sample_that_is_too_small_are_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def estimate(z: torch.Tensor, targets: Any, options: Any) -> list[Estimate]:
        if z.shape[1] > 10:
            raise UserError("too wide")
        return [one("zx", 0.1)]

    rows = ran(SimpleNamespace(estimate=estimate), tmp_path, monkeypatch, "Z = X*", "ten symbols")
    notes = {row["distribution"]: row["note"] for row in rows.filter(pl.col("note") != LEFT_OUT).to_dicts()}
    assert notes["Z = X, d = 64"] == "too wide" and notes["Z = X, d = 8"] == ""
    assert notes["ten symbols"] == "n = 40 is less than the 500 samples that its table counts"
    with pytest.raises(UserError, match="made_up measured nothing: too wide"):
        ran(SimpleNamespace(estimate=estimate), tmp_path, monkeypatch, "Z = X, d = 64")


def test_a_pattern_without_a_distribution_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="accuracy: no distribution matches 'spirals': they are linear-Gaussian"):
        ran(family(one("zx", 1.0)), tmp_path, monkeypatch, "spirals")


def test_a_family_of_whole_runs_has_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran(SimpleNamespace(survey=None), tmp_path, monkeypatch, "*").is_empty()
    assert Accuracy.read([tmp_path / "made_up.parquet"]).metadata["families"]["made_up"]["note"] == SURVEYS


def test_a_family_that_adds_noise_is_told_truths_through_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = family(one("ixz_upper", 9.0), added_noise=lambda options, spread, d: 0.1)
    rows = ran(said, tmp_path, monkeypatch, "* added noise, d = 1").filter(pl.col("note") == "")
    values = dict(rows.select("distribution", "truth").unique().iter_rows())
    assert values["Gaussian by added noise, d = 1"] == pytest.approx(math.log(17) / 2)
    assert values["Gaussian mixture by added noise, d = 1"] == pytest.approx(1.03, abs=0.01)


# How it is judged


def draws(measure: str, estimates: list[float | None], **more: Any) -> pl.DataFrame:
    row = dict.fromkeys(SCHEMA.names) | {
        "distribution": "made up",
        "group": "made up",
        "measure": measure,
        "family": "made_up",
        "n": 1000,
        "bound": "",
        "truth": 1.0,
        "note": "",
    }
    rows = [row | {"seed": seed, "estimate": value} | more for seed, value in enumerate(estimates)]
    return pl.DataFrame(pa.Table.from_pylist(rows, SCHEMA))


def judged(measure: str, estimates: list[float | None], **more: Any) -> dict[str, Any]:
    (row,) = summarised(draws(measure, estimates, **more), {"made_up": "kernel"}).to_dicts()
    return row


def test_summary() -> None:
    row = judged("zx", [1.01, 1.02, 0.96, None], extrapolated=1.1, seconds=2.0)
    assert (row["repeats"], row["estimate"], row["low"], row["high"]) == (3, 1.01, 0.96, 1.02)
    assert row["error"] == pytest.approx(0.02) and row["limit"] == 0.03 and row["verdict"] == RIGHT
    assert row["standard_error"] == pytest.approx(np.std([1.01, 1.02, 0.96], ddof=1) / math.sqrt(3))
    assert row["extrapolated_error"] == pytest.approx(0.1) and row["extrapolated_verdict"] == WRONG
    assert row["seconds"] == 2.0


@pytest.mark.parametrize(
    ("estimates", "more", "verdict"),
    [
        ([1.0, 1.05, 1.06], {}, WRONG),
        ([1.0, 1.05, 1.06], {"optimal": 1.04}, SAMPLED),
        ([1.0, 1.15, 1.16], {"optimal": 1.04}, WRONG),
        ([None, None], {"note": "non-finite"}, ABSENT),
        ([2.0, 2.1], {"bound": "upper"}, RIGHT),
        ([0.7, 0.71], {"bound": "upper"}, WRONG),
        ([0.97, 0.99, 1.01], {"bound": "upper"}, RIGHT),
        ([0.1, 0.2], {"bound": "lower"}, RIGHT),
        ([1.5, 1.51], {"bound": "lower"}, WRONG),
    ],
)
def test_verdicts(estimates: list[float | None], more: dict[str, Any], verdict: str) -> None:
    row = judged("zx" if "bound" not in more else f"ixz_{more['bound']}", estimates, **more)
    assert row["verdict"] == verdict and row["note"] == more.get("note", "")


@pytest.mark.parametrize(
    ("measure", "distribution", "kind", "limit"),
    [
        ("zx", "sign channel", "kernel", 0.03),
        ("zx", "linear-Gaussian, d = 8, SNR 1, mixed", "linear", 0.015),
        ("zx", "linear-Gaussian, d = 64, SNR 1", "linear", 0.05),
        ("ixz", "linear-Gaussian, d = 64, SNR 1", "neighbours", 0.1),
        ("zx", "Z = X, d = 8", "neural", 0.001),
        ("zy", "independent noise, d = 4000", "kernel", 0.02),
        ("zy", "10 Gaussian classes, d = 10", "kernel", 0.06),
        ("zy", "10 Gaussian classes, d = 10, labels permuted", "kernel", 0.02),
        ("zy", "4 Gaussian classes, d = 4", "kernel", 0.03),
        ("izy", "confused corners", "binned", 1e-12),
        ("izy", "confused corners", "neighbours", 0.1),
        ("ixz_lower", "correlated Gaussians, d = 1, 3 nats", "variational", 0.1),
    ],
)
def test_tolerances(measure: str, distribution: str, kind: str, limit: float) -> None:
    assert tolerance(measure, distribution, kind).limit == limit


def test_the_extrapolated_value_of_wide_gaussians_has_a_stricter_tolerance() -> None:
    assert tolerance("zx", "linear-Gaussian, d = 64, SNR 1", "linear").extrapolated == 0.02


# What is shown


@pytest.fixture
def accuracy(tmp_path: Path) -> Accuracy:
    """One family right, wrong and silent, at two sizes, with a bound."""
    parts = [
        draws("zx", [1.0, 1.01], distribution="easy <one>", seconds=0.1),
        draws("zx", [1.5, 1.6], distribution="hard"),
        draws("zx", [None], distribution="absent", note="too wide", n=None),
        draws("zx", [1.0, 1.02], distribution="easy <one>", n=5000),
        draws("ixz_upper", [2.0, 2.1], distribution="bounded", bound="upper"),
    ]
    about = {"spec": {"family": {"kind": "kernel"}}, "label": "made_up", "note": "", "device": "cpu", "versions": {}}
    write_rows(tmp_path / "made_up.parquet", pl.concat(parts).to_arrow().cast(SCHEMA), about)
    return Accuracy.read([tmp_path / "made_up.parquet"])


def test_the_page_says_what_is_wrong_in_red_and_in_words(accuracy: Accuracy, tmp_path: Path) -> None:
    accuracy_page.write(accuracy, accuracy_chart.spec(accuracy), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    (red,) = re.findall(r'<tr class="wrong">.*?</tr>', page, flags=re.DOTALL)
    assert "hard" in red and "✗ wrong" in red and "1.550" in red
    assert "easy &lt;one&gt;" in page and "<one>" not in page
    assert "no crossing" in page and "too wide" in page and "– not measured" in page
    parser = synthetic.Fetches()
    parser.feed(page)
    assert parser.fetched == [] and set(parser.targets) <= set(parser.ids)


def test_scores(accuracy: Accuracy) -> None:
    first = scores(accuracy.rows).to_dicts()[0]
    assert (first["measure"], first["measured"], first[RIGHT], first[WRONG], first[ABSENT]) == ("zx", 3, 2, 1, 1)


def test_the_chart_has_a_panel_per_measure_and_size(accuracy: Accuracy, tmp_path: Path) -> None:
    spec = accuracy_chart.spec(accuracy)
    titles = [cell.get("title") or cell["layer"][0]["title"] for cell in spec["concat"]]
    assert titles == [
        "Z-X, share of the variance of X · n = 1000",
        "Z-X, share of the variance of X · n = 5000",
        "I(X;Z), nats · n = 1000",
        "I(X;Z), nats · n = 5000",
    ]
    render.save(spec, None, tmp_path / "chart.svg", tmp_path / "chart.png", None)
    drawn = (tmp_path / "chart.svg").read_text()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert "hard · 1" in drawn and "absent" not in drawn and "NaN" not in drawn
    assert drawn.count(f'stroke="{accuracy_chart.RED}"') == 1


def test_sizes_of_enumerations_share_a_column() -> None:
    assert accuracy_chart.groups([999, 1000, 4995, 5000]) == [(999, 1000), (4995, 5000)]


def test_nothing_measured_yet(tmp_path: Path) -> None:
    about = {"spec": {"family": {"kind": "kernel"}}, "label": "made_up", "note": SURVEYS, "device": "cpu"}
    write_rows(tmp_path / "empty.parquet", pa.Table.from_pylist([], SCHEMA), about | {"versions": {}})
    accuracy = Accuracy.read([tmp_path / "empty.parquet"])
    accuracy_page.write(accuracy, accuracy_chart.spec(accuracy), tmp_path / "page.html")
    assert SURVEYS in (tmp_path / "page.html").read_text(encoding="utf-8")


# The configuration and the target


def test_a_family_may_differ() -> None:
    families = {"kernel": {"samples": [40, 80]}}
    plan = load(tiny() | {"accuracy": {"seeds": 3, "families": families}})
    assert plan.truths["linear"].samples == [1000] and plan.truths["kernel"].samples == [40, 80]
    assert {spec.seeds for spec in plan.truths.values()} == {3}
    assert TruthsSpec.from_json(plan.truths["kernel"].to_json()) == plan.truths["kernel"]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"families": {"kernle": {}}}, "accuracy.families: no measure is called 'kernle': did you mean 'kernel'?"),
        ({"families": {"kernel": {"seed": 3}}}, "accuracy.families.kernel.seed: "),
        ({"samples": [4]}, "accuracy.samples"),
        ({"seeds": 1}, "accuracy.seeds: "),
    ],
)
def test_a_wrong_section_is_one_sentence(section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        load(tiny() | {"accuracy": section})


def test_the_target(tmp_path: Path) -> None:
    section = {"seeds": 2, "samples": [40], "distributions": ["linear-Gaussian, d = 1, SNR 1", "4 Gaussian*"]}
    workflow = Workflow.copy_to(tmp_path / "copy", tiny() | {"measures": {"linear": None}, "accuracy": section})
    said = workflow.snakemake("accuracy").stdout
    folder = workflow.results / "accuracy"
    assert f"accuracy: {folder / 'accuracy.html'}" in said
    rows = pl.read_parquet(folder / "accuracy.parquet").filter(pl.col("verdict") != ABSENT)
    assert rows.select("distribution", "measure", "n", "repeats").sort("measure").rows() == [
        ("linear-Gaussian, d = 1, SNR 1", "zx", 40, 2),
        ("4 Gaussian classes, d = 4", "zy", 40, 2),
    ]
    assert all((folder / f"accuracy.{kind}").stat().st_size for kind in ("html", "svg", "png"))
    assert not (workflow.results / "data").exists() and workflow.pending("accuracy") == {}
    with (workflow.root / "src/infoplane/charts/tolerances.py").open("a") as file:
        file.write("\nEXTRA = 1\n")
    assert workflow.pending("accuracy") == {"accuracy": 1}
    workflow.write(workflow.read() | {"measures": {"linear": {"folds": 4}}})
    assert workflow.pending("accuracy") == {"truths": 1, "accuracy": 1}

"""What charts of phases and of anatomy say, on made-up results; that all of them draw is in test_charts.py."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infoplane.charts import render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.testing import results as synthetic

QUICK = {"resamples": 100, "nulls": 0}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.analysed(synthetic.made(tmp_path_factory.mktemp("experiment")), **QUICK)


def drawn(name: str, tables: Tables, **options: Any) -> dict[str, Any]:
    return render.spec(name, options, tables)


def words(spec: dict[str, Any]) -> str:
    return json.dumps(spec, ensure_ascii=False)


def values(spec: dict[str, Any], *fields: str) -> list[dict[str, Any]]:
    """Rows of all data sets that have these fields."""
    return [row for rows in spec["datasets"].values() for row in rows if set(fields) <= set(row)]


def changed(tables: Tables, table: str, *columns: pl.Expr) -> Tables:
    """The same tables with one of the phases' changed."""
    assert tables.phases is not None
    return replace(
        tables, phases=replace(tables.phases, **{table: getattr(tables.phases, table).with_columns(*columns)})
    )


# Anatomy


def test_every_block_bears_its_verdict_and_evidence(tables: Tables) -> None:
    assert tables.phases is not None
    found = tables.phases.blocks.filter(pl.col("family") == "kernel", pl.col("shortcut") == "projection")
    assert "out-weighing" in found["verdict"].to_list()
    rows = values(drawn("anatomy", tables), "verdict", "evidence")
    named = found.drop_nulls("verdict")
    for verdict, confidence, evidence in named.select("verdict", "confidence", "evidence").iter_rows():
        assert any(
            row["verdict"] == f"{verdict} {confidence:.0%}" and row["evidence"].startswith(evidence) for row in rows
        )
    assert {row["verdict"] for row in rows} > {"undecided"}


def test_anatomy_leaves_out_what_has_no_shortcut_and_says_so(tables: Tables) -> None:
    spec = drawn("anatomy", tables)
    assert "No shortcut, so not analysed: 'none'." in " ".join(spec["usermeta"]["notes"])
    assert '"resnet · projection"' in words(spec) and '"resnet · none"' not in words(spec)
    alone = tables.measures.filter(pl.col("shortcut") == "none")
    bare = Tables(alone, tables.history.filter(pl.col("shortcut") == "none"), tables.metadata)
    assert "there is nothing to analyse" in words(drawn("anatomy", bare))


def test_anatomy_that_was_not_measured(tables: Tables) -> None:
    plain = Tables(tables.measures.filter(pl.col("part") == "z"), tables.history, tables.metadata)
    without = plain.measures.filter(~pl.col("measure").str.contains("share|zx_"))
    assert "add the measure family anatomy" in words(drawn("anatomy", replace(plain, measures=without)))


def test_loss_of_an_addition_is_taken_within_each_seed(tables: Tables) -> None:
    at = tables.measures.filter(
        pl.col("architecture") == "resnet",
        pl.col("shortcut") == "identity",
        pl.col("family") == "kernel",
        pl.col("site") == "block3",
        pl.col("step") == 640,
        pl.col("measure") == "zx",
    ).pivot("part", index="seed", values="value")
    losses = (at["z"] - at["s"]).to_list()
    assert len(losses) == 2 and losses[0] != losses[1]
    rows = [row for row in values(drawn("anatomy", tables), "lost", "lost_low") if row["step"] == 640]
    wanted = pytest.approx((sum(losses) / 2, min(losses), max(losses)), rel=1e-3)
    assert any((row["lost"], row["lost_low"], row["lost_high"]) == wanted for row in rows)


# Phase diagram


def test_phase_diagram_shows_seeds_and_means_with_their_intervals(tables: Tables) -> None:
    assert tables.phases is not None
    spec = drawn("phase_diagram", tables)
    wanted = tables.phases.phases.filter(pl.col("site") == "block5", pl.col("architecture") == "resnet")
    rows = values(spec, "fit_depth", "compression_height", "label")
    for row in wanted.to_dicts():
        same = [each for each in rows if each["fit_depth"] == pytest.approx(row["fit_depth"], rel=1e-3)]
        assert any(
            each["shortcut"] == row["shortcut"]
            and each.get("seed") == row["seed"]
            and each["fit_depth_high"] == pytest.approx(row["fit_depth_high"], rel=1e-3)
            for each in same
        )
    assert all(f'"{name}"' in words(spec) for name in ("flat", "fitting only", "compression\\nonly", "two-phase"))
    assert "95% intervals" in words(spec)


def test_phase_diagram_draws_its_lines_at_the_margin(tables: Tables) -> None:
    wide = changed(tables, "phases", pl.lit(0.05).alias("margin"))
    for each, margin in ((tables, 0.01), (wide, 0.05)):
        spec = drawn("phase_diagram", each)
        lines = [row for row in values(spec, "fit_depth", "compression_height") if len(row) == 2]
        assert lines and all(row == {"fit_depth": margin, "compression_height": margin} for row in lines)
        scales = [layer["encoding"]["x"]["scale"] for cell in spec["concat"] for layer in cell["layer"][:1]]
        assert all(scale["constant"] == margin and scale["domain"][0] < 0 for scale in scales)


def test_phase_diagram_of_another_site(tables: Tables) -> None:
    assert '"resnet · block2"' in words(drawn("phase_diagram", tables, site="block2"))
    assert "no phases at attic" in words(drawn("phase_diagram", tables, site="attic"))


# Generalisation


def test_generalisation_has_one_point_per_run_and_its_correlation(tables: Tables) -> None:
    ends = {"": -0.25, "_low": -0.75, "_high": 0.004}
    told = changed(tables, "gaps", *(pl.lit(value).alias(f"correlation{end}") for end, value in ends.items()))
    spec = drawn("generalisation", told, method="pearson")
    runs = {
        (row["architecture"], row["shortcut"], row["seed"]) for row in values(spec, "fit_depth", "loss_gap", "seed")
    }
    assert len(runs) == 10, "one is missing, one has diverged"
    assert '"r = −0.25 (−0.75 to 0.00), 10 runs"' in words(spec)
    assert "resnet −0.25 (−0.75 to 0.00) and −0.25" in spec["usermeta"]["notes"][0]
    with pytest.raises(UserError, match="method must be pearson"):
        drawn("generalisation", tables, method="cosine")


def test_generalisation_without_a_correlation_says_why(tables: Tables) -> None:
    spec = drawn("generalisation", tables)
    assert "no correlation: one of the two does not vary" in words(spec), "all made-up runs have one gap"


@pytest.mark.parametrize("name", ["phase_diagram", "generalisation"])
def test_pages_without_phases(name: str, tables: Tables, tmp_path: Path) -> None:
    bare = Tables(tables.measures, tables.history, tables.metadata)
    assert "the phase analysis was not run on these tables" in words(drawn(name, bare))
    assert "did not read the measure family 'linear'" in words(drawn(name, tables, family="linear"))
    render.save(drawn(name, bare), None, tmp_path / "chart.svg", None, None)
    assert "was not run" in (tmp_path / "chart.svg").read_text()

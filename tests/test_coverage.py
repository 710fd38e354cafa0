"""How often intervals hold the truth: the draws that are made for it, and the columns that say so."""

from pathlib import Path

import polars as pl
import pytest
from test_accuracy import draws, family, judged, one, ran

from infoplane.charts.accuracy import scores, summarised


def test_coverage_is_told_of_forty_draws() -> None:
    near = [1.0 + 0.1 * (seed % 4) for seed in range(40)]  # three of four lie within 1.96 stderr of the truth
    row = judged("ixz", near, stderr=0.12, judged=True)
    assert (row["coverage"], row["coverage_unnoted"], row["noted"]) == (0.75, 0.75, 0.0)
    noted = draws("ixz", near, stderr=0.12, judged=True).with_columns(
        pl.when(pl.col("estimate") > 1.25).then(pl.lit("doubtful")).otherwise(pl.lit("")).alias("note")
    )
    rows = summarised(noted, {"made_up": "neighbours"})
    assert rows.select("coverage", "coverage_unnoted", "noted").rows() == [(0.75, 1.0, 0.25)]
    assert scores(rows).select("coverage", "noted").rows() == [(1.0, 0.25)]
    assert judged("ixz", near[:-1], stderr=0.12, judged=True)["coverage"] is None, "too few draws"
    assert judged("ixz", near, stderr=0.12)["coverage"] is None, "not a distribution for intervals"
    assert judged("ixz", near, judged=True)["coverage"] is None, "no interval"


def test_more_draws_where_intervals_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ran(
        family(one("ixz", 1.0, stderr=0.1)), tmp_path, monkeypatch, "correlated*, d = [18], 1 nats", coverage_draws=5
    )
    drawn = rows.filter(pl.col("note") == "").group_by("distribution", "judged").len().sort("len").rows()
    assert drawn == [
        ("correlated Gaussians, d = 8, 1 nats", False, 2),
        ("correlated Gaussians, d = 1, 1 nats", True, 5),
    ]


def test_what_information_cannot_be_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = family(one("ixz", -0.5, stderr=0.2), one("izy", 1.2, "bits", stderr=0.1))
    rows = ran(said, tmp_path, monkeypatch, "4 classes through*").filter(pl.col("estimate").is_not_null())
    assert all(note.startswith("below 0") for note in rows.filter(pl.col("measure") == "ixz")["note"])
    assert all("above I(X;Z)" in note for note in rows.filter(pl.col("measure") == "izy")["note"])

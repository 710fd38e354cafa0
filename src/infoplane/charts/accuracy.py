"""Summarise every family's estimates of known values in one table: error, uncertainty, cost and verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from infoplane.charts.tolerances import tolerance
from infoplane.storage.parquet import read_rows, write_rows

RIGHT, SAMPLED, WRONG, ABSENT = "right", "as its samples", "wrong", "not measured"
MARKS = {RIGHT: "✓", SAMPLED: "≈", WRONG: "✗", ABSENT: "–"}
VERDICTS = {
    RIGHT: "the median error is within the tolerance; of a bound, that it does not cross the truth",
    SAMPLED: "outside, but the best possible decoder of these samples is too, and the estimate agrees with it",
    WRONG: "outside the tolerance: do not use this estimator for such data",
    ABSENT: "no estimate; the note says why",
}

FEWEST = 40
"""The fewest draws that give a share of intervals that hold the truth."""

SURE = 1.96

KEYS = ["distribution", "group", "measure", "family", "n"]


@dataclass(frozen=True)
class Accuracy:
    """The summarised table and what is true of all of it.

    rows: one per distribution, measure, family and n, in the order of the files: truth, repeats, estimate (median),
    low, high (smallest and largest repeat), error (median absolute), standard_error (of the mean over repeats),
    extrapolated, extrapolated_error, optimal_error (median absolute, of the best decoder on the same samples),
    floor (what a formula leaves to a good estimator, of the median absolute error; null where none is known), stderr
    and calibration (medians of the estimator's own), coverage (share of draws in which value +- 1.96 stderr holds the
    truth, where that is judged), coverage_unnoted (the same of the draws without a note), noted (share of draws with
    one), seconds, limit, verdict, both also of the extrapolated one, note.
    """

    rows: pl.DataFrame
    metadata: dict[str, Any]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Self:
        """Summarise the families' files; raises `UserError` when one is missing, truncated or something else."""
        frames, families, devices = [], {}, set()
        versions: dict[str, str] = {}
        for path in paths:
            table, about = read_rows(path)
            families[about["label"]] = {"kind": about["spec"]["family"]["kind"], "spec": about["spec"]} | {
                "note": about["note"]
            }
            versions |= about["versions"]
            devices.add(about["device"])
            frames.append(pl.DataFrame(table))
        metadata = {"families": families, "versions": versions, "devices": sorted(devices)}
        return cls(summarised(pl.concat(frames), {label: one["kind"] for label, one in families.items()}), metadata)

    def write(self, output: Path) -> None:
        """Write the table with its metadata, atomically."""
        write_rows(output, self.rows.to_arrow(), self.metadata)

    @property
    def families(self) -> list[str]:
        """Labels of the families that have estimates, in the configuration's order."""
        return self.rows["family"].unique(maintain_order=True).to_list()

    @property
    def measures(self) -> list[str]:
        """What is estimated, bounds under the name of what they bound."""
        return self.rows["quantity"].unique(maintain_order=True).to_list()


def summarised(draws: pl.DataFrame, kinds: dict[str, str]) -> pl.DataFrame:
    """The rows of `Accuracy`, from one row per draw."""
    off = pl.col("estimate") - pl.col("truth")
    crossed = (
        pl.when(pl.col("bound") == "upper")
        .then(pl.min_horizontal(off, pl.lit(0.0)))
        .when(pl.col("bound") == "lower")
        .then(pl.max_horizontal(off, pl.lit(0.0)))
        .otherwise(off)
    )
    estimate = pl.col("estimate")
    held = (pl.col("estimate") - pl.col("truth")).abs() <= SURE * pl.col("stderr")
    told, plain = pl.col("held").count() >= FEWEST, pl.col("note") == ""
    notes = pl.col("note").filter(pl.col("note") != "").unique(maintain_order=True)
    rows = (
        draws.with_columns(
            crossed.alias("off"),
            pl.col("note").fill_null(""),
            pl.when(pl.col("judged") & (pl.col("bound") == "")).then(held).alias("held"),
        )
        .group_by(KEYS, maintain_order=True)
        .agg(
            pl.col("bound", "unit", "truth", "d").first(),
            estimate.count().alias("repeats"),
            estimate.median(),
            estimate.min().alias("low"),
            estimate.max().alias("high"),
            pl.col("off").abs().median().alias("error"),
            (estimate.std() / estimate.count().sqrt()).alias("standard_error"),
            pl.col("extrapolated").median(),
            (pl.col("extrapolated") - pl.col("truth")).abs().median().alias("extrapolated_error"),
            (pl.col("optimal") - pl.col("truth")).abs().median().alias("optimal_error"),
            (pl.col("optimal") - estimate).abs().median().alias("from_optimal"),
            pl.col("floor", "stderr", "calibration", "seconds").median(),
            pl.when(told).then(pl.col("held").mean()).alias("coverage"),
            pl.when(told).then(pl.col("held").filter(plain).mean()).alias("coverage_unnoted"),
            (~plain).filter(estimate.is_not_null()).mean().alias("noted"),
            notes.str.join("; ").alias("note"),
        )
    )
    limits = [
        tolerance(row["measure"], row["distribution"], kinds[row["family"]]) for row in rows.iter_rows(named=True)
    ]
    allowed = [one.limit if one.extrapolated is None else one.extrapolated for one in limits]
    rows = rows.with_columns(
        pl.col("measure").str.replace("_(upper|lower)$", "").alias("quantity"),
        pl.Series("limit", [one.limit for one in limits], pl.Float64),
        pl.Series("extrapolated_limit", allowed, pl.Float64),
    )
    slack = (
        pl.when(pl.col("bound") == "").then(pl.col("limit")).otherwise(2 * pl.col("standard_error").fill_null(0) + 1e-9)
    )
    return rows.with_columns(
        pl.when(pl.col("repeats") == 0)
        .then(pl.lit(ABSENT))
        .when(pl.col("error") <= slack)
        .then(pl.lit(RIGHT))
        .when((pl.col("optimal_error") > pl.col("limit")) & (pl.col("from_optimal") <= pl.col("limit")))
        .then(pl.lit(SAMPLED))
        .otherwise(pl.lit(WRONG))
        .alias("verdict"),
        pl.when(pl.col("extrapolated").is_null())
        .then(pl.lit(None, pl.String))
        .when(pl.col("extrapolated_error") <= pl.col("extrapolated_limit"))
        .then(pl.lit(RIGHT))
        .otherwise(pl.lit(WRONG))
        .alias("extrapolated_verdict"),
    )


def scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Per family and measure: of how many distributions and sizes it is right, and which verdicts the others have.

    coverage: how often intervals hold the truth, over all draws without a note where that is judged; noted: the share
    of those draws that have a note.
    """
    judged = pl.col("coverage").is_not_null()
    unnoted = pl.when(judged).then(pl.col("repeats") * (1 - pl.col("noted"))).otherwise(0.0)
    return rows.group_by("family", "measure", maintain_order=True).agg(
        (pl.col("verdict") != ABSENT).sum().alias("measured"),
        *((pl.col("verdict") == verdict).sum().alias(verdict) for verdict in VERDICTS),
        ((pl.col("coverage_unnoted") * unnoted).sum() / unnoted.sum()).fill_nan(None).alias("coverage"),
        (1 - unnoted.sum() / pl.col("repeats").filter(judged).sum()).fill_nan(None).alias("noted"),
        pl.col("seconds").median(),
    )

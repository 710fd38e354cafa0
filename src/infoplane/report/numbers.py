"""The report's numbers, computed from the two tables: headline values, state of the runs, estimator diagnostics."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from infoplane.charts import theme
from infoplane.charts.frames import Tables, curves, of_history
from infoplane.tables import DECODED

SPARK_WIDTH, SPARK_HEIGHT = 110, 26


@dataclass(frozen=True)
class Value:
    """A mean over seeds with its smallest and largest seed; None where there is nothing."""

    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Headline:
    """What the last block did in one architecture with one shortcut, by the tables' ``headline`` measure.

    turn: where its mean is smallest (Z-X) or greatest (information on X), that is, where fitting ends.
    """

    architecture: str
    shortcut: str
    site: str | None
    start: Value
    start_step: int | None
    turn: Value
    turn_step: int | None
    end: Value
    end_step: int | None
    metric: Value
    """Of validation samples, at the last step."""
    seeds: str
    status: str
    spark: str
    """Points of a small curve (SVG polyline), all of an architecture on one scale."""


def headlines(tables: Tables) -> dict[str, list[Headline]]:
    """Architecture -> one row per shortcut, in the charts' order."""
    measure = tables.headline
    found = curves(tables, measures=(measure,))
    groups: dict[str, list[Headline]] = {}
    for architecture in tables.architectures:
        site = found.last_block(architecture)
        here = found.of(architecture).filter(pl.col("site") == (site or "")).drop_nulls([measure])
        top = max([0.0, *here[measure].to_list()]) or 1.0
        rows = groups[architecture] = []
        for shortcut in tables.shortcuts:
            curve = here.filter(pl.col("shortcut") == shortcut).sort("step")
            points = curve.to_dicts()
            sign = 1 if measure == "zx" else -1
            turn = min(points, key=lambda point: (sign * point[measure], point["step"]), default=None)
            first, last = (points[0], points[-1]) if points else (None, None)
            seeds, status = _states(tables, architecture, shortcut)
            rows.append(
                Headline(
                    architecture,
                    shortcut,
                    site,
                    _value(first, measure),
                    first["step"] if first else None,
                    _value(turn, measure),
                    turn["step"] if turn else None,
                    _value(last, measure),
                    last["step"] if last else None,
                    _final_metric(tables, architecture, shortcut),
                    seeds,
                    status,
                    _spark(points, measure, top),
                )
            )
    return groups


def _value(point: dict[str, Any] | None, measure: str) -> Value:
    return Value(point[measure], point[f"{measure}_low"], point[f"{measure}_high"]) if point else Value(None)


def _spark(points: list[dict[str, Any]], measure: str, top: float) -> str:
    if len(points) < 2:
        return ""
    places = [math.log1p(point["step"]) for point in points]
    width, height = SPARK_WIDTH - 6, SPARK_HEIGHT - 6
    return " ".join(
        f"{3 + width * place / places[-1]:.1f},{3 + height * (1 - (max(0.0, point[measure]) / top) ** 0.5):.1f}"
        for place, point in zip(places, points, strict=True)
    )


def _final_metric(tables: Tables, architecture: str, shortcut: str) -> Value:
    """The task's metric of validation samples at the last step of every finished run."""
    last = (
        of_history(tables.history, "validation", tables.metric.name)
        .filter(
            pl.col("architecture") == architecture,
            pl.col("shortcut") == shortcut,
            pl.col("status") == "finished",
            pl.col("value").is_finite(),
        )
        .sort("step")
        .group_by("seed", maintain_order=True)
        .agg(pl.col("value").last())
        .sort("seed")["value"]
        .to_list()
    )
    return Value(sum(last) / len(last), min(last), max(last)) if last else Value(None)


def _states(tables: Tables, architecture: str, shortcut: str) -> tuple[str, str]:
    """``2 of 3`` finished and measured, and what became of the others."""
    runs = [
        run
        for run in tables.metadata.get("runs") or []
        if (run["architecture"], run["shortcut"]) == (architecture, shortcut)
    ]
    states = [run_state(run) for run in runs]
    done = states.count("finished")
    others = Counter(state for state in states if state != "finished")
    words = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
    return f"{done} of {len(runs)}", words or "finished"


def run_state(run: dict[str, Any]) -> str:
    """One word or two for a run: finished, diverged at step 20, missing, not measured."""
    if run["status"] == "diverged":
        return f"diverged at step {run['diverged_at']}" if run.get("diverged_at") is not None else "diverged"
    if run["status"] == "missing":
        return "missing"
    unmeasured = [family for family, state in run["measures"].items() if state == "missing"]
    return f"not measured ({', '.join(unmeasured)})" if unmeasured else "finished"


@dataclass(frozen=True)
class Diagnostics:
    """How far one family's values can be trusted."""

    family: str
    values: int
    unmeasurable: int
    edges: dict[str, int]
    """``ridge:low`` -> values whose chosen hyperparameter is that end of its grid."""
    notes: dict[str, int]
    constant: int
    """Values at sites with features that never vary."""
    capacity_gap: Value
    """Median, smallest and largest of linear - this family's Z-X, at the sums."""
    best: dict[str, tuple[int, int, Value]]
    """Measure -> where this family's value was the least of several families', of how many sums, and by how much it
    was above the least (median, smallest, largest)."""


def _beside_the_best(rows: pl.DataFrame, measure: str) -> tuple[int, int, Value] | None:
    """What `Diagnostics.best` holds of one measure; None where there was no other family."""
    there = rows.filter(pl.col("measure") == measure, pl.col("part") == "z", pl.col("best_value").is_not_null())
    there = there.filter(pl.col("value").is_finite())
    if there.is_empty():
        return None
    above = sorted((there["value"] - there["best_value"]).to_list())
    best = there.filter(pl.col("value") == pl.col("best_value")).height
    return best, there.height, Value(above[len(above) // 2], above[0], above[-1])


def diagnostics(tables: Tables) -> list[Diagnostics]:
    """One entry per measure family."""
    found = []
    measured = tables.measures.filter(pl.col("measure").is_not_null())
    for family in sorted(measured["family"].unique().to_list()):
        rows = measured.filter(pl.col("family") == family)
        hits = Counter(
            hit
            for edge, value in rows.select("edge", "value").iter_rows()
            if edge and value is not None
            for hit in edge.split(",")
        )
        # what follows a colon differs from value to value
        notes = Counter(part.split(":")[0] for note in rows["note"].to_list() if note for part in note.split("; "))
        sums = rows.filter(pl.col("measure") == "zx", pl.col("part") == "z")
        gaps = sums.filter(pl.col("capacity_gap").is_finite())["capacity_gap"].to_list()
        gap = Value(sorted(gaps)[len(gaps) // 2], min(gaps), max(gaps)) if gaps else Value(None)
        finite = rows.filter(pl.col("value").is_finite()).height
        constant = rows.filter(pl.col("constant_features") > 0).height
        found.append(
            Diagnostics(
                family,
                rows.height,
                rows.height - finite,
                dict(sorted(hits.items())),
                dict(sorted(notes.items())),
                constant,
                gap,
                {theme.name(measure): beside for measure in DECODED if (beside := _beside_the_best(rows, measure))},
            )
        )
    return found

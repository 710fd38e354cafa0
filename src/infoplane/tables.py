"""One experiment in two tidy tables: every measured value, and every run's training history.

The tables are a pure function of the runs' specs: same results, same bytes, whatever order the runs finished in.
A run that does not exist (yet) is one row with its keys and status ``missing``, so that the same function also
aggregates what exists so far.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from infoplane.errors import UserError
from infoplane.metrics import Metric, accuracy
from infoplane.specs import in_short, label_of, require
from infoplane.storage.parquet import metadata as read_metadata
from infoplane.storage.parquet import open_parquet, read_rows, write_rows

RUN = ("architecture", "shortcut", "seed")
NETWORK = RUN[:2]

Columns = dict[str, type[pl.DataType] | pl.DataType]

MEASURES: Columns = {
    "architecture": pl.String,
    "shortcut": pl.String,
    "seed": pl.Int64,
    "step": pl.Int64,
    "epoch": pl.Float64,
    "site": pl.String,
    "part": pl.String,
    "depth": pl.Int64,
    "measure": pl.String,
    "field": pl.String,
    "family": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
    "stderr": pl.Float64,
    "reference": pl.Float64,
    "extrapolated": pl.Float64,
    "calibration": pl.Float64,
    "n": pl.Int64,
    "d": pl.Int64,
    "edge": pl.String,
    "ridge": pl.Float64,
    "bandwidth": pl.Float64,
    "folds": pl.Int64,
    "constant_features": pl.Int64,
    "note": pl.String,
    "detail": pl.String,
    "blocks": pl.List(pl.Float64),
}
"""Columns of a run's measures file; the table adds those of `ADDED`. field: what a row is about, x or y of the task, or
the label of a further target; empty for what is about none of them."""

ADDED = ["capacity_gap", "best_family", "best_value", "dpi_excess", "status"]
"""Columns that need more than one row."""

DECODED = ("zx", "zy")
"""Measures of which every family's value is an upper bound, so that the least of several families is the tightest."""

RISES = {"zx": 1, "zy": 1, "ixz": -1, "izy": -1}
"""Measures that the data-processing inequality binds, and whether they may rise (1) or fall (-1) with depth."""

HISTORY: Columns = {
    "architecture": pl.String,
    "shortcut": pl.String,
    "seed": pl.Int64,
    "step": pl.Int64,
    "epoch": pl.Float64,
    "split": pl.String,
    "quantity": pl.String,
    "value": pl.Float64,
}
"""Columns of the history table, beside ``status``: a row for each quantity (``loss``, the task's metrics) of a split,
``train`` or ``validation``, and for those of none. Wall-clock seconds stay out, they differ from run to run."""

OLD_HISTORY = "validation_loss"
"""A column of histories before they had a row for each quantity."""

ACCURACY = accuracy(10)
"""What networks are judged by where the tables do not say: in a table of one's own. It has no trivial answer to be
compared with, so the margin is never used."""

MEASURES_ORDER = [*RUN, "family", "measure", "field", "depth", "site", "part", "step"]
HISTORY_ORDER = [*RUN, "step", "split", "quantity"]


@dataclass(frozen=True)
class ExpectedRun:
    """A run of the experiment's grid, by its labels, and where its results should be."""

    architecture: str
    shortcut: str
    seed: int
    history: Path
    measures: dict[str, Path]
    """By measure family."""

    @property
    def keys(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "shortcut": self.shortcut, "seed": self.seed}

    def spec(self, specs: dict[str, Any]) -> dict[str, Any]:
        """The spec that its training must have had."""
        shortcut = specs["shortcuts"][self.shortcut]
        return specs["architectures"][self.architecture] | {"shortcut": shortcut, "seed": self.seed}


def expected_runs(grid: str, history: str, measures: str) -> list[ExpectedRun]:
    """Every run of a grid, and where its results should be.

    grid: JSON, ``{"architectures": [label], "shortcuts": [label], "seeds": [int], "families": [name]}``; history and
    measures: paths with ``{architecture}``, ``{shortcut}``, ``{seed}`` and, for measures, ``{family}``. Raises
    `UserError` for anything else, and for a grid that names something twice.
    """
    try:
        found = json.loads(grid)
        axes = [list(found[axis]) for axis in ("architectures", "shortcuts", "seeds", "families")]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            "the grid is not a JSON object with the lists architectures, shortcuts, seeds and families: "
            f"{type(error).__name__}: {error}."
        ) from None
    for axis in axes:
        if len(set(axis)) < len(axis):
            raise UserError(f"the grid names something twice in {axis}: name every one once.")
    architectures, shortcuts, seeds, families = axes
    return [
        ExpectedRun(
            **run,
            history=Path(history.format(**run)),
            measures={family: Path(measures.format(**run, family=family)) for family in families},
        )
        for run in (
            {"architecture": architecture, "shortcut": shortcut, "seed": seed}
            for architecture, shortcut, seed in product(architectures, shortcuts, seeds)
        )
    ]


def collect(
    runs: Sequence[ExpectedRun],
    config: dict[str, Any] | None,
    measures: Path,
    history: Path,
    specs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write both tables and return their common metadata.

    config: the experiment's configuration, kept for readers. The metadata also holds versions, n, seeds, classes,
    H(Y) in nats, the plug-in behind every label and the labels' order, and the state of every run. Raises `UserError`
    for a file that is truncated, foreign, of another run or lacks a column. specs: what the runs and measures must have
    been made by: ``architectures`` (label -> plug-in and training), ``shortcuts`` and ``measures``; None: by anything.
    """
    runs = sorted(runs, key=lambda run: (run.architecture, run.shortcut, run.seed))
    states: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    histories: list[pl.LazyFrame] = []
    values: list[pl.LazyFrame] = []
    for run in runs:
        found = _file_metadata(run.history)
        state: dict[str, Any] = run.keys | _state(found) | {"measures": {}}
        state["parameters"] = found.get("parameters") if found else None
        if found and found.get("spec"):
            state["spec"] = in_short(found["spec"])
        rows = _frame(run.history, found, HISTORY, run.keys)
        histories.append(rows.filter(pl.col("quantity").ne_missing("seconds")))
        if found and specs:
            require(run.spec(specs), found.get("spec"), run.history)
        if found:
            seen.append(found | {"labels": run.keys})
        for family, path in sorted(run.measures.items()):
            measured = _file_metadata(path)
            state["measures"][family] = _state(measured)["status"]
            if measured and specs:
                require(run.spec(specs), measured.get("train_spec"), path)
                require(specs["measures"][family], measured.get("spec"), path)
            values.append(_frame(path, measured, MEASURES, run.keys | {"family": family}))
            if measured:
                seen.append(measured | {"family": family})
        states.append(state)
    all_values = _collected(values, MEASURES, MEASURES_ORDER)
    linear = label_of(
        "linear", kinds_of_families({found["family"]: found.get("spec") for found in seen if "family" in found})
    )
    unchained = {tuple(found["labels"][key] for key in NETWORK) for found in seen if found.get("chain") is False}
    all_values = all_values.pipe(with_capacity_gap, linear).pipe(with_best_family).pipe(with_dpi_excess, unchained)
    all_histories = _collected(histories, HISTORY, HISTORY_ORDER)
    summary = _summary(config, states, seen, all_values)
    for path, table in ((measures, all_values), (history, all_histories)):
        write_rows(path, table.to_arrow(compat_level=pl.CompatLevel.oldest()), summary)
    return summary


def metric(metadata: Mapping[str, Any]) -> Metric:
    """What networks are judged by: the first metric of their task."""
    known = metadata.get("metrics") or []
    return Metric(**known[0]) if known else ACCURACY


def _name(run: ExpectedRun) -> str:
    return f"{run.architecture}/{run.shortcut}/seed{run.seed}"


def _file_metadata(path: Path) -> dict[str, Any] | None:
    """The file's metadata, or None when it does not exist."""
    return read_metadata(open_parquet(path), path) if path.exists() else None


def _state(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {"status": "missing", "diverged_at": None}
    return {"status": found.get("status", "finished"), "diverged_at": found.get("diverged_at")}


def _frame(path: Path, found: dict[str, Any] | None, columns: Columns, keys: dict[str, Any]) -> pl.LazyFrame:
    """One file's rows under the experiment's labels, or one row of keys when it is missing."""
    status = pl.lit(_state(found)["status"]).alias("status")
    if found is None:
        return pl.LazyFrame([keys], schema=columns).with_columns(status)
    rows = pl.from_arrow(read_rows(path)[0])
    assert isinstance(rows, pl.DataFrame)
    present = rows.columns
    absent = [name for name in columns if name not in present and name not in keys]
    if columns is HISTORY and OLD_HISTORY in present:
        raise UserError(
            f"{path} is of an earlier version, which gave each quantity a column such as '{OLD_HISTORY}': delete it "
            "and run the workflow again."
        )
    if absent:
        raise UserError(f"{path} has no column '{absent[0]}': delete it and run the workflow again.")
    labels = [pl.lit(value).alias(name) for name, value in keys.items()]
    return rows.lazy().with_columns(labels).select([pl.col(n).cast(t) for n, t in columns.items()] + [status])


def _collected(frames: list[pl.LazyFrame], columns: Columns, order: list[str]) -> pl.DataFrame:
    if not frames:
        return pl.DataFrame(schema=columns | {"status": pl.String})
    return pl.concat(frames).sort(order, nulls_last=True).collect()


def kinds_of_families(specs: Mapping[str, Any]) -> dict[str, str | None]:
    """Label of a measure family -> its kind of plug-in, by the specs of the tables' metadata; null where none tells."""
    return {label: ((spec or {}).get("family") or {}).get("kind") for label, spec in specs.items()}


PLACE = [*RUN, "step", "site", "part", "measure", "field"]
"""What all families' values of one place have in common."""


def _beside(values: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Put what others say of the same place beside every row."""
    return values.join(others, on=PLACE, how="left", maintain_order="left", nulls_equal=True)


def with_capacity_gap(values: pl.DataFrame, label: str | None = "linear") -> pl.DataFrame:
    """How much better a family's decoder is than the linear one: linear - this family's value; null for linear.

    label: of the linear family, None where there is no such family, or several.
    """
    linear = values.filter(pl.col("family") == pl.lit(label, pl.String), pl.col("step").is_not_null())
    joined = _beside(values, linear.select(*PLACE, pl.col("value").alias("linear")))
    gap = pl.when(pl.col("family") != pl.lit(label, pl.String)).then(pl.col("linear") - pl.col("value"))
    return joined.select([*MEASURES, gap.alias("capacity_gap"), "status"])


def with_best_family(values: pl.DataFrame) -> pl.DataFrame:
    """Which family's decoder is the best at each place, and its value; null where only one family was there.

    Of equal values the first family in the alphabet's order is named.
    """
    found = values.filter(pl.col("measure").is_in(DECODED), pl.col("step").is_not_null(), pl.col("value").is_finite())
    several = found.filter(pl.len().over(PLACE) > 1).sort("value", "family").group_by(PLACE, maintain_order=True)
    best = several.agg(best_family=pl.first("family"), best_value=pl.first("value"))
    return _beside(values, best)


def with_dpi_excess(values: pl.DataFrame, unchained: Collection[tuple[str, ...]] = ()) -> pl.DataFrame:
    """How far a sum seems to know more than a sum before it does; null where it does not. Rows: in `MEASURES_ORDER`.

    In a chain no layer can be decoded better than one before it, so this is an error of an estimator, or chance.
    unchained: architecture and shortcut of the networks whose sums are no chain, for which nothing is compared.
    """
    chain = ~pl.any_horizontal(
        pl.lit(False),
        *(pl.all_horizontal(pl.col(key) == own for key, own in zip(NETWORK, one, strict=True)) for one in unchained),
    )
    sums = chain & (pl.col("part") == "z") & pl.col("measure").is_in(list(RISES)) & pl.col("value").is_finite()
    sign = pl.col("measure").replace_strict(RISES, default=None, return_dtype=pl.Float64)
    lost = pl.when(sums).then(sign * pl.col("value"))
    before = lost.cum_max().forward_fill().shift(1).over([*RUN, "family", "measure", "field", "step"])
    excess = pl.when(before > lost).then(before - lost).alias("dpi_excess")
    return values.with_columns(excess).select([*MEASURES, *ADDED])


def _summary(
    config: dict[str, Any] | None,
    states: list[dict[str, Any]],
    seen: list[dict[str, Any]],
    values: pl.DataFrame,
) -> dict[str, Any]:
    """What is true of the experiment as a whole."""
    specs = [(found["labels"], found.get("spec") or {}) for found in seen if "labels" in found]
    versions: dict[str, set[str]] = {}
    for found in seen:
        for package, version in (found.get("versions") or {}).items():
            versions.setdefault(package, set()).add(str(version))
    of_label = values.filter(pl.col("measure") == "zy", pl.col("field") == "y", pl.col("unit") == "nats")
    entropy = of_label["reference"].drop_nulls()
    images = sorted({note for found in seen for note in found.get("images") or []})
    return ({"images": images} if images else {}) | {
        "config": config,
        "order": {role: list((config or {}).get(role) or {}) for role in ("architectures", "shortcuts", "measures")},
        "runs": states,
        "architectures": _kinds("architecture", states, specs),
        "shortcuts": _kinds("shortcut", states, specs),
        "seeds": sorted({state["seed"] for state in states}),
        "families": {found["family"]: found.get("spec") for found in seen if "family" in found},
        "n": sorted(values["n"].drop_nulls().unique().to_list()),
        "classes": _only(found.get("classes") for found in seen if "labels" in found),
        **{name: next((found[name] for found in seen if name in found), None) for name in OF_THE_TASK},
        "label_entropy": float(entropy[0]) if len(entropy) else None,
        "versions": {package: ", ".join(sorted(found)) for package, found in sorted(versions.items())},
        "devices": sorted({str(found["device"]) for found in seen if found.get("device")}),
    }


OF_THE_TASK = ("metrics", "loss_unit", "trivial", "input")
"""What a run's history says of its task, the same in all of them."""


def _kinds(
    role: str, states: list[dict[str, Any]], specs: list[tuple[dict[str, Any], dict[str, Any]]]
) -> dict[str, str | None]:
    """Label -> kind of plug-in, null where no run tells."""
    kinds: dict[str, str | None] = {state[role]: None for state in states}
    for labels, spec in specs:
        kinds[labels[role]] = (spec.get(role) or {}).get("kind")
    return kinds


def _only(values: Iterable[Any]) -> Any:
    """The value that all agree on, or None."""
    distinct = {value for value in values if value is not None}
    return distinct.pop() if len(distinct) == 1 else None

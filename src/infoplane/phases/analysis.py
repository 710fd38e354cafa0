"""The phase analysis of one experiment, from its two tidy tables to six more."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infoplane.errors import UserError
from infoplane.metrics import Metric
from infoplane.phases import answer, blocks, contrasts, curves, gap, labels, nulls, resample, turn
from infoplane.phases.curves import Cell
from infoplane.phases.resample import Mean
from infoplane.phases.results import DIFFERENCES, GAPS, NULLS, PHASES, TABLES, Phases
from infoplane.provenance import versions
from infoplane.specs import label_of
from infoplane.storage.atomic import write_text
from infoplane.storage.parquet import write_rows
from infoplane.tables import RUN, kinds_of_families
from infoplane.tables import metric as task_metric

NONE: dict[str, float | None] = dict.fromkeys(("metric", "loss_gap", "metric_gap"))
"""Values of a run without a history."""


@dataclass(frozen=True)
class Settings:
    """The configuration's section ``phases``; the defaults are its defaults."""

    family: str = "auto"
    margin: float = 0.01
    level: float = 0.95
    resamples: int = 1000
    nulls: int = 200
    reference: str = "identity"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Settings":
        """From a mapping; raises `UserError` for an unknown key."""
        known = set(cls.__dataclass_fields__)
        if odd := sorted(set(values) - known):
            raise UserError(f"phases: unknown key '{odd[0]}': expected some of {', '.join(sorted(known))}.")
        return cls(**values)


def analyse(
    measures: pl.DataFrame, history: pl.DataFrame, settings: Settings, metadata: Mapping[str, Any] | None = None
) -> Phases:
    """Label every curve, compare shortcuts, correlate with generalisation, and test it all on curves that never move.

    metadata: the tables', for the order of measure families. Raises `UserError` for a column that is missing and for
    a family that was not measured.
    """
    measures = curves.complete(measures)
    metadata = metadata or {}
    order = (metadata.get("order") or {}).get("measures") or []
    kinds = kinds_of_families(metadata.get("families") or {})
    family = curves.headline_family(measures, settings.family, order, kinds)
    cells = list(curves.cells(measures, family))
    sites: dict[str, list[str]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.architecture, cell.depth, cell.site)):
        known = sites.setdefault(cell.architecture, [])
        known += [] if cell.site in known else [cell.site]
    last_blocks = {architecture: curves.last_block(names) for architecture, names in sites.items()}
    metric = task_metric(metadata)
    generalisation = _generalisation(history, metric)
    rows = [row for cell in cells for row in _rows(cell, generalisation, settings)]
    runs = [
        row | {"metric_gap": generalisation.get(_run(row), NONE)["metric_gap"]}
        for row in rows
        if row["seed"] is not None and row["site"] == last_blocks[row["architecture"]] and "fit_depth" in row
    ]
    learned = {key: of["metric"] for key, of in generalisation.items() if of["metric"] is not None}
    shortcuts = dict.fromkeys(measures["shortcut"].unique()) | dict(metadata.get("shortcuts") or {})
    found = contrasts.pairs(cells, label_of(settings.reference, shortcuts) or settings.reference)
    compared = contrasts.differences(found, last_blocks, learned, settings.level, settings.resamples)
    tried = [
        nulls.null(cell, _margins(cell, settings)[0], settings.level, settings.nulls)
        for cell in cells
        if settings.nulls and len(cell.steps) > 1
    ]
    return Phases(
        pl.DataFrame(rows, schema=PHASES),
        pl.DataFrame(compared, schema=DIFFERENCES),
        pl.DataFrame(gap.correlations(runs, settings.level, settings.resamples), schema=GAPS),
        pl.DataFrame(tried, schema=NULLS),
        blocks.blocks(measures, settings.level, settings.margin),
        _targets(measures, family, generalisation, settings),
        {"phases": asdict(settings), "family": family, "last_blocks": last_blocks, "versions": versions()}
        | {"metric": asdict(metric), "trivial": (metadata.get("trivial") or {}).get(metric.name)},
    )


def _targets(
    measures: pl.DataFrame, family: str, generalisation: Mapping[Any, Mapping[str, Any]], settings: Settings
) -> pl.DataFrame:
    """The phases of each further target's own curve."""
    cells = [cell for name in curves.of_targets(measures, family) for cell in curves.cells(measures, family, only=name)]
    rows = [row for cell in cells for row in _rows(cell, generalisation, settings)]
    return pl.DataFrame(rows, schema=PHASES)


def write(found: Phases, paths: Sequence[Path]) -> None:
    """Write the six tables and ``answer.md``, each to the path that is named after it; the same bytes every time."""
    by_name = {path.stem: path for path in paths}
    for name in TABLES:
        if name not in by_name:
            raise UserError(f"--output names no {name}.parquet: name all of {', '.join(TABLES)}.")
        table: pl.DataFrame = getattr(found, name)
        write_rows(by_name[name], table.to_arrow(compat_level=pl.CompatLevel.oldest()), found.metadata)
    if "answer" in by_name:
        write_text(by_name["answer"], answer.markdown(found))


def _run(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["architecture"], row["shortcut"], row["seed"]


def _margins(cell: Cell, settings: Settings) -> tuple[float, float]:
    """Of the measure of the input, and of that of the label."""
    return settings.margin * cell.x.scale, settings.margin * (cell.y.scale if cell.y else 0.0)


def _rows(cell: Cell, generalisation: Mapping[Any, Mapping[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """A cell over all seeds, and each of its seeds."""
    together = _row(cell, settings)
    alone = [_row(cell.of([seed]), settings) | {"seed": seed} for seed in cell.seeds]
    for row, seeds in ((together, cell.seeds), *((row, (row["seed"],)) for row in alone)):
        of = [generalisation.get((cell.architecture, cell.shortcut, seed), NONE) for seed in seeds]
        for name in ("metric", "loss_gap"):
            known = [each[name] for each in of if each[name] is not None]
            row[name] = float(np.mean(known)) if known else None
    return [together, *alone]


def _row(cell: Cell, settings: Settings) -> dict[str, Any]:
    margin, label_margin = _margins(cell, settings)
    keys: dict[str, Any] = {"architecture": cell.architecture, "shortcut": cell.shortcut, "seed": None}
    keys |= {"family": cell.family, "measure": cell.x.measure, "site": cell.site, "depth": cell.depth}
    keys |= {"margin": margin, "seeds": len(cell.seeds), "basis": labels.basis(cell.x)}
    keys |= {"blocks": cell.x.values.shape[2] if cell.x.has_blocks else None}
    if len(cell.steps) < 2:
        return keys | {"note": "; ".join(filter(None, [cell.note, "one checkpoint, so nothing can move"]))}
    sure = labels.quantities(cell.x.values[None], cell.x)
    gain = labels.label_gain(cell)
    (fits,), (compresses,) = sure.phases(margin)
    name, confidence = labels.label(fits, compresses, settings.level)
    told: dict[str, Any] = {"label": name, "confidence": confidence, "fits": fits, "compresses": compresses}
    for quantity in ("start", "turn", "end", "fit_depth", "compression_height"):
        sign = cell.x.sign if quantity in ("start", "turn", "end") else 1
        told |= _interval(quantity, getattr(sure, quantity), sign, settings.level)
    if gain is not None:
        told |= _interval("label_gain", gain, 1, settings.level)
        told |= {"learned": float(gain.above(label_margin)[0])}
    told |= _turn_step(cell, settings)
    said = labels.notes(cell, sure, gain, margin, label_margin, settings.level)
    return keys | told | {"note": "; ".join(said)}


def _interval(name: str, mean: Mean, sign: int, level: float) -> dict[str, float | None]:
    ends = sorted(sign * float(end[0]) for end in mean.interval(level))
    low, high = ends if np.isfinite(ends).all() else (None, None)
    return {name: sign * float(mean.value[0]), f"{name}_low": low, f"{name}_high": high}


def _turn_step(cell: Cell, settings: Settings) -> dict[str, float | None]:
    steps = np.array(cell.steps, float)
    values = cell.x.values
    point: dict[str, float | None] = {"turn_step": float(steps[turn.turning_point(values.mean((0, 2)))])}
    if values.shape[0] * values.shape[2] == 1:
        return point
    drawn = steps[resample.turning_places(values, settings.resamples)]
    ends = np.quantile(drawn, [(1 - settings.level) / 2, (1 + settings.level) / 2], method="inverted_cdf")
    return point | {"turn_step_low": float(ends[0]), "turn_step_high": float(ends[1])}


def _generalisation(history: pl.DataFrame, metric: Metric) -> dict[tuple[str, str, int], dict[str, float | None]]:
    """(architecture, shortcut, seed) -> metric, loss_gap and metric_gap at the last step of a finished run.

    The gap of the metric is by how much training samples do better than others.
    """
    rows = history.filter(pl.col("status") == "finished", pl.col("step").is_not_null()).sort("step")
    found: dict[tuple[str, str, int], dict[str, float | None]] = {}
    for (*run, _), last in rows.group_by(*RUN, "step", maintain_order=True):
        values = {(row["split"], row["quantity"]): row["value"] for row in last.to_dicts()}
        train, validation = (values.get((split, metric.name)) for split in ("train", "validation"))
        gap = _less(train, validation)
        found[run[0], run[1], run[2]] = {
            "metric": validation,
            "loss_gap": _less(values.get(("validation", "loss")), values.get(("train", "loss"))),
            "metric_gap": None if gap is None else metric.better * gap,
        }
    return found


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other

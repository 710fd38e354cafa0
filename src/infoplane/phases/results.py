"""What the phase analysis finds, as tidy tables that charts, verdicts and the report read.

A value has its interval beside it (``_low``, ``_high``, at the configured level); null where there is none.
``fit_depth`` and ``compression_height`` are positive where a network fits and compresses, whatever the measure:
Z-X falls while it fits, I(X;Z) rises.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from infoplane.errors import UserError
from infoplane.metrics import Metric
from infoplane.storage.parquet import read_rows
from infoplane.tables import ACCURACY, Columns


def _with_interval(*names: str) -> Columns:
    return {f"{name}{end}": pl.Float64 for name in names for end in ("", "_low", "_high")}


PHASES: Columns = {
    "architecture": pl.String,
    "shortcut": pl.String,
    "seed": pl.Int64,  # null: over all seeds
    "family": pl.String,
    "measure": pl.String,  # zx, or the information on X that replaces it
    "site": pl.String,
    "depth": pl.Int64,
    "label": pl.String,  # two-phase, compression-only, fitting-only, flat, ambiguous; null: nothing to judge
    "confidence": pl.Float64,  # of the less sure of the label's two halves; below the level the label is ambiguous
    "fits": pl.Float64,  # how sure it is that the fit depth is beyond the margin, 0 to 1
    "compresses": pl.Float64,  # the same of the compression height
    **_with_interval(
        "start", "turn_step", "turn", "end", "fit_depth", "compression_height", "label_gain"
    ),  # label_gain: how far Z-Y fell (I(Z;Y) rose) from the first to the last checkpoint
    "learned": pl.Float64,  # how sure it is that the label was learned: a label gain beyond its margin
    "margin": pl.Float64,
    "metric": pl.Float64,  # the task's first, of validation samples at the last step; the metadata say which
    "loss_gap": pl.Float64,  # validation loss less training loss at the last step
    "seeds": pl.Int64,
    "blocks": pl.Int64,
    "basis": pl.String,  # what the intervals know of: samples x seeds, samples, seeds, standard errors, roughness
    "note": pl.String,
}
"""One row per architecture, shortcut, family and site, for every seed and over all seeds. The table of further targets
has the same columns and a row per target beside: there ``measure`` is that of the target, such as ``zy_of_colour``, and
all quantities are of its curve."""

DIFFERENCES: Columns = {
    "architecture": pl.String,
    "family": pl.String,
    "measure": pl.String,
    "site": pl.String,
    "depth": pl.Int64,
    "quantity": pl.String,  # fit_depth, compression_height, start, end, turn_step, label_gain, metric
    "reference": pl.String,  # the shortcut that the others are compared with
    "shortcut": pl.String,
    **_with_interval("difference"),  # reference less shortcut, paired by seed
    "p": pl.Float64,
    "p_adjusted": pl.Float64,  # Holm, over the experiment's comparisons at last blocks; null elsewhere
    "seeds": pl.Int64,
    "basis": pl.String,
    "note": pl.String,
}

GAPS: Columns = {
    "family": pl.String,
    "measure": pl.String,
    "within": pl.String,  # an architecture, or "all"
    "quantity": pl.String,  # fit_depth, compression_height
    "gap": pl.String,  # loss, metric
    "method": pl.String,  # pearson, spearman, kendall
    **_with_interval("correlation"),
    "p": pl.Float64,
    "runs": pl.Int64,
    "note": pl.String,
}
"""How the phases' amplitude at the last block goes with the generalisation gap, over all runs."""

NULLS: Columns = {
    "architecture": pl.String,
    "shortcut": pl.String,
    "family": pl.String,
    "measure": pl.String,
    "site": pl.String,
    "replicates": pl.Int64,
    "false_positives": pl.Int64,  # labels that claim a phase
    "ambiguous": pl.Int64,
    **_with_interval("rate"),
    "noise": pl.String,
}
"""How often curves that never move, with this experiment's own noise, are said to fit or to compress."""

BLOCKS: Columns = {
    "architecture": pl.String,
    "shortcut": pl.String,
    "family": pl.String,
    "site": pl.String,
    "depth": pl.Int64,
    "verdict": pl.String,  # cancelling, out-weighing, norm or pooling, none; null: nothing to judge
    "confidence": pl.Float64,
    **_with_interval("compression", "regression", "cosine", "branch_ratio", "cross_share"),
    "evidence": pl.String,  # one sentence
    "seeds": pl.Int64,
    "note": pl.String,
    "step": pl.Int64,  # the last checkpoint, which all of this is about
    "first_step": pl.Int64,
    "zx_s": pl.Float64,
    "zx_f": pl.Float64,
    "zx_z": pl.Float64,
    **_with_interval("first_compression"),  # at the first checkpoint
    **_with_interval("lost_in_sum"),  # Z-X of s + f less that of s, both by folds
    **_with_interval("recovered"),  # Z-X of s + f less that without what of f points against s
    **_with_interval("variance_ratio"),  # Var(f) / Var(s)
    "margin": pl.Float64,
    "basis": pl.String,  # what the interval of compression knows of: samples, seeds, or both
}
"""How each residual addition compresses, where the anatomy was measured."""

TABLES: dict[str, Columns] = {
    "phases": PHASES,
    "differences": DIFFERENCES,
    "gaps": GAPS,
    "nulls": NULLS,
    "blocks": BLOCKS,
    "targets": PHASES,
}


@dataclass(frozen=True)
class Phases:
    """The tables of one experiment's phase analysis, with their common metadata."""

    phases: pl.DataFrame
    differences: pl.DataFrame
    gaps: pl.DataFrame
    nulls: pl.DataFrame
    blocks: pl.DataFrame
    targets: pl.DataFrame
    metadata: dict[str, Any]

    @property
    def metric(self) -> Metric:
        """What networks are judged by."""
        known = self.metadata.get("metric")
        return Metric(**known) if known else ACCURACY

    @property
    def trivial(self) -> float | None:
        """Its value for an answer that has learned nothing; None where that is not known."""
        return self.metadata.get("trivial")

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Self:
        """Read the tables, each named after what is in it; raises `UserError` for one that is missing or damaged."""
        found: dict[str, pl.DataFrame] = {}
        metadata: dict[str, Any] = {}
        for path in paths:
            rows, metadata = read_rows(path)
            found[path.stem] = pl.DataFrame(rows)
        if absent := [name for name in TABLES if name not in found]:
            raise UserError(f"--phases names no {absent[0]}.parquet: name all of {', '.join(TABLES)}.")
        return cls(**{name: found[name] for name in TABLES}, metadata=metadata)

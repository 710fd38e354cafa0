"""Do networks with more pronounced phases generalise better: amplitude against the generalisation gap, over runs.

Amplitudes are those of single runs at the last block. Intervals come from resampling runs (percentiles). Runs of
different shortcuts differ in much besides their amplitude: this is a correlation and does not show a cause.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from infoplane.phases.curves import Array

QUANTITIES = ("fit_depth", "compression_height")
GAPS = {"loss": "loss_gap", "metric": "metric_gap"}
METHODS = ("pearson", "spearman", "kendall")
FEWEST = 4
"""With fewer runs than this, no correlation is given."""


def correlations(runs: Sequence[dict[str, Any]], level: float, resamples: int) -> list[dict[str, Any]]:
    """Rows of the table.

    runs: one row per run at its last block, with architecture, family, measure, fit_depth, compression_height,
    loss_gap and metric_gap.
    """
    architectures = sorted({run["architecture"] for run in runs})
    groups = {name: [run for run in runs if run["architecture"] == name] for name in architectures}
    if len(architectures) > 1:
        groups["all"] = list(runs)
    rows = []
    for within, group in groups.items():
        for quantity in QUANTITIES:
            for gap, column in GAPS.items():
                both = [(run[quantity], run[column]) for run in group]
                points = np.array([pair for pair in both if None not in pair], float).reshape(-1, 2)
                points = points[np.isfinite(points).all(1)]
                for method in METHODS:
                    keys = {"family": group[0]["family"], "measure": group[0]["measure"], "within": within}
                    keys |= {"quantity": quantity, "gap": gap, "method": method}
                    rows.append(keys | _correlation(points, method, level, resamples) | {"runs": len(points)})
    return rows


def _correlation(points: Array, method: str, level: float, resamples: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("correlation", "correlation_low", "correlation_high", "p"))
    if len(points) < FEWEST:
        return nothing | {"note": f"fewer than {FEWEST} runs"}
    x, y = points.T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return nothing | {"note": "one of the two does not vary"}
    tests = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    found = tests[method](x, y)
    drawn = np.random.default_rng(0).integers(0, len(x), (resamples, len(x)))
    values = _many(x[drawn], y[drawn], method)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    told = {"correlation": float(found.statistic), "p": float(found.pvalue)}
    return told | {"correlation_low": float(low), "correlation_high": float(high), "note": ""}


def _many(x: Array, y: Array, method: str) -> Array:
    """A correlation for each row; NaN where one of the two does not vary in it."""
    if method == "kendall":
        x, y = (np.sign(each[:, :, None] - each[:, None, :]).reshape(len(each), -1) for each in (x, y))
    elif method == "spearman":
        x, y = stats.rankdata(x, axis=1), stats.rankdata(y, axis=1)
    if method != "kendall":
        x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1)))

"""How often curves that never move, with this experiment's own noise, are said to fit or to compress.

A cell's values less their mean curve are split into what seeds share, what blocks share, and the rest; each part is
multiplied by a random number per seed, per block, and per seed and block (a wild bootstrap). So the correlation over
checkpoints stays, and no curve has a direction. Whatever moved in some blocks and not in others counts as noise
here, which makes these nulls rather noisier than the truth. Labels are given as to the experiment itself.
"""

from typing import Any

import numpy as np
from scipy import stats

from infoplane.phases import labels
from infoplane.phases.curves import Array, Cell

NOISE = {
    "samples x seeds": "own residuals of seeds and of parts of the samples",
    "samples": "own residuals of parts of the samples",
    "seeds": "own residuals of seeds",
    "standard errors": "normal, by the standard errors",
    "roughness": "normal, by the roughness of the curve",
}


def still(cell: Cell, replicates: int, generator: np.random.Generator) -> Array:
    """Curves that never move, (replicates, seeds, checkpoints, blocks), with a cell's noise."""
    values = cell.x.values
    seeds, checkpoints, blocks = values.shape
    middle = values.mean((0, 2), keepdims=True)
    if seeds * blocks == 1:
        known = labels.basis(cell.x) == "standard errors"
        scale = cell.x.stderr[0] if known else labels.noise(values[:, :, 0])[0]
        noise = generator.standard_normal((replicates, checkpoints)) * scale
        return np.asarray(values.mean() + noise)[:, None, :, None]
    of_seeds = values.mean(2, keepdims=True) - middle
    of_blocks = values.mean(0, keepdims=True) - middle
    rest = values - middle - of_seeds - of_blocks
    out = np.full((replicates, seeds, checkpoints, blocks), float(values.mean()))
    for part, count_seeds, count_blocks in ((of_seeds, seeds, 1), (of_blocks, 1, blocks), (rest, seeds, blocks)):
        lost = (1 - 1 / seeds if count_seeds > 1 else 1.0) * (1 - 1 / blocks if count_blocks > 1 else 1.0)
        if part.any():
            out += generator.standard_normal((replicates, count_seeds, 1, count_blocks)) * part / np.sqrt(lost)
    return out


def null(cell: Cell, margin: float, level: float, replicates: int) -> dict[str, Any]:
    """A row of the table, with the interval of Clopper and Pearson; no rate where the noise cannot be known."""
    keys: dict[str, Any] = {"architecture": cell.architecture, "shortcut": cell.shortcut, "family": cell.family}
    keys |= {"measure": cell.x.measure, "site": cell.site}
    if labels.basis(cell.x) == "roughness" and not np.isfinite(labels.noise(cell.x.values[0].T)).all():
        return keys | {"replicates": 0, "noise": "cannot be known"}
    sure = labels.quantities(still(cell, replicates, np.random.default_rng(0)), cell.x)
    positives, ambiguous = labels.claims(sure, margin, level)
    interval = stats.binomtest(positives, replicates).proportion_ci(level, method="exact")
    counted = {
        "replicates": replicates,
        "false_positives": positives,
        "ambiguous": ambiguous,
        "rate": positives / replicates,
    }
    return keys | counted | {"rate_low": interval.low, "rate_high": interval.high, "noise": NOISE[sure.basis]}

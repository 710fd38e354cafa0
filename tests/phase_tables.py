"""Small tables of measures for the phase analysis, from arrays."""

from typing import Any

import numpy as np
import polars as pl

from infoplane.phases.analysis import Settings
from infoplane.tables import HISTORY, MEASURES

STATUS = {"status": pl.String}
FEW = Settings(resamples=200, nulls=20)


def measured(
    values: np.ndarray,
    measure: str = "zx",
    shortcut: str = "identity",
    status: str = "finished",
    blocks: bool = True,
    **more: Any,
) -> list[dict[str, Any]]:
    """Rows of one site, block1, from an array (seeds, checkpoints, blocks) at steps 0, 1, 2, 4 and so on."""
    keys = {"architecture": "net", "shortcut": shortcut, "site": "block1", "part": "z", "depth": 1}
    keys |= {"measure": measure, "family": "kernel", "status": status}
    return [
        keys
        | {"seed": seed, "step": 2**at // 2, "value": float(parts.mean())}
        | ({"blocks": parts.tolist()} if blocks else {})
        | more
        for seed, of_seed in enumerate(values)
        for at, parts in enumerate(of_seed)
    ]


def frames(
    rows: list[dict[str, Any]], history: list[dict[str, Any]] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.DataFrame(rows, schema=MEASURES | STATUS), pl.DataFrame(history or [], schema=HISTORY | STATUS)


def around(curve: list[float] | np.ndarray, seeds: int = 3, blocks: int = 20, spread: float = 1e-3) -> np.ndarray:
    """Values with a little noise around a curve, (seeds, checkpoints, blocks)."""
    noise = np.random.default_rng(0).standard_normal((seeds, len(curve), blocks))
    ups = np.linspace(-0.1, 0.1, blocks)
    return np.asarray(curve)[:, None] + spread * noise + ups

"""The history of a run: one row per logged step, split and quantity, so that no task needs columns of its own."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from infoplane.storage.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("split", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
    ]
)
"""split: train (means over the batches since the previous logged step, none at step 0), validation, or null. quantity:
``loss`` and the task's metrics; of no split ``learning_rate``, ``gradient_norm`` and ``seconds`` of training."""


def write_history(path: Path, rows: list[dict[str, Any]], metadata: dict[str, Any]) -> None:
    """Write the history with its metadata, atomically."""
    write_rows(path, pa.Table.from_pylist(rows, SCHEMA), metadata)

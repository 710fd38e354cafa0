"""The history of a run: one row per logged step."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from infoplane.storage.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),
        ("validation_loss", pa.float64()),
        ("validation_accuracy", pa.float64()),
        ("learning_rate", pa.float64()),
        ("gradient_norm", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
"""Losses in nats; train_* are means over the batches since the previous row (null at step 0); seconds of training."""


def write_history(path: Path, rows: list[dict[str, Any]], metadata: dict[str, Any]) -> None:
    """Write the history with its metadata, atomically."""
    write_rows(path, pa.Table.from_pylist(rows, SCHEMA), metadata)

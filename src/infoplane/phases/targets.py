"""Read the measures table so that further targets are told from what the task learns."""

from pathlib import Path
from typing import Any

import polars as pl

from infoplane.storage.parquet import read_rows

OF = "_of_"
"""Between a measure and the label of the further target that it is of, in the names that `read` gives."""
OWN = ("x", "y", "")
"""What rows are about that are no further target's."""


def read(path: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The measures table with its metadata, ready for readers that tell rows apart by their measure.

    A measure of a further target has a name of its own, such as ``zy_of_colour``, so that it is never averaged with
    that of Y. Raises `UserError` for a file that is missing or damaged.
    """
    rows, metadata = read_rows(path)
    return with_targets_named(pl.DataFrame(rows)), metadata


def with_targets_named(values: pl.DataFrame) -> pl.DataFrame:
    """The measures of further targets under names of their own."""
    if "field" not in values.columns:
        return values
    own = pl.col("field").is_null() | pl.col("field").is_in(list(OWN))
    return values.with_columns(
        pl.when(own).then(pl.col("measure")).otherwise(pl.col("measure") + OF + pl.col("field")).alias("measure")
    )


def of_target(measure: str) -> tuple[str, str]:
    """The measure behind such a name, and the label of the further target; empty where it is none's."""
    plain, _, label = measure.partition(OF)
    return plain, label

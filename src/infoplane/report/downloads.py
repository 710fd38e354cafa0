"""What a reader can save from the page: the rows behind its tables as CSV, and figures for print, packed into it."""

import csv
import io
import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from infoplane.phases.verdicts import VERDICTS
from infoplane.report.numbers import Value

UNTOLD = ("spark",)
"""Fields that draw something and hold no number."""


def packed(content: bytes) -> str:
    """A file as text that may stand in a page; its script unpacks it (deflate, base64)."""
    return b64encode(zlib.compress(content, 9)).decode()


def tables(contents: Mapping[str, Any]) -> dict[str, str]:
    """Every table of the page, as packed CSV; empty text for one that the page does not have.

    contents: what the page's templates show.
    """
    answer, phases, accuracy = contents["answer"], contents["phases"] or {}, contents["accuracy"] or {}
    rows: dict[str, list[Any]] = {
        "verdicts": [{name: row[name] for name in VERDICTS} for row in answer["claims"] + answer["comparisons"]],
        "numbers": [row for group in contents["headlines"].values() for row in group],
        "phases": [row for group in phases.get("sites", {}).values() for row in group],
        "differences": phases.get("differences", []) + phases.get("more_differences", []),
        "nulls": phases.get("nulls", []),
        "gaps": phases.get("gaps", []) + phases.get("more_gaps", []),
        "blocks": [row for group in contents["blocks"].values() for row in group],
        "estimators": contents["diagnostics"],
        "accuracy": accuracy.get("rows", []),
        "runs": contents["runs"],
        "durations": (contents["durations"] or {}).get("rules", []),
    }
    return {name: packed(table(found).encode()) if found else "" for name, found in rows.items()}


def table(rows: Iterable[Any]) -> str:
    """Rows, mappings or dataclasses, as CSV with full precision; what is absent is empty.

    A value with its range has three columns, ``name``, ``name_low`` and ``name_high``; lists and objects are JSON.
    """
    flat = [_cells(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _cells(row: Any) -> dict[str, Any]:
    fields = row if isinstance(row, Mapping) else vars(row)
    cells: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Value):
            cells |= {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
        elif isinstance(value, dict | list | tuple):
            cells[name] = json.dumps(value, default=asdict, ensure_ascii=False)
        elif name not in UNTOLD:
            cells[name] = value
    return cells

"""The record of how far estimators are from known truths, for the families that an experiment uses."""

import json
from pathlib import Path
from statistics import median
from typing import Any

from infoplane.charts import theme
from infoplane.charts.accuracy import ABSENT, RIGHT, SAMPLED, WRONG
from infoplane.charts.frames import Tables
from infoplane.errors import UserError

FAILURES = 4
"""Distributions that are named; the others are counted."""


def accuracy(tables: Tables, record: Path | None) -> dict[str, Any] | None:
    """Per kind of family, quantity and n: verdicts, median absolute error, and the worst failures.

    record: JSON with ``hardware`` and ``rows``, as the benchmark keeps it; None: nothing to show. Raises `UserError`
    for anything else.
    """
    if record is None:
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        rows, hardware = found["rows"], found["hardware"]
        known = {row["family"] for row in rows}
        labels: dict[str, list[str]] = {}
        for label in tables.metadata.get("families") or {}:
            labels.setdefault(tables.family_kind(label), []).append(label)
        groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for row in rows:
            if row["family"] in labels and row["verdict"] != ABSENT:
                groups.setdefault((row["family"], row["measure"], row["n"]), []).append(row)
        return {
            "hardware": hardware,
            "rows": [_summary(key, mine, labels[key[0]]) for key, mine in groups.items()],
            "unknown": [label for kind in labels if kind not in known for label in labels[kind]],
        }
    except FileNotFoundError:
        raise UserError(f"{record} is missing: it is the record of `snakemake accuracy`.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{record} is not a record of accuracy: restore it from the repository.") from None


def _summary(key: tuple[str, str, int], rows: list[dict[str, Any]], labels: list[str]) -> dict[str, Any]:
    family, measure, n = key
    wrong = sorted((row for row in rows if row["verdict"] == WRONG), key=lambda row: -row["error"])
    errors = [row["error"] for row in rows if row["error"] is not None]
    return {
        "family": family,
        "labels": "" if labels == [family] else ", ".join(labels),
        "quantity": theme.name(measure),
        "unit": "" if measure == "zx" else "nats",
        "n": n,
        "right": sum(row["verdict"] == RIGHT for row in rows),
        "sampled": sum(row["verdict"] == SAMPLED for row in rows),
        "wrong": len(wrong),
        "error": median(errors) if errors else None,
        "failures": wrong[:FAILURES],
        "more": len(wrong[FAILURES:]),
    }

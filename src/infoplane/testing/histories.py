"""Histories with one row per step, which are easy to write and read, and with one per quantity, as files are."""

from collections.abc import Iterable
from typing import Any

SPLITS = ("train", "validation")


def long(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every ``<split>_<quantity>``, and what has no split but is a number of training, as a row of its own."""
    found = []
    for row in rows:
        kept, told = {}, []
        for name, value in row.items():
            split, _, quantity = name.partition("_")
            if split in SPLITS:
                told.append({"split": split, "quantity": quantity, "value": value})
            elif name in ("learning_rate", "gradient_norm", "seconds"):
                told.append({"split": None, "quantity": name, "value": value})
            else:
                kept[name] = value
        found += [kept | one for one in told if one["value"] is not None]
    return found


def wide(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per step, without wall-clock seconds, which differ from run to run."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        at = found.setdefault(row["step"], {"step": row["step"], "epoch": row["epoch"]})
        if row["quantity"] != "seconds":
            at["_".join(filter(None, (row["split"], row["quantity"])))] = row["value"]
    return list(found.values())

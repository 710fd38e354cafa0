"""Write the answer: the verdicts on the experiment's claims, and each last block's phases in a sentence."""

from pathlib import Path
from typing import Any

import polars as pl

from infoplane.charts.frames import Curves, Tables
from infoplane.phases.answer import answers
from infoplane.phases.answer import tally as tally_of_networks
from infoplane.phases.labels import AMBIGUOUS
from infoplane.phases.verdicts import read, tally, whole
from infoplane.report.findings import false_positives, judged, level

SEEDS = {1: "one seed", 2: "two seeds", 3: "three seeds"}
WORDS = {
    "two-phase": "fits first, then compresses",
    "compression-only": "compresses at once",
    "fitting-only": "fits and does not compress",
    "flat": "neither fits nor compresses",
    AMBIGUOUS: "cannot be told surely enough",
}


def answer(tables: Tables, found: Curves, verdicts: Path | None) -> dict[str, Any]:
    """Claims with their verdicts, the tally, and the answer of each architecture; empty where there is nothing.

    comparisons: the single ones behind claims that have several. Raises `UserError` for a table of verdicts that is
    missing or damaged.
    """
    rows = [_claim(row) for row in read(verdicts).iter_rows(named=True)] if verdicts else []
    comparisons = [row | {"networks": {}} for row in rows if not row["overall"]]
    claims = [row | {"networks": _networks(row, comparisons)} for row in rows if row["overall"]]
    sentences = _sentences(tables, found)
    open_ones = any(part and part["label"] == AMBIGUOUS for one in sentences for part in one["parts"])
    seeds = len(tables.metadata.get("seeds") or [])
    given = answers(tables.phases) if tables.phases else []
    return {
        "claims": claims,
        "comparisons": comparisons,
        "tally": tally(row["verdict"] for row in claims),
        "tally_of_comparisons": tally(row["verdict"] for row in comparisons),
        "level": level(tables),
        "shortcuts": tables.shortcuts,
        "sentences": sentences,
        "given": given,
        "tally_of_networks": tally_of_networks(given) if given else "",
        "few_seeds": SEEDS.get(seeds, "") if open_ones else "",
        "false_positives": false_positives(tables, found),
    }


def _networks(claim: dict[str, Any], comparisons: list[dict[str, Any]]) -> dict[str, str]:
    """Architecture -> what became of the claim there."""
    found: dict[str, list[str]] = {}
    for row in comparisons:
        if row["claim"] == claim["claim"]:
            found.setdefault(row["architecture"], []).append(row["verdict"])
    return {architecture: whole(verdicts) for architecture, verdicts in found.items()}


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the verdicts with where it was held, and what it holds, in words."""
    quantity = row["quantity"].replace("_", " ")
    than = "=" if row["expected"] == "equal" else f"{row['expected']} than"
    label = row["quantity"] == "label"
    told = f"{row['expected']}" if label else f"{than} {row['versus']}"
    of = f"{row['of']}: " if row["of"] else ""
    return row | {"where": f"{row['architecture']}, {row['site']}", "compared": f"{of}{quantity} {told}"}


def _sentences(tables: Tables, found: Curves) -> list[dict[str, Any]]:
    """What the last block of every architecture does with every shortcut, over all seeds."""
    sentences = []
    rows = judged(tables, found)
    for architecture in tables.architectures:
        site = found.last_block(architecture)
        here = rows.filter(pl.col("architecture") == architecture, pl.col("site") == (site or ""))
        by_shortcut = {row["shortcut"]: row for row in here.iter_rows(named=True)}
        parts = [
            {
                "shortcut": shortcut,
                "label": row["label"],
                "words": WORDS.get(row["label"], row["note"] or "nothing to judge"),
                "confidence": row["confidence"] if row["label"] != AMBIGUOUS else None,
            }
            if (row := by_shortcut.get(shortcut))
            else None
            for shortcut in tables.shortcuts
        ]
        if any(parts):
            sentences.append({"architecture": architecture, "site": site, "parts": parts})
    return sentences

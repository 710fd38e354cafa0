"""Measure every site of a run at every checkpoint, with one family, into one tidy Parquet file."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
from torch import Tensor

from infoplane import registry
from infoplane.activations.file import Site
from infoplane.measures.about import About
from infoplane.measures.decoding.side_by_side import side_by_side
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.possible import noted
from infoplane.measures.subject import Measured, Subject, Survey, content
from infoplane.options import NoOptions
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import MeasuresSpec
from infoplane.storage.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("architecture", pa.string()),
        ("shortcut", pa.string()),
        ("seed", pa.int64()),
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("site", pa.string()),
        ("part", pa.string()),
        ("depth", pa.int64()),
        ("measure", pa.string()),
        ("field", pa.string()),
        ("family", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("stderr", pa.float64()),
        ("reference", pa.float64()),
        ("extrapolated", pa.float64()),
        ("calibration", pa.float64()),
        ("n", pa.int64()),
        ("d", pa.int64()),
        ("edge", pa.string()),
        ("ridge", pa.float64()),
        ("bandwidth", pa.float64()),
        ("folds", pa.int64()),
        ("constant_features", pa.int64()),
        ("note", pa.string()),
        ("detail", pa.string()),
        ("blocks", pa.list_(pa.float64())),
    ]
)


def measure(spec: MeasuresSpec, subject: Subject, output: Path, labels: dict[str, Any]) -> None:
    """Write whatever the family measures of every checkpoint and site of a run.

    labels: of the run and the family: ``architecture``, ``shortcut``, ``seed``, ``family``. A run that diverged has
    the checkpoints that it reached, and its status. Raises `UserError` for files that are missing, damaged or not of
    one another.
    """
    write(output, measured_rows(spec, subject, labels), subject, spec.to_dict())


def measured_rows(spec: MeasuresSpec, subject: Subject, labels: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per checkpoint, site and measure, with the columns of `SCHEMA`."""
    rows = list(_rows(spec, subject, labels))
    if "y" in About.of(spec.family.kind).variables.values():
        for target, field in (spec.targets or {}).items():
            found = _rows(spec, subject.further(field), labels, target)
            rows += [row | {"field": target} for row in found if row["field"] == "y"]
    return rows


def _rows(spec: MeasuresSpec, subject: Subject, labels: dict[str, Any], y: str = "Y") -> Iterator[dict[str, Any]]:
    """The rows of one X and one Y. y: what readers call Y."""
    family, about = registry.load("measure", spec.family.kind), About.of(spec.family.kind)
    options = getattr(family, "Options", NoOptions)(**spec.family.options)
    unmet = about.unmet(subject.targets) if about.needed else {}
    able = replace(subject, chosen=about.taken(subject.targets)) if unmet else subject
    surveyed = family.survey(able, options) if hasattr(family, "survey") else _one_by_one(family, able, options)
    independent = not registry.ignores_groups(spec.family.kind) or subject.targets.groups is None
    for found in surveyed:
        told = [about.told(one, unmet, y) for one in found.estimates]
        for estimate in noted(told, lambda: subject.targets.y.entropy, independent):
            yield (
                labels
                | {"step": found.step, "epoch": subject.epoch(found.step), "site": found.site, "part": found.part}
                | {"depth": found.depth, "field": about.variable(estimate.measure)}
                | vars(estimate)
            )


def write(output: Path, rows: list[dict[str, Any]], subject: Subject, spec: dict[str, Any]) -> None:
    """Write rows with what is true of all of them, atomically."""
    about = {"spec": spec, **subject.status, "versions": versions(), "device": subject.device.type}
    about |= {"images": subject.image_notes} if subject.image_notes else {}
    write_rows(output, pa.Table.from_pylist(rows, SCHEMA), about)


TOGETHER = {"cpu": 0, "cuda": 8 << 30}
"""Bytes that activations measured side by side may take, by device; on a CPU one at a time is faster."""


def _one_by_one(family: ModuleType, subject: Subject, options: Any) -> Survey:
    """Every activation on its own; an identity shortcut is bit for bit the sum before it, and is measured once.

    Families with a ``footprint(z, options)`` in bytes are given as many activations at once as `TOGETHER` allows.
    """
    known: dict[bytes, list[Estimate]] = {}
    read: list[tuple[int, Site, bytes]] = []
    new: dict[bytes, Tensor] = {}
    budget = TOGETHER.get(subject.device.type, TOGETHER["cuda"])
    left: float = budget

    def measured() -> Survey:
        tasks = [partial(family.estimate, z, subject.targets, options) for z in new.values()]
        known.update(zip(new, side_by_side(tasks), strict=True))
        for step, site, digest in read:
            yield Measured(step, site.name, site.part, site.depth, known[digest])
        read.clear()
        new.clear()

    wanted = [(step, site) for step in subject.steps for site in subject.sites]
    for step, site in progress(wanted, f"measures: {family.__name__.rpartition('.')[2]}"):
        z = subject.read(step, site)
        digest = content(z)
        if digest not in known and digest not in new:
            takes = family.footprint(z, options) if hasattr(family, "footprint") else math.inf
            if takes > left and new:
                yield from measured()
                left = budget
            left -= takes
            new[digest] = z
        read.append((step, site, digest))
        if left <= 0:
            yield from measured()
            left = budget
    yield from measured()

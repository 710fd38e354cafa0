"""Hold one measure family against every distribution of known value, into one tidy Parquet file."""

import math
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.possible import noted
from infoplane.measures.targets import prepare
from infoplane.measures.truths import all_truths
from infoplane.measures.truths.truth import Truth
from infoplane.options import NoOptions
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import TruthsSpec
from infoplane.storage.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("distribution", pa.string()),
        ("group", pa.string()),
        ("measure", pa.string()),
        ("family", pa.string()),
        ("n", pa.int64()),
        ("d", pa.int64()),
        ("seed", pa.int64()),
        ("unit", pa.string()),
        ("bound", pa.string()),
        ("truth", pa.float64()),
        ("estimate", pa.float64()),
        ("optimal", pa.float64()),
        ("floor", pa.float64()),
        ("extrapolated", pa.float64()),
        ("stderr", pa.float64()),
        ("calibration", pa.float64()),
        ("judged", pa.bool_()),
        ("note", pa.string()),
        ("seconds", pa.float64()),
    ]
)
"""truth, estimate and what belongs to it are in nats, or shares of a variance, whatever the family emits.

judged: whether the distribution is one of those on which intervals are judged.
"""

LOW = 4
"""Dimensions up to which intervals are judged, of continuous distributions."""

SURVEYS = "measures whole runs only"
LEFT_OUT = "left out by the configuration"

Row = dict[str, Any]


@dataclass
class Absent:
    """A distribution without estimates, and why."""

    truth: Truth
    note: str
    n: int | None = None


def run(spec: TruthsSpec, output: Path, label: str, device: torch.device) -> None:
    """Write one row per distribution, measure, sample size and seed of which the family measures something.

    What it cannot take has a row without an estimate and a note that says why; what the configuration leaves out, too.
    A family that adds Gaussian noise to Z says how much by ``added_noise(options, spread, d)``: the deviation on each
    of d units, where Z's root mean square distance to its mean is ``spread``. Raises `UserError` for a pattern that no
    distribution matches, and when the family refuses every sample.
    """
    family = registry.load("measure", spec.family.kind)
    options = getattr(family, "Options", NoOptions)(**spec.family.options)
    added = getattr(family, "added_noise", None)
    truths = all_truths(partial(added, options) if added else None)
    chosen = matching(truths, spec.distributions)
    rows: list[Row] = []
    absent = [Absent(truth, LEFT_OUT) for truth in truths if truth not in chosen]
    if hasattr(family, "estimate"):
        for truth, n in progress([(truth, n) for truth in chosen for n in spec.samples], f"truths: {label}"):
            try:
                seeds = max(spec.seeds, spec.coverage_draws if intervals_judged(truth) else 0)
                rows += measured_rows(family, options, truth, n, seeds, device)
            except UserError as error:
                absent.append(Absent(truth, str(error), n))
        if not rows and absent:
            raise UserError(f"{label} measured nothing: {absent[-1].note}")
    rows += absent_rows(absent, {row["measure"] for row in rows})
    about = {
        "spec": spec.to_dict(),
        "label": label,
        "note": "" if hasattr(family, "estimate") else SURVEYS,
        "device": device.type,
        "versions": versions(),
    }
    write_rows(output, pa.Table.from_pylist([row | {"family": label} for row in rows], SCHEMA), about)


def matching(truths: list[Truth], patterns: list[str]) -> list[Truth]:
    """The distributions whose name one of the patterns matches; raises `UserError` for one that matches none."""
    for pattern in patterns:
        if not any(fnmatchcase(truth.name, pattern) for truth in truths):
            names = "; ".join(truth.name for truth in truths)
            raise UserError(f"accuracy: no distribution matches '{pattern}': they are {names}.")
    return [truth for truth in truths if any(fnmatchcase(truth.name, pattern) for pattern in patterns)]


def measured_rows(family: Any, options: Any, truth: Truth, n: int, seeds: int, device: torch.device) -> list[Row]:
    """What the family says of one distribution at one sample size; nothing where it measures nothing that is known.

    Raises `UserError` where the family refuses the sample, or n is less than the distribution's table counts.
    """
    if n < truth.multiple:
        raise UserError(f"n = {n} is less than the {truth.multiple} samples that its table counts")
    rows: list[Row] = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        z, x, labels = truth.draw(rng, n // truth.multiple * truth.multiple)
        targets = prepare(x, labels, device)
        started = time.perf_counter()
        found = noted(family.estimate(tensor(z, device), targets, options), lambda: targets.y.entropy)  # noqa: B023
        seconds = time.perf_counter() - started
        if truth.again:
            found = changes(found, family.estimate(tensor(truth.again(rng, z), device), targets, options))
        known = [one for one in found if truth.truth_of(one.measure) is not None]
        if not known:
            return []
        best = truth.optimal(z, x, labels) if truth.optimal else {}
        floor = truth.floor(len(labels)) if truth.floor else {}
        for one in known:
            about = {"n": len(labels), "seed": seed, "optimal": best.get(one.measure), "seconds": seconds}
            about["floor"] = floor.get(one.measure)
            rows.append(described(truth, one.measure) | in_nats(one) | about)
    return rows


def intervals_judged(truth: Truth) -> bool:
    """Whether this is a continuous distribution of few dimensions, whose truth intervals have to hold."""
    return truth.continuous and truth.dimension <= LOW


def tensor(z: np.ndarray, device: torch.device) -> torch.Tensor:
    """Z as activations are stored."""
    return torch.as_tensor(z, dtype=torch.float32, device=device)


def described(truth: Truth, measure: str) -> Row:
    """The columns that say what is measured."""
    suffix = measure.rpartition("_")[2]
    return {
        "distribution": truth.name,
        "group": truth.group,
        "measure": measure,
        "bound": suffix if suffix in ("upper", "lower") and not truth.again else "",
        "truth": truth.truth_of(measure),
        "judged": intervals_judged(truth),
    }


def in_nats(estimate: Estimate) -> Row:
    """The columns of an estimate; bits become nats."""
    scale = math.log(2) if estimate.unit == "bits" else 1.0

    def scaled(value: float | None) -> float | None:
        return None if value is None else scale * value

    return {
        "d": estimate.d,
        "note": estimate.note,
        "unit": "nats" if estimate.unit == "bits" else estimate.unit,
        "estimate": scaled(estimate.value),
        "extrapolated": scaled(estimate.extrapolated),
        "stderr": scaled(estimate.stderr),
        "calibration": scaled(estimate.calibration),
    }


def changes(before: list[Estimate], after: list[Estimate]) -> list[Estimate]:
    """By how much every measure moved from one checkpoint to the next."""
    later = {one.measure: one.value for one in after}
    moved = []
    for one in before:
        value = later.get(one.measure)
        difference = None if one.value is None or value is None else value - one.value
        moved.append(replace(one, value=difference, reference=0.0, stderr=None, extrapolated=None, calibration=None))
    return moved


def absent_rows(absent: list[Absent], measures: set[str]) -> list[Row]:
    """One row for each distribution without estimates and each measure that the family has and that is known of it."""
    return [
        described(one.truth, measure) | {"n": one.n, "note": one.note}
        for one in absent
        for measure in sorted(measures)
        if one.truth.truth_of(measure) is not None
    ]

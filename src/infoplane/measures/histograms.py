"""How the activations of each site are distributed at a few checkpoints, in bins that a site keeps throughout."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from infoplane.activations.file import Site
from infoplane.measures.decoding.gram import BLOCK
from infoplane.measures.health import mean_and_variance
from infoplane.measures.subject import Subject
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import HistogramsSpec
from infoplane.storage.parquet import write_rows

TAIL = 0.005
"""Share of the values that may lie beyond the bins on either side, at any checkpoint."""

SATURATED = 0.99
"""|a| above which a bounded activation is saturated."""

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("site", pa.string()),
        ("part", pa.string()),
        ("depth", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("counts", pa.list_(pa.int64())),
        ("below", pa.int64()),
        ("above", pa.int64()),
        ("not_finite", pa.int64()),
        ("zeros", pa.int64()),
        ("mean", pa.float64()),
        ("deviation", pa.float64()),
        ("saturated", pa.float64()),
    ]
)
"""One row per site and checkpoint. counts: in even bins from low to high, both of them included; with below, above
and not_finite they add up to samples x units. zeros: exact ones, which are in their bin too. mean, deviation: of all
values together, null where one is not finite. saturated: share with |a| > `SATURATED`, null for a site that leaves
[-1, 1]."""


def write(spec: HistogramsSpec, subject: Subject, output: Path, labels: dict[str, Any]) -> None:
    """Write the histograms of every sum of a run, or of every site where no sum was read, atomically.

    labels: of the run: ``architecture``, ``shortcut``, ``seed``. A run that diverged has the checkpoints that it
    reached. Raises `UserError` for files that are missing, damaged or not of one another.
    """
    steps = evenly(subject.steps, spec.checkpoints)
    sites = [site for site in subject.sites if site.part == "z"] or subject.sites
    rows = [row for site in progress(sites, "histograms") for row in histograms(subject, site, steps, spec.bins)]
    about = {
        **labels,
        "spec": spec.to_dict(),
        "range": f"from the least {TAIL:.1%} quantile to the largest {1 - TAIL:.1%} quantile of the checkpoints shown",
        "n": subject.targets.n,
        **subject.status,
        "versions": versions(),
        "device": subject.device.type,
    }
    write_rows(output, pa.Table.from_pylist(rows, SCHEMA), about)


def evenly(steps: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the steps, evenly chosen among them, first and last included."""
    if len(steps) <= count:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)]


def histograms(subject: Subject, site: Site, steps: Sequence[int], bins: int) -> list[dict[str, Any]]:
    """The rows of one site, with the columns of `SCHEMA`."""
    ends = [extent(subject.read(step, site)) for step in steps]
    found = [one for one in ends if one is not None]
    low, high = (min(one[1] for one in found), max(one[2] for one in found)) if found else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    bounded = bool(found) and all(one[0] >= -1 and one[3] <= 1 for one in found)
    rows = []
    for step in steps:
        z = subject.read(step, site)
        finite = bool(torch.isfinite(z).all())
        mean, variance = mean_and_variance(z) if finite else (None, None)
        counts = count(z, low, high, bins)
        rows.append(
            {
                "step": step,
                "epoch": subject.epoch(step),
                "site": site.name,
                "part": site.part,
                "depth": site.depth,
                "low": low,
                "high": high,
                "counts": counts[1:-1],
                "below": counts[0],
                "above": counts[-1],
                "not_finite": z.numel() - sum(counts),
                "zeros": int((z == 0).sum()),
                "mean": mean,
                "deviation": math.sqrt(variance) if variance is not None else None,
                "saturated": int((z.abs() > SATURATED).sum()) / z.numel() if bounded else None,
            }
        )
    return rows


def extent(z: Tensor) -> tuple[float, float, float, float] | None:
    """Least value, the two quantiles at `TAIL` from either end, and largest value; None where nothing is finite.

    Quantiles are values that occur, rounded outwards.
    """
    flat = _finite(z).float()
    if not len(flat):
        return None
    last = len(flat) - 1
    low, high = (flat.kthvalue(place + 1).values for place in (math.floor(TAIL * last), math.ceil((1 - TAIL) * last)))
    return float(flat.min()), float(low), float(high), float(flat.max())


def _finite(z: Tensor) -> Tensor:
    """The finite values, shape (m,); without a copy where all are."""
    finite = torch.isfinite(z)
    return z.flatten() if bool(finite.all()) else z[finite]


def count(z: Tensor, low: float, high: float, bins: int) -> list[int]:
    """Finite values of activations of any shape below ``low``, in ``bins`` even bins up to ``high``, and above it."""
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64, device=z.device)
    edges[0], edges[-1] = low, math.nextafter(high, math.inf)
    found = torch.zeros(bins + 2, dtype=torch.int64, device=z.device)
    for part in _finite(z).split(BLOCK):
        places = torch.bucketize(part.double(), edges, right=True)
        found += torch.bincount(places, minlength=bins + 2)
    return found.tolist()

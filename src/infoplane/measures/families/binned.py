"""Mutual information by binning, in bits: I(X;Z) and I(Z;Y) as the information plane is usually drawn."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from infoplane.activations.file import Site
from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.binned import (
    Bins,
    answer_entropy,
    fixed_bins,
    group_cells,
    information_of_cells,
    quantile_bins,
    range_bins,
    width_bins,
)
from infoplane.measures.information.entropy import Groups, as_array, entropy_of_counts, group, group_rows
from infoplane.measures.information.outliers import empty_note
from infoplane.measures.subject import Measured, Subject, Survey
from infoplane.measures.targets import Targets
from infoplane.options import require
from infoplane.progress import progress
from infoplane.specs import canonical

INPUTS = "identity"
GROUPS = "ignored"
ABOUT = {"ixz": "x", "izy": "y of classes"}

SATURATED = 0.9
"""From this share of samples alone in their cell on, a value gets a note: it then depends on n, not on Z."""

FEW_TIMES = 5
"""Where every input occurs this often on average, H(X) is that of X and not only that of the sample."""


@dataclass(frozen=True)
class Options:
    binning: Annotated[
        Literal["range", "run_range", "unit_range", "quantile", "fixed", "width"],
        "bins over the layer's range at each checkpoint, over that of the whole run, over each unit's, equally filled "
        "ones, fixed edges (the field's), or a fixed width",
    ] = "range"
    bins: Annotated[int, "bins per unit; with `fixed`, edges, of which the last one is a bin of its own"] = 30
    low: Annotated[float, "the first edge, where binning is fixed"] = -1.0
    high: Annotated[float, "the last edge, where binning is fixed"] = 1.0
    width: Annotated[float, "width of a bin, where binning is width"] = 0.5
    correction: Annotated[
        Literal["none", "miller_madow"],
        "correction of the entropies of a finite sample: none, or their first-order bias",
    ] = "none"

    def __post_init__(self) -> None:
        kinds = ("range", "run_range", "unit_range", "quantile", "fixed", "width")
        require(self.binning in kinds, f"binning must be one of {', '.join(kinds)}, got {self.binning}")
        require(2 <= self.bins <= 65536, f"bins must be 2 to 65536, got {self.bins}")
        require(self.low < self.high, f"low must be below high, got {self.low} and {self.high}")
        require(self.width > 0, f"width must be above 0, got {self.width}")
        corrections = ("none", "miller_madow")
        require(
            self.correction in corrections, f"correction must be one of {', '.join(corrections)}, got {self.correction}"
        )


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """I(X;Z) and I(Z;Y) in bits of activations of shape (n, ...)."""
    return _estimates(z, group_rows(targets.x.given), group(targets.y_classes.labels), None, options, None)


def survey(subject: Subject, options: Options) -> Survey:
    """Every site at every checkpoint; with H(answer|Z) where the logits were read and pass through the site."""
    inputs, labels = group_rows(subject.targets.x.given), group(subject.targets.y_classes.labels)
    spans = {site: _span(subject, site) for site in subject.sites} if options.binning == "run_range" else {}
    for step in progress(subject.steps, "measures: binned"):
        answers = subject.answers(step)
        known = None if answers is None else group(answers)
        for site in subject.sites:
            # a branch is not all that the rest of the network sees
            seen = None if site.part == "f" else known
            found = _estimates(subject.read(step, site), inputs, labels, seen, options, spans.get(site))
            yield Measured(step, site.name, site.part, site.depth, found)


def _span(subject: Subject, site: Site) -> tuple[float, float] | None:
    """The least and the greatest finite value of a site over all checkpoints; None where there is none."""
    finite = [z[torch.isfinite(z)] for z in (subject.read(step, site) for step in subject.steps)]
    ends = [float(end) for z in finite if len(z) for end in torch.aminmax(z)]
    return (min(ends), max(ends)) if ends else None


def _estimates(
    z: Tensor,
    inputs: Groups,
    labels: Groups,
    answers: Groups | None,
    options: Options,
    span: tuple[float, float] | None,
) -> list[Estimate]:
    """span: of the whole run, for bins that cover it; None: of this activation."""
    flat = z.flatten(1).cpu()
    n, d = flat.shape
    blank = Estimate(measure="ixz", unit="bits", value=None, reference=0.0, n=n, d=d)
    rows = [blank, replace(blank, measure="izy")]
    if answers is not None:
        rows.append(replace(blank, measure="h_answer_z", reference=entropy_of_counts(answers.sizes) / math.log(2)))
    least, most = (float(end) for end in torch.aminmax(flat))
    if not (math.isfinite(least) and math.isfinite(most)):
        return [replace(row, note="non-finite") for row in rows]
    if least == most:
        return [replace(row, value=row.reference, note="constant") for row in rows]
    try:
        bins = _BINNINGS[options.binning](flat, options, span or (least, most))
    except UserError as error:
        return [replace(row, note=str(error)) for row in rows]
    cells = group_cells(flat, bins)
    found = information_of_cells(cells, inputs, labels, options.correction == "miller_madow")
    about = {
        "alone": found.alone,
        "bins": bins.count,
        "cells": found.cells,
        "clamped": bins.clamped,
        "h_z": found.entropy / math.log(2),
        "h_z_given_x": found.noise / math.log(2),
    }
    values = [found.ixz, found.izy] + ([] if answers is None else [answer_entropy(cells, answers)])
    few = FEW_TIMES * len(inputs.sizes) > n
    per_unit = options.binning == "unit_range"
    empty = empty_note(bins.index, as_array(flat), bins.count, per_unit) if "range" in options.binning else ""
    notes = ["; ".join(filter(None, [_notes(bins, found.alone if few else 0.0, options), empty]))] * 2 + [""]
    if len(inputs.sizes) == 1:
        notes[0] = "; ".join(filter(None, [notes[0], "constant input"]))
    if len(labels.sizes) == 1:
        notes[1] = "; ".join(filter(None, [notes[1], "one class only"]))
    return [
        replace(row, value=value / math.log(2), note=note, detail=canonical(about))
        for row, value, note in zip(rows, values, notes, strict=False)
    ]


def _notes(bins: Bins, alone: float, options: Options) -> str:
    notes = []
    if bins.clamped > 0:
        notes.append(f"clamped: {bins.clamped:.3%} of the values lie outside {options.low:g} to {options.high:g}")
    if alone >= SATURATED:
        notes.append(f"saturated: {alone:.0%} of the samples are alone in their cell")
    return "; ".join(notes)


_BINNINGS: dict[str, Callable[[Tensor, Options, tuple[float, float]], Bins]] = {
    "range": lambda z, options, span: range_bins(z, options.bins),
    "run_range": lambda z, options, span: range_bins(z, options.bins, span=span),
    "unit_range": lambda z, options, span: range_bins(z, options.bins, per_unit=True),
    "quantile": lambda z, options, span: quantile_bins(z, options.bins),
    "fixed": lambda z, options, span: fixed_bins(z, options.bins, options.low, options.high),
    "width": lambda z, options, span: width_bins(z, options.width),
}

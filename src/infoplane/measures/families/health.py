"""Representation health: surviving neurons, intensity over depth, channel means, effective rank, alignment to X, Y."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from infoplane.measures.estimate import Estimate
from infoplane.measures.health import (
    active_share,
    alignment,
    cantelli_bound,
    centred_products,
    channels,
    effective_rank,
    intensity,
    largest_share,
    largest_step,
    last_to_max,
    matrix_entropy,
    mean_and_variance,
    mean_cosine,
    mean_share,
    participation_ratio,
    predicted_survivors,
    response_range,
    spatial_deviation,
    spectrum,
    surviving_share,
)
from infoplane.measures.subject import Measured, Subject, Survey
from infoplane.measures.targets import Classes, Numbers, Variable
from infoplane.options import require
from infoplane.progress import progress
from infoplane.specs import canonical

ABOUT = {"cka_input": "x", "cka_label": "y"}

NETWORK = "network"
"""The site of values over all depths together."""


@dataclass(frozen=True)
class Options:
    alignment: Annotated[
        Literal["unbiased", "plain"],
        "linear CKA without bias, or as first published (close to 1 where dimensions outnumber the samples)",
    ] = "unbiased"

    def __post_init__(self) -> None:
        require(self.alignment in ("unbiased", "plain"), f"alignment: unbiased or plain, got {self.alignment}")


MEASURES = {
    "surviving_share": ("share", None),
    "surviving_bound": ("share", None),
    "active_share": ("share", None),
    "intensity": ("1", None),
    "response_range": ("1", None),
    "largest_channel_mean": ("1", 0.0),
    "channel_variance": ("1", None),
    "effective_rank": ("1", None),
    "participation_ratio": ("1", None),
    "matrix_entropy": ("nats", None),
    "largest_share": ("share", None),
    "mean_share": ("share", None),
    "cka_input": ("1", 0.0),
    "cka_label": ("1", 0.0),
}
"""Measure -> its unit, and the value of a representation without information. Besides, ``spatial_deviation`` where
there is space, and ``cosine_before`` where the sum read before has the same shape."""


def survey(subject: Subject, options: Options) -> Survey:
    """Every site at every checkpoint, and the intensity over depth of every checkpoint."""
    of_input, of_label = _products(subject.targets.x), _products(subject.targets.y)
    nothing = "one class only" if isinstance(subject.targets.y, Classes) else "constant target"
    unbiased = options.alignment == "unbiased"
    chain = [one.z for one in subject.additions] or [site for site in subject.sites if site.part == "z"]
    shortcuts = {one.z.column: one.s.column if one.s else None for one in subject.additions}
    for step in progress(subject.steps, "measures: health"):
        moments: dict[str, tuple[float, float]] = {}
        intensities: dict[str, float] = {}
        before: Tensor | None = None
        for site in subject.sites:
            z = subject.read(step, site)
            finite = bool(torch.isfinite(z).all())
            if finite:
                moments[site.column], intensities[site.column] = mean_and_variance(z), intensity(z)
            estimates = list(_site(z, finite, of_input, of_label, nothing, unbiased))
            if site.column in shortcuts:
                estimates.append(_predicted(z, shortcuts[site.column], moments))
            if site.part == "z":
                if finite and before is not None and before.shape == z.shape:
                    estimates.append(_alike(before, z, estimates[0].note))
                before = z if finite else None
            yield Measured(step, site.name, site.part, site.depth, estimates)
        if chain:
            found = {site.name: intensities.get(site.column) for site in chain}
            yield Measured(step, NETWORK, "z", chain[-1].depth, list(_over_depth(found, subject.targets.n)))


def _products(variable: Variable) -> Tensor:
    """Inner products of the samples of a variable, shape (n, n), up to a shift."""
    if isinstance(variable, Numbers):
        return centred_products(variable.values)
    return variable.one_hot.T @ variable.one_hot


def _site(
    z: Tensor, finite: bool, of_input: Tensor, of_label: Tensor, nothing: str, unbiased: bool
) -> Iterator[Estimate]:
    """Measure what needs only one activation; nothing: the note where Y does not vary."""
    if not finite:
        for measure, (unit, reference) in MEASURES.items():
            yield _estimate(measure, unit, None, z, reference=reference, note="non-finite")
        return
    mean, variance = mean_and_variance(z)
    means, variances = channels(z)
    products = centred_products(z)
    eigenvalues = spectrum(z, products)
    active = active_share(z)
    constant = "" if active else "constant"
    alike = {
        "cka_input": (alignment(products, of_input, unbiased), "constant input"),
        "cka_label": (alignment(products, of_label, unbiased), nothing),
    }
    values: dict[str, float | None] = {
        "surviving_share": surviving_share(z),
        "surviving_bound": cantelli_bound(mean, variance),
        "active_share": active,
        "intensity": intensity(z),
        "response_range": response_range(z),
        "largest_channel_mean": float(means.abs().max()),
        "channel_variance": float(variances.mean()),
        "effective_rank": 0.0 if constant else effective_rank(eigenvalues),
        "participation_ratio": 0.0 if constant else participation_ratio(eigenvalues),
        "matrix_entropy": 0.0 if constant else matrix_entropy(eigenvalues),
        "largest_share": 0.0 if constant else largest_share(eigenvalues),
        "mean_share": mean_share(z),
    }
    for measure, value in values.items():
        unit, reference = MEASURES[measure]
        yield _estimate(measure, unit, value, z, reference=reference, note=constant)
    for measure, (value, why) in alike.items():
        unit, reference = MEASURES[measure]
        if constant:
            value, why = reference, constant
        note = why if value is None or constant else ""
        yield _estimate(measure, unit, value, z, reference=reference, note=note)
    if (deviation := spatial_deviation(z)) is not None:
        yield _estimate("spatial_deviation", "1", deviation, z, note=constant)


def _predicted(z: Tensor, shortcut: str | None, moments: dict[str, tuple[float, float]]) -> Estimate:
    """The bound from the shortcut's mean and variance; 0 where there is no shortcut."""
    if shortcut is None:
        return _estimate("surviving_bound_predicted", "share", 0.0, z, note="no shortcut")
    if shortcut not in moments:
        return _estimate("surviving_bound_predicted", "share", None, z, note="non-finite")
    return _estimate("surviving_bound_predicted", "share", predicted_survivors(*moments[shortcut]), z)


def _alike(before: Tensor, z: Tensor, note: str) -> Estimate:
    """The mean cosine with the sum before; note: what is said of z already."""
    cosine = mean_cosine(before, z)
    if cosine is None:
        note = note or "zero"
    return _estimate("cosine_before", "1", cosine, z, note=note)


def _over_depth(intensities: dict[str, float | None], n: int) -> Iterator[Estimate]:
    """How intensity changes over the sums of one checkpoint, from input to output."""
    names, values = list(intensities), [value for value in intensities.values() if value is not None]
    whole = len(values) == len(names)
    last, step = (last_to_max(values), largest_step(values)) if whole else (None, None)
    largest = names[values.index(max(values))] if whole else None
    between = {"from": names[step[1] - 1], "to": names[step[1]]} if step else None
    few = "fewer than two sums, or one is zero"
    for measure, value, where, why in (
        ("intensity_last_to_max", last, {"last": names[-1], "max": largest}, "all sums are zero"),
        ("intensity_largest_step", step[0] if step else None, between, few),
    ):
        note = "" if value is not None else why if whole else "non-finite"
        detail = canonical(where) if value is not None else ""
        common: dict[str, Any] = {"reference": None, "n": n, "d": len(names), "note": note, "detail": detail}
        yield Estimate(measure=measure, unit="1", value=value, **common)


def _estimate(measure: str, unit: str, value: float | None, z: Tensor, **more: Any) -> Estimate:
    common: dict[str, Any] = {"reference": None, "n": len(z), "d": z[0].numel()} | more
    return Estimate(measure=measure, unit=unit, value=value, **common)

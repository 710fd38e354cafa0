"""Shortcut, branch and sum of every addition: what can be read from each, how they relate, what changing f would do.

Per addition and checkpoint: Z-X and Z-Y of s, f and z; norms, cosine, regression of f on s and variance shares; all
again in the subspace of s that is informative; and Z-X and Z-Y of s + f with the branch changed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.anatomy import (
    branch_ratios,
    cosines,
    decoder_basis,
    is_sum,
    principal_basis,
    regression_coefficient,
    restrict,
    variance_shares,
)
from infoplane.measures.counterfactuals import (
    Change,
    Decoders,
    permutation_within,
    permuted,
    products,
    rescaled,
    together,
    without_antiparallel,
)
from infoplane.measures.decoding.decode import blank, nothing_to_decode
from infoplane.measures.decoding.ridge import decades, normalised_error
from infoplane.measures.estimate import Estimate
from infoplane.measures.families import linear
from infoplane.measures.groups import standard_error
from infoplane.measures.subject import Addition, Measured, Subject, Survey
from infoplane.measures.targets import Numbers, Targets, Variable
from infoplane.options import require
from infoplane.progress import progress
from infoplane.specs import canonical

ABOUT = {"zx": "x of numbers", "zx_*": "x of numbers", "zy": "y", "zy_*": "y"}


@dataclass(frozen=True)
class Options:
    subspace: Annotated[
        Literal["components", "decoder"],
        "which directions of s are informative: its top principal components, or those its ridge decoder of X reads",
    ] = "components"
    share: Annotated[
        float, "share of the variance (of s, or of the decoder's predictions) that these directions hold, in (0, 1]"
    ] = 0.9
    scales: Annotated[tuple[float, ...], "factors by which the branch is rescaled; []: it is not"] = (0.0, 0.5, 2.0)
    counterfactuals: Annotated[
        bool, "change the branch and decode again; this takes more than half of the family's time"
    ] = True
    folds: Annotated[int, "cross-validation folds of Z-Y and of all counterfactuals"] = 5
    weakest_ridge: Annotated[float, "lower end of the ridge grid, in units of the mean squared norm of a sample"] = 1e-8
    strongest_ridge: Annotated[float, "upper end of the ridge grid; above it only the constant predictor is left"] = 1e3
    seed: Annotated[int, "random seed of the folds and of the permutation of the branch"] = 0

    def __post_init__(self) -> None:
        require(self.subspace in ("components", "decoder"), f"subspace: components or decoder, got {self.subspace}")
        require(0 < self.share <= 1, f"share must be in (0, 1], got {self.share}")
        require(all(scale >= 0 for scale in self.scales), f"scales must be at least 0, got {list(self.scales)}")
        require(len(set(self.scales)) == len(self.scales), f"scales must differ, got {list(self.scales)}")
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        require(
            0 < self.weakest_ridge < self.strongest_ridge,
            f"ridges must rise from above 0, got {self.weakest_ridge} to {self.strongest_ridge}",
        )


def survey(subject: Subject, options: Options) -> Survey:
    """Every addition at every checkpoint; where there is no shortcut, Z-X and Z-Y of f and z alone.

    Raises `UserError` where the run's activations lack shortcuts or branches.
    """
    additions = _additions(subject)
    wanted = [(step, addition) for step in subject.steps for addition in additions]
    decoder = linear.Options(
        folds=options.folds,
        weakest_ridge=options.weakest_ridge,
        strongest_ridge=options.strongest_ridge,
        seed=options.seed,
    )
    last: tuple[Tensor, list[Estimate]] | None = None
    for step, addition in progress(wanted, "measures: anatomy"):
        found: dict[str, list[Estimate]] = {"s": [], "f": [], "z": []}
        values = {
            part: subject.read(step, site)
            for part, site in (("s", addition.s), ("f", addition.f), ("z", addition.z))
            if site is not None
        }
        for part, z in values.items():
            if last is None or not torch.equal(z, last[0]):  # an identity shortcut is the sum before it
                last = z, linear.estimate(z, subject.targets, decoder)
            found[part] += last[1]
        if addition.s is not None:
            projected = any(site.projection for site in (addition.s, addition.f))
            for part, estimate in relations(values["s"], values["f"], values["z"], subject.targets, options, projected):
                found[part].append(estimate)
        for part in values:
            yield Measured(step, addition.name, part, addition.depth, found[part])


def _additions(subject: Subject) -> list[Addition]:
    """The run's additions; a shortcut that was not read is not the same as none."""
    asked = (subject.activations.metadata.get("spec") or {}).get("sites") or ["*"]
    additions = subject.additions
    unread = [
        one.name
        for one in additions
        if one.s is None and not any(fnmatchcase(f"{one.name}.s", pattern) for pattern in asked)
    ]
    if not additions or unread:
        missing = f"{unread[0]}.s, the shortcut" if unread else "the branch (f) and the sum (z) of any addition"
        raise UserError(
            f"{subject.activations_path} lacks {missing}: the measure 'anatomy' compares shortcut, branch and sum, "
            'so set activations.sites to ["*"].'
        )
    return additions


GEOMETRY = {
    "branch_ratio": ("f", "1"),
    "cosine": ("f", "1"),
    "regression_f_on_s": ("f", "1"),
    "variance_share_s": ("z", "share"),
    "variance_share_f": ("z", "share"),
    "variance_share_cross": ("z", "share"),
}
"""Measure -> the part that it is listed under, and its unit."""


def relations(
    s: Tensor, f: Tensor, z: Tensor, targets: Targets, options: Options, projected: bool = False
) -> Iterator[tuple[str, Estimate]]:
    """Every measure of more than one of s, f and z, of shape (n, ...), each with the part that it is listed under.

    projected: whether s or f was stored through a random projection, of which each site has its own. Where s and f
    cannot be put together there are only the measures of `GEOMETRY`, without values, and the note says why.
    """
    refused = ""
    if not all(bool(torch.isfinite(values).all()) for values in (s, f, z)):
        refused = "non-finite"
    elif projected:
        refused = "s and f are projected, each in its own way: leave them out of activations.project"
    elif s.shape != f.shape:
        refused = f"s and f are stored in different shapes, {list(s.shape[1:])} and {list(f.shape[1:])}"
    if refused:
        for measure, (part, unit) in GEOMETRY.items():
            yield part, _estimate(measure, unit, None, f, note=refused)
        return
    detail = canonical({"z_equals_s_plus_f": is_sum(s, f, z)})
    yield from _geometry(s, f, "", detail)
    ridges = decades(options.weakest_ridge, options.strongest_ridge)
    yield from _informative(s, f, targets, options, ridges)
    if options.counterfactuals:
        yield from _counterfactuals(s, f, targets, options, ridges, detail)


def _estimate(measure: str, unit: str, value: float | None, z: Tensor, **more: Any) -> Estimate:
    values: dict[str, Any] = {"reference": None, "n": len(z), "d": z[0].numel()} | more
    return Estimate(measure=measure, unit=unit, value=value, **values)


def _geometry(s: Tensor, f: Tensor, suffix: str, detail: str) -> Iterator[tuple[str, Estimate]]:
    """Norms, cosine, regression and variance shares."""
    ratios, angles, shares = branch_ratios(s, f), cosines(s, f), variance_shares(s, f)
    found: dict[str, tuple[float | None, float | None, str]] = {
        "branch_ratio": (*_mean(ratios), "s is zero"),
        "cosine": (*_mean(angles), "s or f is zero"),
        "regression_f_on_s": (regression_coefficient(s, f), None, "constant s"),
    } | {
        f"variance_share_{term}": (shares[index] if shares else None, None, "constant sum")
        for index, term in enumerate(("s", "f", "cross"))
    }
    for measure, (value, stderr, why) in found.items():
        part, unit = GEOMETRY[measure]
        note = why if value is None else ""
        yield part, _estimate(measure + suffix, unit, value, f, stderr=stderr, note=note, detail=detail)


def _mean(values: Tensor) -> tuple[float | None, float | None]:
    """Mean and standard error."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else None), None
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def _informative(
    s: Tensor, f: Tensor, targets: Targets, options: Options, ridges: Sequence[float]
) -> Iterator[tuple[str, Estimate]]:
    """The same in the informative subspace of s: geometry, and Z-X and Z-Y of s, f and s + f in it."""
    if options.subspace == "components":
        basis = principal_basis(s, options.share)
    else:
        basis = decoder_basis(s, targets.x_numbers.values, options.share, ridges, targets.groups)
    detail = canonical({"subspace": options.subspace, "share": options.share, "dimensions": basis.shape[1]})
    parts = {"s": restrict(s, basis), "f": restrict(f, basis)}
    parts["z"] = parts["s"] + parts["f"]
    yield from _geometry(parts["s"], parts["f"], "_informative", detail)
    folds = targets.folds(options.folds, options.seed)
    for part, values in parts.items():
        decoders = Decoders(together(values), targets, folds, ridges)
        for estimate in _told("informative", values, decoders, decoders.intact, detail, decoders.constant):
            yield part, estimate


def _counterfactuals(
    s: Tensor, f: Tensor, targets: Targets, options: Options, ridges: Sequence[float], detail: str
) -> Iterator[tuple[str, Estimate]]:
    """Z-X and Z-Y of s + f, then with the branch changed: by the decoder that was fitted on s + f, and fitted anew."""
    folds = targets.folds(options.folds, options.seed)
    changes: dict[str, Change] = {"without_antiparallel": without_antiparallel(s, f)}
    changes |= {f"branch_x{scale:g}".replace(".", "_"): rescaled(scale) for scale in options.scales}
    changes["permuted_branch"] = permuted(permutation_within(folds, options.seed))
    decoders = Decoders(products(s, f), targets, folds, ridges)
    losses: dict[str, Losses] = {"intact": decoders.intact}
    for name, change in changes.items():
        losses[f"{name}_fixed"] = partial(decoders.fixed, change=change)
        losses[f"{name}_refitted"] = partial(decoders.refitted, change=change)
    for name, of in losses.items():
        constant = decoders.constant and not name.endswith("_refitted")
        for estimate in _told(name, f, decoders, of, detail, constant):
            yield "z", estimate


Losses = Callable[[Variable], Tensor]


def _told(name: str, z: Tensor, decoders: Decoders, losses: Losses, detail: str, constant: bool) -> Iterator[Estimate]:
    """Z-X and Z-Y from left-out losses of a variable; constant: what was decoded does not vary."""
    targets = decoders.targets
    groups = None if targets.groups is None else targets.groups[decoders.folds >= 0]
    more = {"folds": len(decoders.training), "detail": detail}
    for measure, variable in targets.decoded.items():
        empty = replace(blank(measure, variable, len(z), z[0].numel(), **more), measure=f"{measure}_{name}")
        of_mean = decoders.of_mean(variable) if isinstance(variable, Numbers) else None
        if not variable.varies or (of_mean is not None and not bool(of_mean.sum() > 0)):
            note = nothing_to_decode(blank(measure, variable, len(z), 1)).note
            yield replace(empty, value=None if of_mean is not None else 0.0, note=note)
        elif constant:
            yield replace(empty, value=empty.reference, note="constant")
        elif of_mean is not None:
            value, stderr = normalised_error(losses(variable), of_mean, groups)
            yield replace(empty, value=value, stderr=stderr)
        else:
            left_out = losses(variable)
            yield replace(empty, value=float(left_out.mean()), stderr=standard_error(left_out, groups))

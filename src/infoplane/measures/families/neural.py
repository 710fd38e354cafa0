"""Trained decoder networks (MLP, convolutional or token) for Z-X and Z-Y, early-stopped and cross-fitted."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from infoplane.measures.blocks import blocks
from infoplane.measures.decoding.cross_fitting import Splits, cross_fit
from infoplane.measures.decoding.decode import blank, knowing_nothing, nothing_to_decode
from infoplane.measures.decoding.fitting import Fit, Schedule
from infoplane.measures.decoding.neural import (
    Decoded,
    Plan,
    choose_kind,
    cross_entropy,
    decoder_of_classes,
    decoder_of_numbers,
    judge_classes,
    judge_numbers,
    prior_logits,
    squared_error,
    train,
)
from infoplane.measures.decoding.ridge import normalised_error, outlying
from infoplane.measures.decoding.splitwise import principal_components
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.estimate import Estimate
from infoplane.measures.groups import standard_error
from infoplane.measures.subject import Measured, Subject, Survey, content
from infoplane.measures.targets import LETTERS, Numbers, Targets
from infoplane.options import require, require_positive
from infoplane.progress import progress
from infoplane.specs import canonical

ABOUT = {"zx": "x of numbers", "zy": "y"}


@dataclass(frozen=True)
class Options:
    decoder: Annotated[
        Literal["auto", "mlp", "convolutional", "token"],
        "auto: by the activation's shape; a decoder that the shape does not fit is replaced by an mlp",
    ] = "auto"
    width: Annotated[int, "units of every hidden layer (of an MLP; of token: per token)"] = 64
    channels: Annotated[int, "channels of every hidden layer of the convolutional decoder"] = 16
    depth: Annotated[int, "number of hidden layers"] = 2
    components: Annotated[
        int,
        "principal components that an MLP reads of a Z with more dimensions (only with a fresh start; 0: all)",
    ] = 256
    linear: Annotated[bool, "mix a linear decoder with each network, by weights chosen on validation samples"] = True
    start: Annotated[
        Literal["fresh", "warm"], "warm: every checkpoint's networks begin at the weights of the one before"
    ] = "fresh"
    folds: Annotated[
        int, "number of cross-fitting folds: each sample is judged by decoders trained on the other folds"
    ] = 5
    repeats: Annotated[
        int, "networks per fold, with different initial weights and validation samples; their answers are averaged"
    ] = 2
    validation: Annotated[float, "share of the other folds on which training is stopped and the mixture is weighed"] = (
        0.2
    )
    learning_rate: Annotated[float, "learning rate of AdamW"] = 3e-3
    weight_decay: Annotated[float, "weight decay of AdamW (decoupled: times the learning rate per step)"] = 0.1
    batch: Annotated[int, "samples per training step"] = 64
    epochs: Annotated[int, "largest number of epochs"] = 200
    patience: Annotated[
        int, "number of epochs in which the validation loss must fall by 1 %; training ends where it does not"
    ] = 10
    seed: Annotated[int, "random seed of folds, initial weights and the order of samples"] = 0

    def __post_init__(self) -> None:
        require_positive(self, "width", "channels", "depth", "repeats", "batch", "epochs", "patience")
        require(self.components >= 0, f"components must be at least 0, got {self.components}")
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        require(0 < self.validation < 1, f"validation must lie between 0 and 1, got {self.validation}")
        require(self.learning_rate > 0, f"learning_rate must be above 0, got {self.learning_rate}")
        require(self.weight_decay >= 0, f"weight_decay must be at least 0, got {self.weight_decay}")


TOGETHER = 512 << 20
"""Bytes of activations, their principal components and their decoders' outputs that are in memory at once."""


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), float16 to float64."""
    splits = cross_fit(targets, options.folds, options.repeats, options.validation, options.seed)
    found, _ = _decode([z], targets, splits, options, None)
    return found[0]


def survey(subject: Subject, options: Options) -> Survey:
    """Z-X and Z-Y of every site at every step; a site's checkpoints are trained together (fresh) or in turn (warm).

    Activations that are bit for bit known already, as an identity shortcut's are, are measured once.
    """
    targets = subject.targets
    splits = cross_fit(targets, options.folds, options.repeats, options.validation, options.seed)
    known: dict[bytes, list[Estimate]] = {}
    for site in progress(subject.sites, "measures: neural"):
        warm: _Warm | None = None
        if options.start == "warm":
            known.clear()
        for steps in _groups(subject.steps, math.prod(site.stored_shape), targets, splits, options):
            read = {step: subject.read(step, site) for step in steps}
            contents = {step: content(z) for step, z in read.items()}
            new = {contents[step]: z for step, z in read.items() if contents[step] not in known}
            if new:
                found, last = _decode(list(new.values()), targets, splits, options, warm)
                warm = last if options.start == "warm" else None
                known |= zip(new, found, strict=True)
            for step in steps:
                yield Measured(step, site.name, site.part, site.depth, known[contents[step]])


_Warm = dict[str, list[Tensor]]
"""Measure -> weights of the checkpoint before, where there was something to decode."""


def _groups(
    steps: Sequence[int], d: int, targets: Targets, splits: Splits, options: Options
) -> Iterator[Sequence[int]]:
    """Steps that are read and trained together."""
    if options.start == "warm":
        yield from ([step] for step in steps)
        return
    judged = splits.validation.shape[1] + len(splits.test[0])
    variables = targets.decoded.values()
    outputs = max(one.given[0].numel() if isinstance(one, Numbers) else one.count for one in variables)
    held = 4 * (3 * targets.n * d + len(splits) * judged * outputs) + 8 * targets.n * min(targets.n, d)
    together = max(1, TOGETHER // held)
    yield from (steps[first : first + together] for first in range(0, len(steps), together))


def _decode(
    activations: list[Tensor], targets: Targets, splits: Splits, options: Options, warm: _Warm | None
) -> tuple[list[list[Estimate]], _Warm | None]:
    """Z-X and Z-Y of activations of one shape."""
    shape = tuple(activations[0].shape[1:])
    flat = [z.flatten(1) for z in activations]
    n, d = flat[0].shape
    blanks = [blank(name, variable, n, d, folds=options.folds) for name, variable in targets.decoded.items()]
    variables = list(targets.decoded.values())
    found: list[list[Estimate]] = [[]] * len(flat)
    able, prepared, components = [], [], []
    for index, z in enumerate(flat):
        if not bool(torch.isfinite(z).all()):
            found[index] = [replace(one, note="non-finite", folds=None) for one in blanks]
            continue
        values, constant = standardise(z)
        found[index] = [replace(one, constant_features=constant) for one in blanks]
        if constant == d:
            found[index] = [
                knowing_nothing(replace(one, folds=None), variable, targets.groups)
                for one, variable in zip(found[index], variables, strict=True)
            ]
        else:
            able.append(index)
            components.append(principal_components(values))
            prepared.append(values)
    if not able:
        return found, warm
    kind = choose_kind(shape)
    if options.decoder not in ("auto", kind):
        kind = "mlp"
    width = options.channels if kind == "convolutional" else options.width
    plan = Plan(kind, width, options.depth, _schedule(options), options.seed)
    reduced = kind == "mlp" and options.start == "fresh" and 0 < options.components < d
    if reduced:
        inputs = torch.stack([one.largest(min(options.components, n - 1)) for one in components])
    else:
        inputs = torch.stack(prepared).unflatten(2, shape if kind != "mlp" else (d,))
    shape = tuple(inputs.shape[2:])
    about = {"decoder": kind, "start": options.start if warm else "fresh", "inputs": math.prod(shape)}
    weights: _Warm = {}
    for place, (measure, variable) in enumerate(targets.decoded.items()):
        if not variable.varies:
            for index in able:
                found[index][place] = nothing_to_decode(found[index][place])
            continue
        start = warm.get(measure) if warm else None
        if isinstance(variable, Numbers):
            x = decoder_of_numbers(plan, shape, variable)
            trained = train(x.network, inputs, splits, squared_error(x.coordinates), plan, None, start)
        else:
            network, prior = decoder_of_classes(plan, shape, variable), prior_logits(variable, splits)
            trained = train(network, inputs, splits, cross_entropy(variable.labels), plan, prior, start)
        weights[measure] = trained.fit.parameters
        for source, index in enumerate(able):
            given = trained.outputs[source], components[source]
            if isinstance(variable, Numbers):
                judged = judge_numbers(*given, x.coordinates, splits, options.linear)
            else:
                judged = judge_classes(*given, variable, splits, options.linear)
            found[index][place] = _estimate(
                found[index][place], judged, trained.fit, source, splits, about, options, targets
            )
    return found, weights


def _schedule(options: Options) -> Schedule:
    return Schedule(options.learning_rate, options.weight_decay, options.batch, options.epochs, options.patience)


def _estimate(
    found: Estimate,
    judged: Decoded,
    fit: Fit,
    place: int,
    splits: Splits,
    about: dict[str, Any],
    options: Options,
    targets: Targets,
) -> Estimate:
    """The value with its standard error over samples, and how training went in ``detail``."""
    count, left_out = len(splits), len(judged.losses)
    own, tested = slice(place * count, (place + 1) * count), torch.cat(splits.test)
    groups = None if targets.groups is None else targets.groups[tested]
    if found.unit == "nmse":
        value, stderr = normalised_error(judged.losses, judged.constant, groups)
        total = float(judged.constant.sum())
    else:
        value, stderr = float(judged.losses.mean()), standard_error(judged.losses, groups)
        total = left_out
    notes = [outlying(judged.constant, LETTERS[found.measure])] if found.unit == "nmse" else []
    diverged = int(fit.diverged[own].sum())
    at_limit = float(fit.limited[own].double().mean())
    if diverged:
        notes.append(f"decoder networks that diverged: {diverged} of {count}")
    if alone := found.n - left_out:
        notes.append(f"alone in their class and never left out: {alone}")
    repeats = torch.tensor(judged.repeats, dtype=torch.float64)
    constant, linear, network = judged.shares
    mixture = {"constant": constant, "linear": linear, "network": network}
    if not options.linear:
        mixture = {"constant": constant, "network": linear + network}
    detail = about | {
        "networks": count,
        "epochs": _three(fit.epochs[own]),
        "best_epoch": _three(fit.best_epoch[own]),
        "epoch_limit_share": at_limit,
        "training_loss": _mean(fit.training[own]),
        "validation_loss": _mean(fit.validation[own]),
        "repeats": [_number(one) for one in judged.repeats],
        "repeat_spread": _number(float(repeats.std())) if len(repeats) > 1 else None,
        "network_alone": _number(judged.network),
        "mixture": {name: _number(share) for name, share in mixture.items()},
    }
    if options.linear:
        detail["linear_alone"] = _number(judged.linear)
    return replace(
        found,
        value=value,
        stderr=stderr,
        edge="epochs:high" if at_limit else "",
        note="; ".join(filter(None, [*notes, targets.note])),
        detail=canonical(detail),
        blocks=blocks(judged.losses, tested, total, targets.groups),
    )


def _number(value: float) -> float | None:
    """Round to six digits; None for NaN and infinity, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _mean(values: Tensor) -> float | None:
    """The mean of the members that have a value: a network that never improved has no training loss."""
    return _number(float(values.double().nanmean()))


def _three(values: Tensor) -> list[float]:
    """Least, median and greatest."""
    ordered = values.double().sort().values
    return [float(ordered[0]), float(ordered.median()), float(ordered[-1])]

"""Nearest neighbours and extremely randomised trees for Z-X and Z-Y, where inverses are steep or jump."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from infoplane.measures.blocks import blocks
from infoplane.measures.decoding import one_unit
from infoplane.measures.decoding.decode import blank, knowing_nothing, nothing_to_decode
from infoplane.measures.decoding.local import Local, label_losses, squared_losses
from infoplane.measures.decoding.ridge import constant_losses, normalised_error
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.estimate import Estimate
from infoplane.measures.groups import standard_error
from infoplane.measures.targets import Classes, Numbers, Targets
from infoplane.options import require, require_positive
from infoplane.specs import canonical


@dataclass(frozen=True)
class Options:
    neighbours: Annotated[tuple[int, ...], "numbers of neighbours to try, ascending"] = (1, 3, 10, 30, 100)
    leaves: Annotated[tuple[int, ...], "least numbers of samples in a leaf to try, a forest for each"] = (1, 5)
    trees: Annotated[int, "trees in each forest"] = 50
    columns: Annotated[
        int,
        "X with at most this many columns has forests for each column; a wider X, for this many principal components",
    ] = 8
    folds: Annotated[int, "number of cross-validation folds"] = 5
    seed: Annotated[int, "random seed of the folds and trees"] = 0

    def __post_init__(self) -> None:
        require_positive(self, "trees", "columns")
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        for name in ("neighbours", "leaves"):
            values = list(getattr(self, name))
            rising = sorted(set(values)) == values
            require(bool(values) and values[0] >= 1 and rising, f"{name} must rise from at least 1, got {values}")


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...), every feature standardised.

    The decoders are mixed by weights chosen on other folds than the one that is judged, the constant predictor and the
    classes' frequencies among them, so that values stay near the reference where nothing can be decoded.
    """
    flat = z.flatten(1)
    n, d = flat.shape
    folds = [targets.folds(options.folds, options.seed, variable).cpu() for variable in targets.decoded.values()]
    blanks = [blank(name, variable, n, d, folds=options.folds) for name, variable in targets.decoded.items()]
    if not bool(torch.isfinite(flat).all()):
        return [replace(one, note="non-finite") for one in blanks]
    features, constant = standardise(flat)
    local = Local(options.neighbours, options.leaves, options.trees, options.columns, options.seed)
    seen, found = features.cpu().numpy(), []
    for one, variable, left_out in zip(blanks, targets.decoded.values(), folds, strict=True):
        estimate = replace(one, constant_features=constant)
        if constant == d:
            found.append(knowing_nothing(estimate, variable, targets.groups))
        elif not variable.varies:
            found.append(nothing_to_decode(estimate))
        elif isinstance(variable, Numbers):
            found.append(_of_numbers(estimate, seen, variable, targets, left_out, local))
        else:
            found.append(_of_classes(estimate, seen, variable, targets, left_out, local))
    return found


def _of_numbers(
    estimate: Estimate, z: np.ndarray, variable: Numbers, targets: Targets, left_out: Tensor, local: Local
) -> Estimate:
    values, groups = variable.values.cpu(), _groups(targets)
    constant = constant_losses(values, groups)
    # what is alone in its class is left out too, for numbers need no class; groups stay together
    together = torch.arange(estimate.n) if groups is None else groups
    everyone = torch.where(left_out < 0, together % (int(left_out.max()) + 1), left_out)
    found, weights = squared_losses(z, values.numpy(), everyone.numpy(), local)
    losses = torch.as_tensor(found)
    value, stderr = normalised_error(losses, constant, groups)
    return replace(
        estimate,
        value=value,
        stderr=stderr,
        detail=_mixture(local, weights),
        blocks=blocks(losses, torch.arange(estimate.n), constant.sum(), groups),
        note=targets.note,
    )


def _of_classes(
    estimate: Estimate, z: np.ndarray, variable: Classes, targets: Targets, left_out: Tensor, local: Local
) -> Estimate:
    found, weights = label_losses(z, variable.labels.cpu().numpy(), left_out.numpy(), local)
    judged = torch.nonzero(left_out >= 0)[:, 0]
    losses = torch.as_tensor(found)[judged]
    alone = f"alone in their class and never left out: {estimate.n - len(judged)}" if len(judged) < estimate.n else ""
    groups = _groups(targets)
    unit = one_unit.note(torch.as_tensor(z), variable, targets.groups, left_out, losses)
    return replace(
        estimate,
        value=float(losses.mean()),
        stderr=standard_error(losses, None if groups is None else groups[judged]),
        note="; ".join(filter(None, [alone, targets.note, unit])),
        detail=_mixture(local, weights),
        blocks=blocks(losses, judged, len(losses), groups),
    )


def _groups(targets: Targets) -> Tensor | None:
    return None if targets.groups is None else targets.groups.cpu()


def _mixture(local: Local, weights: np.ndarray) -> str:
    return canonical({"weights": {name: float(one) for name, one in zip(local.candidates, weights, strict=True)}})

"""Test whether one unit alone predicts the label better than a decoder of all units, which then has too few samples.

Of thousands of units of which one is informative, a decoder that weighs all of them finds nothing, with half of the
samples as with all: the learning curve is flat and does not show it. A search unit by unit does.
"""

import torch
from torch import Tensor

from infoplane.measures.decoding.gram import BLOCK
from infoplane.measures.decoding.learning_curve import CLEAR, SLIGHT
from infoplane.measures.groups import standard_error
from infoplane.measures.targets import Classes

ROUNDING = 1e-9
"""A unit whose variance is below this share of its mean square is constant but for rounding."""


def note(z: Tensor, variable: Classes, groups: Tensor | None, left_out: Tensor, losses: Tensor) -> str:
    """Name the value of the best single unit where it is clearly below the decoder's; else say nothing.

    z: activations, (n, d); left_out: the fold of every sample, -1 where it is in none, (n,); losses: cross-entropy of
    every judged sample by the decoder of all units, nats, (m,). Of every fold, the unit whose class means differ most
    in the other folds (analysis of variance, F) decodes the label by normal densities of one variance. Where there are
    fewer units than half of the samples a decoder of all of them can do that too, and nothing is searched.
    """
    n, d = z.shape
    if d <= n // 2:
        return ""
    z, left_out, losses = (one.to(variable.labels.device) for one in (z, left_out, losses))
    single = _losses(z, variable, left_out)
    judged = left_out >= 0
    gained = losses - single[judged]
    of_judged = None if groups is None else groups[judged]
    if float(gained.mean()) <= max(SLIGHT, CLEAR * standard_error(gained, of_judged)):
        return ""
    value = float(single[judged].mean())
    return f"too few samples for {d} units: one unit alone, found in the training folds, gives {value:.3g} nats"


def _losses(z: Tensor, variable: Classes, left_out: Tensor) -> Tensor:
    """Cross-entropy of every sample by the best unit of the other folds, nats, (n,); of no meaning where in no fold."""
    folds, n, classes = int(left_out.max()) + 1, len(z), variable.count
    training = (left_out[None] != torch.arange(folds, device=z.device)[:, None]).double()
    members = training[:, None] * variable.one_hot
    sizes = members.sum(2)
    best = z.new_full((folds,), -1, dtype=torch.float64)
    unit = z.new_zeros((folds, n), dtype=torch.float64)
    for block in z.split(max(1, BLOCK // (n * folds * classes)), dim=1):
        values = block.double()
        values = values - values.mean(0)
        squares, of_mean = training @ values.square(), (training @ values).square() / training.sum(1)[:, None]
        means = members @ values / sizes.clamp(min=1)[..., None]
        between = (sizes[..., None] * means.square()).sum(1) - of_mean
        total = squares - of_mean
        shares, where = torch.where(total > ROUNDING * squares, between / total, 0).max(1)
        better = shares > best
        best = torch.where(better, shares, best)
        unit = torch.where(better[:, None], values[:, where].T, unit)
    means = torch.einsum("fkn,fn->fk", members, unit) / sizes.clamp(min=1)
    errors = (unit[:, None] - means[..., None]).square()
    variance = (members * errors).sum((1, 2)) / (training.sum(1) - classes).clamp(min=1)
    scaled = errors / (2 * variance[:, None, None] + torch.finfo(torch.float64).tiny)
    densities = (sizes / sizes.sum(1, keepdim=True)).log()[..., None] - scaled
    surprises = densities.logsumexp(1) - densities.gather(1, variable.labels.expand(folds, 1, n))[:, 0]
    return surprises.gather(0, left_out.clamp(min=0)[None])[0]

"""A mean of one loss per sample, told on fixed parts of the samples, so that errors common to checkpoints cancel."""

import torch
from torch import Tensor

from infoplane.measures.estimate import BLOCKS


def blocks(
    losses: Tensor, rows: Tensor, total: float | Tensor, groups: Tensor | None = None
) -> tuple[float, ...] | None:
    """The value sum(losses) / total on each of `BLOCKS` parts of the samples; their plain mean is the value.

    losses: of the judged samples, shape (m,); rows: their positions in all samples, int64, shape (m,), in any order.
    Sample i is in part i modulo `BLOCKS`, or where samples belong together (groups: ids, shape (n,)) the part of its
    group's id; a part's value is `BLOCKS` * sum(its losses) / total. None where a part has no judged sample (fewer
    samples than parts), whose 0 would look like a perfect decoder, or where ``total`` is 0.
    """
    parts = (rows if groups is None else groups[rows.to(groups.device)]).cpu() % BLOCKS
    if int((torch.bincount(parts, minlength=BLOCKS) > 0).sum()) < BLOCKS or not float(total) > 0:
        return None
    # in the order of the samples and on the CPU: a sum of floats depends on its order
    order = rows.cpu().argsort()
    sums = torch.zeros(BLOCKS, dtype=torch.float64)
    sums.index_add_(0, parts[order], losses.double().cpu()[order])
    return tuple((BLOCKS * sums / float(total)).tolist())

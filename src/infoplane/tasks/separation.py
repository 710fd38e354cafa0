"""Separation: the sources of which a mixture is the sum, in any order; permutation-invariant SI-SDR."""

from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.metrics import Metric
from infoplane.options import Field, Fields, TaskOptions, require

MOST_SOURCES = 4
"""All orders of the sources are compared: 24 of four."""

SMALLEST_SHARE = 1e-8
"""Of the energy: SI-SDR lies between -80 and 80 dB."""
SMALLEST_NORM = 1e-6
"""What is weaker counts as silence, of which SI-SDR is the least."""


@dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    """Beside its fields there is nothing to choose."""

    @property
    def loss_unit(self) -> str:
        return "dB"

    def check(self, data: Fields) -> None:
        super().check(data)
        for name in (self.x, self.y):
            require(
                data[name].axes == "ct" and data[name].classes is None,
                f"'{name}' is {data[name]}: a separation needs sound, channels x time",
            )
        mixture, sources = data[self.x].shape, data[self.y].shape
        require(
            2 <= sources[0] <= MOST_SOURCES,
            f"'{self.y}' has {sources[0]} channels: a separation needs 2 to {MOST_SOURCES}, one for each source",
        )
        require(
            mixture == (1, sources[1]),
            f"'{self.x}' has {mixture[0]} channels of {mixture[1]} samples: a separation needs one, as long as the "
            f"sources in '{self.y}', {sources[1]}",
        )

    def output(self, data: Fields) -> Field:
        return data[self.y]

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        gain = Metric("si_sdr_improvement", "SI-SDR improvement", "dB", better=1, margin=0.5)
        return gain, Metric("si_sdr", "SI-SDR", "dB", better=1, margin=0.5)


def si_sdr(estimate: Tensor, source: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio in dB over the last axis; the other axes broadcast.

    Le Roux et al. 2019 (arXiv:1811.02508), equation 3, of signals less their means. Both are scaled to the norm 1,
    which changes no ratio.
    """
    estimate, source = (
        F.normalize(one - one.mean(-1, keepdim=True), dim=-1, eps=SMALLEST_NORM) for one in (estimate, source)
    )
    target = (estimate * source).sum(-1, keepdim=True) * source
    signal, noise = target.square().sum(-1), (estimate - target).square().sum(-1)
    noise = noise + (estimate.square().sum(-1) < 0.5)  # silence, of which no part is the source
    return 10 * ((signal + SMALLEST_SHARE) / (noise + SMALLEST_SHARE)).log10()


def best_order(output: Tensor, sources: Tensor) -> Tensor:
    """Compute SI-SDR in dB of answers (n, k, T), the mean over the sources in the order that gives most; (n,).

    Yu et al. 2017 (arXiv:1607.00325), section 3: permutation-invariant training.
    """
    each = si_sdr(output[:, :, None], sources[:, None])  # (n, answer, source)
    count = each.shape[1]
    orders = [
        torch.stack([each[:, answer, source] for answer, source in enumerate(order)]).mean(0)
        for order in permutations(range(count))
    ]
    return torch.stack(orders).amax(0)


def losses(output: Tensor, batch: dict[str, Tensor], options: Options) -> Tensor:
    """The negative SI-SDR of the best order, dB, shape (n,)."""
    return -best_order(output.float(), batch[options.y])


def scores(output: Tensor, batch: dict[str, Tensor], options: Options) -> dict[str, Tensor]:
    """SI-SDR of the best order, and by how much that is more than SI-SDR of the mixture; dB, shape (n,)."""
    sources = batch[options.y]
    found = best_order(output.float(), sources)
    mixture = si_sdr(batch[options.x], sources).mean(1)
    return {"si_sdr_improvement": found - mixture, "si_sdr": found}


def trivial(train: dict[str, Tensor], batch: dict[str, Tensor], options: Options) -> Tensor:
    """The mixture in place of every source."""
    return batch[options.x].expand_as(batch[options.y])

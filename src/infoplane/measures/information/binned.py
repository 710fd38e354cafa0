"""I(X;Z) and I(Z;Y) of a representation cut into bins, nats: what the field's information planes show.

A deterministic network on a continuous input has an infinite I(X;Z), so that the bins belong to the definition
(Saxe et al. 2018, Goldfeld et al. 2019): the value is H(Z) of the cells that the samples fall into. It is exact for the
sample at hand, and says how samples lie in the cells, not how much a decoder could know.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from infoplane.errors import UserError
from infoplane.measures.information.entropy import (
    Array,
    Groups,
    as_array,
    conditional_entropy,
    entropy_of_counts,
    group,
    group_indices,
    group_rows,
    joint,
    joint_sizes,
    miller_madow,
    sum_c_log_c,
)

MOST_BINS = 1 << 20
"""Of one unit; more than that would be no binning."""

TINIEST = 1e-300
"""Of a range that bins divide: the number of bins over it must be a number."""


@dataclass(frozen=True)
class Bins:
    """How the values of every unit of a representation are divided into bins.

    index: values (rows, d) -> the bins' numbers, 0 to count - 1, float64. clamped: the share of values outside the
    bins' range, which were put into the first or the last one.
    """

    index: Callable[[np.ndarray], np.ndarray]
    count: int
    clamped: float = 0.0


@dataclass(frozen=True)
class BinnedInformation:
    """Information from a partition of the samples into cells, nats.

    ixz: I(X;Z) = H(Z) - H(Z|X). izy: I(Z;Y) = H(Z) - H(Z|Y). entropy: H(Z). noise: H(Z|X), 0 for a deterministic
    network. cells: that hold a sample. alone: share of samples in a cell that no second input fell into; when it is 1,
    I(X;Z) is the entropy of the sample and says nothing of Z.
    """

    ixz: float
    izy: float
    entropy: float
    noise: float
    cells: int
    alone: float


def fixed_bins(z: Array, edges: int = 30, low: float = -1.0, high: float = 1.0) -> Bins:
    """Evenly spaced edges from low to high, each the start of a bin; the last one holds what is at or above high.

    30 edges on [-1, 1] are those of Shwartz-Ziv & Tishby (2017). What lies outside is clamped: of a ReLU layer whose
    values grow beyond 1, that alone makes I(X;Z) fall. z: (n, ...), finite.
    """
    least, most = value_range(z)
    values = as_array(z)
    clamped = float(((values < low) | (values > high)).mean()) if least < low or most > high else 0.0
    return Bins(partial(_even, low=low, rate=(edges - 1) / (high - low), last=edges - 1), edges, clamped)


def range_bins(z: Array, count: int = 30, per_unit: bool = False, span: tuple[float, float] | None = None) -> Bins:
    """Bins of one width from the least to the greatest value of the layer, or of each unit. z: (n, ...), finite.

    span: the least and greatest value to cover instead, such as those of the layer over the whole of training.
    """
    least, most = value_range(z) if span is None else span
    if not (least == most or TINIEST < most - least < math.inf):
        raise UserError(f"a range from {least:g} to {most:g} cannot be cut into bins: rescale the activations.")
    if not per_unit:
        rate = count / (most - least) if most > least else 0.0
        return Bins(partial(_even, low=least, rate=rate, last=count - 1), count)
    flat = _flat(z).astype(np.float64)
    lows = flat.min(0)
    spans = flat.max(0) - lows
    rates = np.where(spans > 0, count / np.where(spans > 0, spans, 1.0), 0.0)
    return Bins(partial(_even, low=lows, rate=rates, last=count - 1), count)


def _even(values: np.ndarray, low: float | np.ndarray, rate: float | np.ndarray, last: int) -> np.ndarray:
    """floor((values - low) rate) in float64, limited to 0 to last."""
    found = values.astype(np.float64)
    found -= low
    found *= rate
    np.floor(found, out=found)
    np.maximum(found, 0, out=found)
    return np.minimum(found, last, out=found)


def quantile_bins(z: Array, count: int = 30) -> Bins:
    """Bins that hold as nearly equally many samples of each unit as ties allow. z: (n, ...), finite."""
    value_range(z)
    ordered = np.sort(_flat(z), 0)
    edges = ordered[np.arange(1, count) * len(ordered) // count].T

    def index(values: np.ndarray) -> np.ndarray:
        cut = [np.searchsorted(mine, unit, side="right") for mine, unit in zip(edges, values.T, strict=True)]
        return np.stack(cut, 1).astype(np.float64)

    return Bins(index, count)


def width_bins(z: Array, width: float = 0.5) -> Bins:
    """Bins of a given width, one edge at 0, as many as the layer's range needs (Saxe et al. 2018).

    Divided in float32 where the values are of that precision or less, else in float64. z: (n, ...), finite. Raises
    `UserError` where that makes more than `MOST_BINS`.
    """

    def floors(values: np.ndarray) -> np.ndarray:
        exact = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
        return np.floor(np.divide(values, width, dtype=exact)).astype(np.float64)

    value_range(z)
    values = as_array(z)
    with np.errstate(over="ignore", invalid="ignore"):  # infinitely many bins are too many
        least, most = floors(np.array([values.min(), values.max()]))
        few = most - least < MOST_BINS
    if not few:
        raise UserError(f"bins of width {width:g} are too narrow: the layer's range holds more than {MOST_BINS:,}.")
    return Bins(lambda block: floors(block) - least, int(most - least) + 1)


def group_cells(z: Array, bins: Bins) -> Groups:
    """The samples that share all their bins; z: (n, ...)."""
    flat = _flat(z)
    n, d = flat.shape
    return group_indices(lambda part: bins.index(flat[part]), n, d, bins.count)


def _flat(z: Array) -> np.ndarray:
    values = as_array(z)
    return values.reshape(len(values), -1)


def information_of_cells(cells: Groups, inputs: Groups, labels: Groups, corrected: bool = False) -> BinnedInformation:
    """I(X;Z) and I(Z;Y) from which samples share a cell, an input and a label.

    corrected: each entropy raised by its first-order bias (`miller_madow`), where the samples are a sample and most
    cells hold several; not where they are all there is.
    """
    n, both = len(cells.labels), joint_sizes(cells, labels)
    entropy, noise = entropy_of_counts(cells.sizes), 0.0
    bias = miller_madow(cells.sizes) if corrected else 0.0
    ixz = entropy + bias
    if len(inputs.sizes) == n:
        alone = int(np.count_nonzero(cells.sizes == 1))
    else:
        alone = int(cells.sizes[_inputs_per_cell(inputs, cells) == 1].sum())
        noise = conditional_entropy(cells, inputs)
        ixz -= noise + (miller_madow(joint_sizes(inputs, cells)) - miller_madow(inputs.sizes) if corrected else 0.0)
    izy = entropy + bias + (sum_c_log_c(both, n) - sum_c_log_c(labels.sizes, n)) / n
    if corrected:
        izy -= miller_madow(both) - miller_madow(labels.sizes)
    return BinnedInformation(max(0.0, ixz), max(0.0, izy), entropy, noise, len(cells.sizes), alone / n)


def _inputs_per_cell(inputs: Groups, cells: Groups) -> np.ndarray:
    """How many different inputs fell into each cell, int64, (cells,)."""
    pairs = joint(inputs, cells)
    cell_of_pair = np.zeros_like(pairs.sizes)
    cell_of_pair[pairs.labels] = cells.labels
    return np.bincount(cell_of_pair, minlength=len(cells.sizes))


def binned_information(
    z: Array, bins: Bins, labels: Array, inputs: Array | None = None, corrected: bool = False
) -> BinnedInformation:
    """I(X;Z) and I(Z;Y), nats, of z (n, ...) cut into bins, with integer labels (n,).

    inputs: (n, ...), of which equal ones are one value of X; None when they are known to be all different.
    """
    known = group(np.arange(len(z))) if inputs is None else group_rows(inputs)
    return information_of_cells(group_cells(z, bins), known, group(labels), corrected)


def answer_entropy(cells: Groups, answers: Groups) -> float:
    """H(answer | Z), nats: 0 when the bins are fine enough to determine the network's answer."""
    return conditional_entropy(answers, cells)


def value_range(z: Array) -> tuple[float, float]:
    """The least and the greatest value; raises `UserError` where there is NaN or infinity."""
    least, most = (float(end) for end in torch.aminmax(torch.as_tensor(z)))
    if not (math.isfinite(least) and math.isfinite(most)):
        raise UserError("the activations hold NaN or infinity, which fit no bin.")
    return least, most

"""Weights and the gradients that training batches send to them: norms, and signal against noise.

Shwartz-Ziv and Tishby 2017 (arXiv:1703.00810), section 3.3: per layer, the norm of the gradients' mean over batches
(the drift) and of their standard deviation (the diffusion); where the second overtakes the first, drift ends.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from infoplane.models.batchnorm import has_batchnorm
from infoplane.task import Batch

Losses = Callable[[Tensor, Batch], Tensor]
"""Answers (n, *shape) and what belongs to them -> the loss of each sample, (n,)."""

ELEMENTS = 1 << 24
"""Gradient values held at a time."""

SMOOTHED = 0.25
"""Standard deviation, in log(1 + step), of the window that smooths a signal-to-noise curve."""


@dataclass(frozen=True)
class Moments:
    """Norms of the mean and of the standard deviation of one layer's gradients over batches.

    std: None with a single batch. Both are norms over all weights of the layer; the deviation divides by
    batches - 1.
    """

    mean: float
    std: float | None

    @property
    def snr(self) -> float | None:
        """Signal-to-noise ratio: mean over std; gradients that are noise alone have about batches^-1/2."""
        return self.mean / self.std if self.std else None


def weight_layers(network: nn.Module) -> dict[str, str]:
    """Layer -> the name of its weight, for every trained weight of two or more axes, from input to output."""
    return {
        name.removesuffix(".weight"): name
        for name, parameter in network.named_parameters()
        if name.endswith(".weight") and parameter.ndim > 1 and parameter.requires_grad
    }


def at_once(network: nn.Module) -> int:
    """How many batches' gradients are taken together: one where BatchNorm ties a batch to a pass of its own."""
    trained = sum(parameter.numel() for parameter in network.parameters())
    return 1 if has_batchnorm(network) else max(1, ELEMENTS // trained)


def batch_gradients(
    network: nn.Module, state: dict[str, Tensor], names: Sequence[str], inputs: Tensor, batch: Batch, losses: Losses
) -> dict[str, Tensor]:
    """Gradients of each batch's mean loss with respect to these weights, name -> (batches, *shape).

    In training mode; neither the network nor ``state``, its state dict at some step, is changed. inputs: shape
    (batches, batch_size, *shape); batch: tensors, (batches, batch_size, ...), of which ``losses`` are taken.
    """
    network.train()
    chosen = {name: state[name] for name in names}
    rest = {name: value for name, value in state.items() if name not in chosen}

    def loss(weights: dict[str, Tensor], x: Tensor, y: Batch) -> Tensor:
        return losses(functional_call(network, rest | weights, (x,)), y).mean()

    with sdpa_kernel(SDPBackend.MATH):  # the one kind of attention that can be batched over batches
        if not has_batchnorm(network):
            return vmap(grad(loss), (None, 0, 0), randomness="different")(chosen, inputs, batch)
        found: dict[str, list[Tensor]] = {name: [] for name in names}
        for index, x in enumerate(inputs):
            y = {name: value[index] for name, value in batch.items()}
            leaves = {name: value.detach().requires_grad_() for name, value in chosen.items()}
            values = {name: value.clone() for name, value in rest.items()}  # BatchNorm writes into its statistics
            one = losses(functional_call(network, values | leaves, (x,)), y).mean()
            for name, gradient in zip(names, torch.autograd.grad(one, list(leaves.values())), strict=True):
                found[name].append(gradient)
        return {name: torch.stack(gradients) for name, gradients in found.items()}


def gradient_moments(
    network: nn.Module,
    state: dict[str, Tensor],
    batches: Iterable[tuple[Tensor, Batch]],
    losses: Losses,
    seed: int = 0,
) -> dict[str, Moments]:
    """Layer -> norms of the mean and the deviation of its gradient over batches.

    batches: some batches at a time, inputs and batch as in `batch_gradients`; no more than `at_once` of them keep
    memory small. seed: of what the network draws at random, such as dropped branches.
    """
    layers = weight_layers(network)
    names = list(layers.values())
    sums = {name: torch.zeros_like(state[name], dtype=torch.float64) for name in names}
    squares = {name: torch.zeros_like(state[name], dtype=torch.float64) for name in names}
    count = 0
    devices = [state[names[0]].device] if names and state[names[0]].is_cuda else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        for inputs, batch in batches:
            count += len(inputs)
            for name, gradients in batch_gradients(network, state, names, inputs, batch, losses).items():
                sums[name] += gradients.sum(0, dtype=torch.float64)
                squares[name] += gradients.double().square().sum(0)
    found = {}
    for layer, name in layers.items():
        mean = sums[name] / count
        spread = (squares[name] - count * mean.square()).clamp(min=0) / (count - 1) if count > 1 else None
        found[layer] = Moments(float(mean.norm()), math.sqrt(float(spread.sum())) if spread is not None else None)
    return found


def together(moments: Iterable[Moments]) -> Moments:
    """The same of all layers' weights as one vector."""
    moments = list(moments)
    stds = [one.std for one in moments if one.std is not None]
    mean = math.hypot(*(one.mean for one in moments))
    return Moments(mean, math.hypot(*stds) if len(stds) == len(moments) else None)


def smooth(steps: Sequence[int], values: Sequence[float]) -> list[float]:
    """Positive values smoothed in their logarithm over log(1 + step), by a Gaussian window of deviation `SMOOTHED`."""
    at = torch.log1p(torch.tensor(steps, dtype=torch.float64))
    logs = torch.tensor(values, dtype=torch.float64).log()
    weights = torch.exp(-((at[:, None] - at) / SMOOTHED).square() / 2)
    smoothed: list[float] = ((weights @ logs) / weights.sum(1)).exp().tolist()
    return smoothed


def crossings(steps: Sequence[int], snr: Sequence[float | None]) -> list[float]:
    """Every step at which a signal-to-noise ratio falls below 1 after it was above.

    Found on the curve as `smooth` gives it, between two steps along its logarithm. steps: ascending. Ratios that are
    None, 0 or not finite are left out.
    """
    known = [(step, ratio) for step, ratio in zip(steps, snr, strict=True) if ratio and math.isfinite(ratio)]
    at = [math.log1p(step) for step, _ in known]
    curve = [math.log(ratio) for ratio in smooth([step for step, _ in known], [ratio for _, ratio in known])]
    return [
        math.expm1(at[i - 1] + (at[i] - at[i - 1]) * curve[i - 1] / (curve[i - 1] - curve[i]))
        for i in range(1, len(curve))
        if curve[i - 1] >= 0 > curve[i]
    ]


def drift_to_diffusion(steps: Sequence[int], snr: Sequence[float | None]) -> float | None:
    """The step at which the drift ends: the first of the `crossings`, None where there is none."""
    return next(iter(crossings(steps, snr)), None)

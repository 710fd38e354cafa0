"""Weight norms, and the gradients of training batches per layer: mean, deviation, signal-to-noise, end of the drift."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from infoplane.data.resident import ResidentSplit
from infoplane.measures.estimate import Estimate
from infoplane.measures.gradients import (
    Moments,
    at_once,
    crossings,
    drift_to_diffusion,
    gradient_moments,
    together,
    weight_layers,
)
from infoplane.measures.subject import Measured, Subject, Survey
from infoplane.models.build import build_from
from infoplane.options import require
from infoplane.progress import progress
from infoplane.specs import TrainSpec, canonical
from infoplane.task import Task

READS = ("checkpoints",)
ABOUT: dict[str, str] = {}

PART = "weight"
NETWORK = "network"
"""The site of all layers together."""


@dataclass(frozen=True)
class Options:
    batches: Annotated[
        int, "number of training batches over which mean and deviation are taken; 0: those of one epoch"
    ] = 0
    batch_size: Annotated[int, "samples in each batch; 0: as many as in the run's training"] = 0
    seed: Annotated[int, "random seed of the order of the samples and of what the network draws"] = 0

    def __post_init__(self) -> None:
        require(self.batches >= 0, f"batches must be at least 0, got {self.batches}")
        require(self.batch_size >= 0, f"batch_size must be at least 0, got {self.batch_size}")


def survey(subject: Subject, options: Options) -> Survey:
    """Every layer with weights, and all of them together, at every checkpoint; the same batches at all of them.

    Raises `UserError` for training images that the network was not made for.
    """
    run = subject.checkpoints
    spec = TrainSpec.from_dict(run.metadata["spec"])
    task = Task(spec.task, subject.train.fields)
    network = build_from(run, task.input, subject.train_path).to(subject.device)
    samples = ResidentSplit(subject.train, subject.device)
    order = rows(len(samples), options.batch_size or spec.training.batch_size, options)
    changed = task.options.changed
    note = f"of the samples as they are; the run learned with {changed}" if changed else ""
    ratios: dict[str, list[float | None]] = {layer: [] for layer in [*weight_layers(network), NETWORK]}
    for step in progress(run.steps, "measures: gradients"):
        state = {name: value.to(subject.device) for name, value in run.load(step).items()}
        moments = gradient_moments(network, state, _batches(network, samples, task, order), task.losses, options.seed)
        sizes = {layer: state[name].double().norm() for layer, name in weight_layers(network).items()}
        counts = {layer: state[name].numel() for layer, name in weight_layers(network).items()}
        moments[NETWORK] = together(moments.values())
        sizes[NETWORK] = torch.stack(list(sizes.values())).norm()
        counts[NETWORK] = sum(counts.values())
        for depth, (layer, found) in enumerate(moments.items()):
            ratios[layer].append(found.snr)
            estimates = list(_layer(found, float(sizes[layer]), order, counts[layer], note))
            if layer == NETWORK and step == run.steps[-1]:
                estimates.append(_end_of_drift(run.steps, ratios, order, counts[layer], note))
            yield Measured(step, layer, PART, depth, estimates)


def rows(samples: int, batch_size: int, options: Options) -> Tensor:
    """The samples of every batch, shape (batches, batch_size): whole batches of one permutation after another."""
    batch_size = min(batch_size, samples)
    per_epoch = samples // batch_size
    wanted = options.batches or per_epoch
    generator = torch.Generator().manual_seed(options.seed)
    epochs = [
        torch.randperm(samples, generator=generator)[: per_epoch * batch_size].view(per_epoch, batch_size)
        for _ in range(math.ceil(wanted / per_epoch))
    ]
    return torch.cat(epochs)[:wanted]


def _batches(
    network: nn.Module, samples: ResidentSplit, task: Task, order: Tensor
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Inputs and whole batches, some at a time."""
    for some in order.to(samples.values[task.x].device).split(at_once(network)):
        batch = samples.batch(some)
        yield batch[task.x], batch


def _layer(found: Moments, size: float, order: Tensor, count: int, note: str) -> Iterator[Estimate]:
    """Norms of one layer's weights and gradients, and the ratio that gradients of noise alone would have."""
    batches = len(order)
    detail = canonical({"batches": batches, "batch_size": order.shape[1]})
    for measure, value, reference in (
        ("weight_norm", size, None),
        ("gradient_mean", found.mean, 0.0),
        ("gradient_std", found.std, None),
        ("gradient_snr", found.snr, batches**-0.5),
    ):
        common: dict[str, Any] = {"reference": reference, "n": order.numel(), "d": count, "detail": detail}
        if value is None:
            why = "one batch only" if batches == 1 else "gradients do not vary"
            yield Estimate(measure=measure, unit="1", value=None, note=why, **common)
        elif not math.isfinite(value):
            yield Estimate(measure=measure, unit="1", value=None, note="non-finite", **common)
        else:
            yield Estimate(measure=measure, unit="1", value=value, note=note, **common)


def _end_of_drift(
    steps: list[int], ratios: dict[str, list[float | None]], order: Tensor, count: int, note: str
) -> Estimate:
    """The step at which the network's signal-to-noise first falls below 1; every such step; each layer's first."""
    ends = {layer: drift_to_diffusion(steps, ratio) for layer, ratio in ratios.items()}
    end = ends.pop(NETWORK)
    return Estimate(
        measure="drift_to_diffusion_step",
        unit="1",
        value=end,
        reference=None,
        n=order.numel(),
        d=count,
        note=note if end is not None else "signal-to-noise never falls from above 1 to below",
        detail=canonical({"all": crossings(steps, ratios[NETWORK]), "layers": ends}),
    )

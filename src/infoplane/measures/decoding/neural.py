"""From the activations of a site to left-out predictions by decoder networks, all checkpoints trained as one stack.

Per split (a fold and a repeat) a network is trained, and mixed with a linear decoder and the constant predictor by
weights chosen on the split's validation samples. A fold's prediction is the mean over its repeats.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from infoplane.measures.decoding.cross_fitting import Splits
from infoplane.measures.decoding.fitting import Criterion, Fit, Sample, Schedule, fit
from infoplane.measures.decoding.mixing import likelihood_weights, squared_weights
from infoplane.measures.decoding.networks import Convolutional, Dense, Network, Token
from infoplane.measures.decoding.splitwise import Components, logistic_predictions, ridge_predictions
from infoplane.measures.targets import Classes, Numbers, Variable
from infoplane.streams import own_seed

BUDGET = {"cpu": 64 << 20, "cuda": 4 << 30}
"""Bytes of weights, gradients, moments and batches that are trained at once; on the CPU, what caches still serve."""

Kind = Literal["mlp", "convolutional", "token"]


@dataclass(frozen=True)
class Plan:
    """How decoder networks are made and trained; kind: which, for activations of the shape at hand."""

    kind: Kind
    width: int
    depth: int
    schedule: Schedule
    seed: int
    budget: int | None = None


@dataclass(frozen=True)
class Trained:
    """Networks of one site: outputs of shape (sources, splits, V + tests, p), their weights, and how training went."""

    outputs: Tensor
    fit: Fit


@dataclass(frozen=True)
class Decoded:
    """Left-out predictions of one activation, judged.

    losses, constant: of every sample that was left out, under the mixture and under the constant predictor. alone:
    the mean loss of linear decoders and of networks, each alone, and of every repeat of the mixture. shares: mean
    weights of the constant, the linear decoder and the network in the mixture.
    """

    losses: Tensor
    constant: Tensor
    linear: float
    network: float
    repeats: list[float]
    shares: list[float]


def picture_shape(variable: Variable) -> tuple[int, int, int] | None:
    """(channels, height, width) of a variable where it is a picture."""
    shape = tuple(variable.given.shape[1:])
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def choose_kind(shape: Sequence[int]) -> Kind:
    """The decoder that mirrors the network that an activation of this shape (of one sample) comes from."""
    return "convolutional" if len(shape) == 3 else "token" if len(shape) == 2 else "mlp"


def patch_grid(tokens: int, picture: tuple[int, int, int] | None) -> int:
    """Patches per side if the tokens, or all but a first one, tile the picture; else 0."""
    for patches in (tokens, tokens - 1):
        side = math.isqrt(max(0, patches))
        if picture and side and side**2 == patches and not picture[1] % side and not picture[2] % side:
            return side
    return 0


@dataclass(frozen=True)
class Coordinates:
    """Numbers as a network decodes them: shape (n, p), float64, a shift and rotation of them over ``scale``.

    All 0 where they do not vary.
    """

    coordinates: Tensor
    network: Network
    scale: float


def decoder_of_numbers(plan: Plan, shape: tuple[int, ...], variable: Numbers) -> Coordinates:
    """The network that decodes numbers from activations of this shape (of one sample), and them in its coordinates.

    Convolutions decode pictures, tokens patches of them, where both have the shapes for it. Where there are more
    dimensions than samples, the coordinates of anything else are turned at random, so that no few of them hold all the
    variance.
    """
    picture = picture_shape(variable)
    network: Network
    given = variable.given.double()
    if plan.kind == "convolutional" and picture:
        network = Convolutional((shape[0], shape[1], shape[2]), plan.width, plan.depth, picture)
        coordinates = given.flatten(1)
    elif plan.kind == "token" and (side := patch_grid(shape[0], picture)):
        assert picture is not None
        _, height, width = picture
        patches = given.unflatten(3, (side, width // side)).unflatten(2, (side, height // side))
        coordinates = patches.permute(0, 2, 4, 1, 3, 5).flatten(1)
        network = Token(shape[0], shape[1], coordinates.shape[1], plan.width, plan.depth, side**2)
    else:
        coordinates = variable.values
        if given.flatten(1).shape[1] >= len(variable):
            p = coordinates.shape[1]
            turn = torch.randn(
                p, p, generator=torch.Generator().manual_seed(own_seed(plan.seed, "turn")), dtype=torch.float64
            )
            coordinates = coordinates @ torch.linalg.qr(turn).Q.to(coordinates.device)
        network = _numbers(plan, shape, coordinates.shape[1])
    coordinates = coordinates - coordinates.mean(0)
    scale = float(coordinates.square().mean().sqrt())
    if not variable.varies:
        return Coordinates(torch.zeros_like(coordinates), network, 0.0)
    return Coordinates(coordinates / scale, network, scale)


def decoder_of_classes(plan: Plan, shape: tuple[int, ...], variable: Classes) -> Network:
    """The network that gives the logits of classes from activations of this shape (of one sample)."""
    return _numbers(plan, shape, variable.count)


def _numbers(plan: Plan, shape: tuple[int, ...], outputs: int) -> Network:
    if plan.kind == "convolutional":
        return Convolutional((shape[0], shape[1], shape[2]), plan.width, plan.depth, None, outputs)
    if plan.kind == "token":
        return Token(shape[0], shape[1], outputs, plan.width, plan.depth, 0)
    return Dense(math.prod(shape), outputs, plan.width, plan.depth)


def squared_error(coordinates: Tensor) -> Criterion:
    """Mean squared error per coordinate."""
    truth = coordinates.float()

    def criterion(outputs: Tensor, rows: Tensor) -> Tensor:
        wanted = truth.index_select(0, rows.flatten()).view_as(outputs)
        return (outputs - wanted).square().flatten(1).mean(1)

    return criterion


def cross_entropy(labels: Tensor) -> Criterion:
    """Mean cross-entropy, nats."""

    def criterion(outputs: Tensor, rows: Tensor) -> Tensor:
        losses = functional.cross_entropy(outputs.flatten(0, 1), labels[rows].flatten(), reduction="none")
        return losses.view(rows.shape).mean(1)

    return criterion


def prior_logits(variable: Classes, splits: Splits) -> Tensor:
    """Logarithms of each split's class frequencies in training, shape (splits, K); a missing class counts as half."""
    counts = variable.one_hot.T[splits.training].sum(1).clamp(min=0.5)
    return (counts / counts.sum(1, keepdim=True)).log()


def train(
    network: Network,
    inputs: Tensor,
    splits: Splits,
    criterion: Criterion,
    plan: Plan,
    constants: Tensor | None = None,
    start: list[Tensor] | None = None,
) -> Trained:
    """Train one network per source and split, some members at a time; inputs: (sources, n, ...), float32.

    constants: what an untrained decoder answers in place of 0, shape (splits, p). start: parameters per source
    and split, in that order, to begin at in place of fresh ones, which are the same for every source.
    """
    device, count = inputs.device, len(splits)
    fresh = [one.to(device) for one in network.start(count, torch.Generator().manual_seed(plan.seed))]
    if constants is not None:
        fresh[-1] = fresh[-1] + constants[:, None].float()
    source = torch.arange(len(inputs), device=device).repeat_interleave(count)
    split = torch.arange(count, device=device).repeat(len(inputs))
    rows = _judged(splits)
    sizes = sum(one[0].numel() for one in fresh) * 5 + 3 * plan.schedule.batch * inputs[0, 0].numel()
    budget = plan.budget or BUDGET.get(device.type, BUDGET["cuda"])
    at_once = max(1, budget // (4 * sizes))
    fits, outputs = [], []
    for members in torch.arange(len(source), device=device).split(at_once):
        sample = Sample(inputs, source[members], split[members], splits.training, splits.validation)
        begin = [one[members] for one in start] if start else [one[split[members]] for one in fresh]
        fits.append(fit(network, begin, sample, criterion, plan.schedule, plan.seed))
        everyone = torch.arange(len(members), device=device)
        with torch.no_grad():
            chosen = rows[split[members]]
            parts = [network(fits[-1].parameters, sample.take(some, everyone)) for some in chosen.split(256, 1)]
        outputs.append(torch.cat(parts, 1))
    joined = Fit(
        [torch.cat(ones) for ones in zip(*(one.parameters for one in fits), strict=True)],
        *(torch.cat([getattr(one, name) for one in fits]) for name in Fit.__annotations__ if name != "parameters"),
    )
    return Trained(torch.cat(outputs).unflatten(0, (len(inputs), count)), joined)


def _judged(splits: Splits) -> Tensor:
    """Validation and then test positions of every split, filled up to one length with its first test position."""
    most = max(len(test) for test in splits.test)
    filled = []
    for split in range(len(splits)):
        test = splits.tests(split)
        filled.append(torch.cat([splits.validation[split], test, test[:1].expand(most - len(test))]))
    return torch.stack(filled)


def judge_numbers(
    outputs: Tensor, components: Components, coordinates: Tensor, splits: Splits, linear: bool
) -> Decoded:
    """Squared errors of one activation's mixtures; outputs: (splits, V + tests, p)."""
    stopping = splits.validation.shape[1]
    beside = ridge_predictions(components, coordinates, splits) if linear else None
    losses, constant, alone, repeats, weights = [], [], [], [], []
    for fold, test in enumerate(splits.test):
        truth, mixed, singles = coordinates[test], [], []
        known = torch.ones(len(coordinates), dtype=torch.bool, device=test.device)
        known[test] = False
        mean = coordinates[known].mean(0)
        for split in range(fold * splits.repeats, (fold + 1) * splits.repeats):
            network = outputs[split, : stopping + len(test)].double()
            candidates = torch.stack([mean.expand_as(network), beside[split] if beside else network, network])
            weight = squared_weights(candidates[:, :stopping], coordinates[splits.validation[split]])
            candidates = torch.where(torch.isfinite(candidates), candidates, candidates[:1])
            singles.append(candidates[1:, stopping:])
            mixed.append(torch.einsum("c,cnp->np", weight, candidates[:, stopping:]))
            weights.append(weight)
        constant.append((truth - mean).square().sum(1))
        losses.append((truth - torch.stack(mixed).mean(0)).square().sum(1))
        alone.append((truth - torch.stack(singles).mean(0)).square().sum((1, 2)))
        repeats.append((truth - torch.stack(mixed)).square().sum((1, 2)))
    alone_sums, repeat_sums = torch.stack(alone).sum(0), torch.stack(repeats).sum(0)
    everything = torch.cat(constant)
    total = float(everything.sum())
    return Decoded(
        torch.cat(losses),
        everything,
        float(alone_sums[0]) / total,
        float(alone_sums[1]) / total,
        [float(one) / total for one in repeat_sums],
        torch.stack(weights).mean(0).tolist(),
    )


def judge_classes(outputs: Tensor, components: Components, variable: Classes, splits: Splits, linear: bool) -> Decoded:
    """Cross-entropies, nats, of one activation's mixtures; outputs: logits of shape (splits, V + tests, K)."""
    stopping, rows = splits.validation.shape[1], _judged(splits)
    labels = variable.labels[rows]
    network = outputs.double().softmax(2)
    beside = network
    if linear:
        found = logistic_predictions(components, variable.one_hot, splits).double().softmax(2)
        beside = found.gather(1, rows[:, :, None].expand(-1, -1, variable.count))
    prior = torch.zeros(len(splits), variable.count, dtype=torch.float64, device=rows.device)
    for fold, test in enumerate(splits.test):
        known = variable.one_hot.sum(1) - variable.one_hot[:, test].sum(1)
        prior[fold * splits.repeats : (fold + 1) * splits.repeats] = known / known.sum()
    candidates = torch.stack([prior[:, None].expand_as(network), beside, network], 1)
    given = candidates.gather(3, labels[:, None, :, None].expand(-1, 3, -1, 1))[..., 0]
    weights = likelihood_weights(given[:, :, :stopping])
    mixed = (weights[:, :, None] * given.nan_to_num(0)).sum(1)
    losses, alone, repeats, constant = [], [], [], []
    for fold, test in enumerate(splits.test):
        own = slice(fold * splits.repeats, (fold + 1) * splits.repeats)
        of_test = slice(stopping, stopping + len(test))
        losses.append(-mixed[own, of_test].mean(0).log())
        alone.append(-given[own, :, of_test].mean(0).log())
        repeats.append(-mixed[own, of_test].log())
        constant.append(alone[-1][0])
    _, line, net = torch.cat(alone, 1).mean(1).tolist()
    return Decoded(
        torch.cat(losses),
        torch.cat(constant),
        line,
        net,
        torch.cat(repeats, 1).mean(1).tolist(),
        weights.mean(0).tolist(),
    )

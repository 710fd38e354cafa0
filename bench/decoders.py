"""Decoder networks batched against one by one: the same arrays, splits, networks and stopping rule, in one run.

    python bench/decoders.py [--checkpoints 4] [--rounds 2] [--threads 1 2]

Batched is what the family `neural` does: all checkpoints, folds and repeats of a site as one stack of parameters. One
by one is what one would write by hand: an nn.Sequential and an AdamW for each, in a loop. Only training and prediction
are timed; the value is that of the networks alone, averaged over repeats, on samples that neither training nor
stopping saw. Rounds alternate between the two, so that what else the machine does meets both.

The activations are of random networks on scikit-learn's digits, each checkpoint with weights a little further on.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from hardware import hardware
from torch import Tensor, nn

from infoplane.measures.decoding.cross_fitting import Splits, cross_fit
from infoplane.measures.decoding.fitting import PROGRESS, Schedule
from infoplane.measures.decoding.neural import (
    Plan,
    cross_entropy,
    decoder_of_classes,
    decoder_of_numbers,
    prior_logits,
    squared_error,
    train,
)
from infoplane.measures.decoding.splitwise import principal_components
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.families import neural
from infoplane.measures.targets import Targets, prepare


@dataclass(frozen=True)
class Case:
    """One site: activations of every checkpoint as networks read them, (checkpoints, n, d), and what is decoded."""

    inputs: Tensor
    targets: Targets
    splits: Splits
    plan: Plan


def digits(n: int, device: torch.device) -> Targets:
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = (data.images[:n, None] - data.images.mean()) / data.images.std()
    return prepare(pictures, data.target[:n], device)


def activations(targets: Targets, checkpoints: int, d: int) -> list[Tensor]:
    """Of a random layer whose weights drift from one checkpoint to the next."""
    rng, x = np.random.default_rng(0), targets.x_numbers.given.flatten(1)
    first, last = (rng.normal(size=(x.shape[1], d)) / 8 for _ in range(2))
    weights = [(1 - share) * first + share * last for share in np.linspace(0, 0.5, checkpoints)]
    return [(x @ torch.as_tensor(one, dtype=x.dtype, device=x.device)).relu() for one in weights]


def prepared(zs: list[Tensor], components: int) -> Tensor:
    """As the family prepares them: standardised, and principal components where there are more dimensions."""
    values = [standardise(z)[0] for z in zs]
    if values[0].shape[1] <= components:
        return torch.stack(values)
    return torch.stack([principal_components(z).largest(components) for z in values])


def batched(case: Case) -> tuple[Tensor, Tensor, float]:
    """Outputs of the decoders of X and of Y, (checkpoints, splits, V + tests, p), and the mean of epochs run."""
    shape = tuple(case.inputs.shape[2:])
    x = decoder_of_numbers(case.plan, shape, case.targets.x_numbers)
    of_x = train(x.network, case.inputs, case.splits, squared_error(x.coordinates), case.plan)
    network = decoder_of_classes(case.plan, shape, case.targets.y_classes)
    criterion, prior = cross_entropy(case.targets.y_classes.labels), prior_logits(case.targets.y_classes, case.splits)
    of_y = train(network, case.inputs, case.splits, criterion, case.plan, prior)
    epochs = torch.cat([of_x.fit.epochs, of_y.fit.epochs]).double().mean()
    return of_x.outputs, of_y.outputs, float(epochs)


def one_by_one(case: Case) -> tuple[Tensor, Tensor, float]:
    """The same, each decoder network in a loop of its own."""
    shape = tuple(case.inputs.shape[2:])
    x = decoder_of_numbers(case.plan, shape, case.targets.x_numbers).coordinates.float()
    prior = prior_logits(case.targets.y_classes, case.splits)
    outputs: tuple[list[Tensor], list[Tensor]] = ([], [])
    longest = case.splits.validation.shape[1] + max(len(test) for test in case.splits.test)
    epochs: list[int] = []
    for z in case.inputs:
        for split in range(len(case.splits)):
            for into, target, loss, start in (
                (outputs[0], x, nn.MSELoss(), torch.zeros(x.shape[1])),
                (outputs[1], case.targets.y_classes.labels, nn.CrossEntropyLoss(), prior[split]),
            ):
                found, count = alone(z, target, loss, start, case, split)
                into.append(nn.functional.pad(found, (0, 0, 0, longest - len(found))))
                epochs.append(count)
    of_x, of_y = (torch.stack(some).unflatten(0, (len(case.inputs), -1)) for some in outputs)
    return of_x, of_y, float(np.mean(epochs))


def alone(z: Tensor, target: Tensor, loss: nn.Module, start: Tensor, case: Case, split: int) -> tuple[Tensor, int]:
    """What one early-stopped network makes of its validation and test samples, and the epochs that it took."""
    plan, schedule = case.plan, case.plan.schedule
    torch.manual_seed(split)
    sides = [z.shape[1]] + [plan.width] * plan.depth
    layers: list[nn.Module] = []
    for before, after in pairwise(sides):
        layers += [nn.Linear(before, after), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
    last = nn.Linear(plan.width, len(start))
    nn.init.zeros_(last.weight)
    last.bias.data.copy_(start)
    network = nn.Sequential(*layers, last).to(z.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    training, validation = case.splits.training[split], case.splits.validation[split]
    with torch.no_grad():
        best = mark = float(loss(network(z[validation]), target[validation]))
    kept, marked, epoch = copy.deepcopy(network.state_dict()), 0, 0
    steps = max(1, round(len(training) / schedule.batch))
    while epoch < schedule.epochs and epoch - marked < schedule.patience:
        epoch += 1
        for rows in training[torch.randperm(len(training))].split(len(training) // steps)[:steps]:
            optimizer.zero_grad()
            loss(network(z[rows]), target[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            now = float(loss(network(z[validation]), target[validation]))
        if now < best:
            best, kept = now, copy.deepcopy(network.state_dict())
        if now < (1 - PROGRESS) * mark:
            mark, marked = now, epoch
    network.load_state_dict(kept)
    with torch.no_grad():
        return network(z[torch.cat([validation, case.splits.tests(split)])]), epoch


def values(case: Case, of_x: Tensor, of_y: Tensor) -> dict[str, float]:
    """Z-X and Z-Y of the networks alone, mean over checkpoints."""
    x = decoder_of_numbers(case.plan, tuple(case.inputs.shape[2:]), case.targets.x_numbers).coordinates.float()
    stopping, repeats = case.splits.validation.shape[1], case.splits.repeats
    errors, losses = [], []
    for fold, test in enumerate(case.splits.test):
        own, rows = slice(fold * repeats, (fold + 1) * repeats), slice(stopping, stopping + len(test))
        errors.append((of_x[:, own, rows].mean(1) - x[test]).square().sum())
        shares = of_y[:, own, rows].softmax(3).mean(1)
        losses.append(-shares[:, torch.arange(len(test)), case.targets.y_classes.labels[test]].log())
    error = torch.stack(errors).sum() / (x - x.mean(0)).square().sum() / len(case.inputs)
    return {"zx": float(error), "zy": float(torch.cat(losses, 1).mean())}


def seconds(work: Callable[[Case], tuple[Tensor, Tensor, float]], case: Case) -> tuple[float, float, dict[str, float]]:
    """How long it takes, by the clock and of the processor (all threads), and the values that it reaches."""
    started, used = time.perf_counter(), time.process_time()
    of_x, of_y, epochs = work(case)
    if of_x.is_cuda:
        torch.cuda.synchronize()
    took = time.perf_counter() - started, time.process_time() - used
    return *took, values(case, of_x, of_y) | {"epochs": epochs}


def compare(case: Case, rounds: int) -> dict[str, dict[str, Any]]:
    """Both ways in turn; medians over rounds."""
    times: dict[str, list[float]] = {"batched": [], "one by one": []}
    busy: dict[str, list[float]] = {"batched": [], "one by one": []}
    reached: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, work in (("batched", batched), ("one by one", one_by_one)):
            took, used, reached[name] = seconds(work, case)
            times[name].append(took)
            busy[name].append(used)
    found: dict[str, dict[str, Any]] = {"values": reached}
    for clock, some in (("seconds", times), ("processor seconds", busy)):
        middle = {name: median(ones) for name, ones in some.items()}
        found[clock] = middle | {"ratio": middle["one by one"] / middle["batched"]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=4)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[16, 64, 1024])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("bench/results/decoders.json"))
    args = parser.parse_args()
    device, options = torch.device(args.device), neural.Options()
    targets = digits(args.samples, device)
    splits = cross_fit(targets, args.folds, args.repeats, options.validation, 0)
    schedule = Schedule(options.learning_rate, options.weight_decay, options.batch, options.epochs, options.patience)
    plan = Plan("mlp", options.width, options.depth, schedule, 0)
    rows: list[dict[str, object]] = []
    print("| d | threads | one by one (s) | batched (s) | ratio | ratio, processor time | Z-X of both | Z-Y of both |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for d in args.dimensions:
        inputs = prepared(activations(targets, args.checkpoints, d), options.components)
        for threads in args.threads:
            torch.set_num_threads(threads)
            found = compare(Case(inputs, targets, splits, plan), args.rounds)
            rows.append({"d": d, "inputs": inputs.shape[2], "threads": threads} | found)
            one, all_at_once = found["values"]["one by one"], found["values"]["batched"]
            times, busy = found["seconds"], found["processor seconds"]
            print(
                f"| {d} | {threads} | {times['one by one']:.2f} | {times['batched']:.2f} "
                f"| {times['ratio']:.1f} | {busy['ratio']:.1f} | {one['zx']:.3f}, {all_at_once['zx']:.3f} "
                f"| {one['zy']:.3f}, {all_at_once['zy']:.3f} |",
                flush=True,
            )
    torch.set_num_threads(args.threads[0])
    growth = []
    for checkpoints in (2, 4, 8):
        inputs = prepared(activations(targets, checkpoints, 64), options.components)
        took = min(seconds(batched, Case(inputs, targets, splits, plan))[1] for _ in range(args.rounds))
        growth.append({"checkpoints": checkpoints, "seconds": took, "seconds per checkpoint": took / checkpoints})
        print(f"{checkpoints} checkpoints, d = 64: {took / checkpoints:.3f} s of the processor each", flush=True)
    wide = activations(targets, 2, 1024)
    started = time.process_time()
    for z in wide:
        neural.estimate(z, targets, neural.Options(decoder="mlp"))
    family = (time.process_time() - started) / len(wide)
    print(f"the family with its defaults, n = {args.samples}, d = 1024: {family:.2f} s of the processor each")
    record = {
        "hardware": hardware(),
        "device": device.type,
        "n": args.samples,
        "checkpoints": args.checkpoints,
        "members": args.checkpoints * len(splits),
        "network": f"MLP {options.width} x {options.depth}, AdamW, batch {options.batch}",
        "rows": rows,
        "growth in processor seconds, d = 64": growth,
        "family, d = 1024: processor seconds per checkpoint": family,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

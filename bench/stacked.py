"""Seeds trained side by side: images per second, against our loop over solo runs and a plain loop over a DataLoader.

    OMP_NUM_THREADS=1 python bench/stacked.py [--device cuda] [--seeds 8] [--steps 60] [--repeats 2] [--cases cnn]

All of them train the same networks on the same synthetic data, in turns within one process; the best of the repeats
counts for each. The plain loop is what one writes first: a shuffling DataLoader over normalised images in memory, one
network after another. `together` forces every operation into one call for all members, where a CPU would have them
convolve in turn. The largest difference of any member's mean training loss between the stack and its solo runs says
that both computed the same. Needs torch, numpy and pyarrow alone.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hardware import hardware
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from infoplane.data.prepare import mean_and_deviation
from infoplane.data.samples import Split
from infoplane.models.build import build
from infoplane.options import image, label, vector
from infoplane.specs import CheckpointSpec, Plugin, StackSpec, TrainingSpec
from infoplane.training import optimizer as optimizers
from infoplane.training.learner import Learner, Solo, layout
from infoplane.training.stack import Stack

RATE = 4e-4


@dataclass(frozen=True)
class Case:
    """What is trained on what."""

    architecture: str
    options: dict[str, Any]
    shape: tuple[int, int, int] = (1, 8, 8)
    samples: int = 1200
    classes: int = 10
    batch_size: int = 64
    weight: int = 1
    """So many times fewer steps on a CPU, because they are long ones."""
    shortcut: str = field(default="identity")


CASES = {
    "tanh 12-10-7-5-4-3-2": Case("tapered_mlp", {"activation": "tanh"}, (1, 1, 12), 3500, 2, 512, shortcut="none"),
    "relu 12-10-7-5-4-3-2": Case("tapered_mlp", {"activation": "relu"}, (1, 1, 12), 3500, 2, 512, shortcut="none"),
    "mlp, 4 blocks of 64, 8x8": Case("mlp", {}),
    "vit, 4 blocks of 32, 8x8": Case("vit", {}, weight=6),
    "residual cnn, 6 blocks of 16, 8x8": Case("resnet", {}, weight=10),
    "residual cnn, 6 blocks of 16 at 16x16, 3x32x32": Case("resnet", {"stem_pool": 2}, (3, 32, 32), 2000, weight=30),
}
"""The first two have the data and batch of szt2017, then the demo's networks on images of the digits' size, CIFAR's."""


def training(batch_size: int) -> TrainingSpec:
    """Adam at a constant rate, no decay."""
    return TrainingSpec(
        steps=1,
        batch_size=batch_size,
        optimizer="adam",
        learning_rate=RATE,
        momentum=0.9,
        weight_decay=0.0,
        schedule="constant",
        warmup=0,
        log_every=1,
        precision="float32",
        checkpoints=CheckpointSpec(0, 1, 0),
    )


def split(case: Case, samples: int) -> Split:
    """Random pixels, brighter in some classes than in others, so that there is something to learn."""
    random = np.random.default_rng(samples)
    labels = random.integers(0, case.classes, samples)
    brightest = 64 + 192 * labels[:, None] // case.classes
    pixels = (random.random((samples, int(np.prod(case.shape)))) * brightest).astype(np.uint8)
    pixels = pixels.reshape(samples, *case.shape)
    fields = {"x": image(*case.shape), "y": label(case.classes)}
    mean, std = mean_and_deviation(pixels, fields["x"])
    declared = {name: one.to_dict() for name, one in fields.items()}
    about = {"fields": declared, "mean": {"x": mean}, "std": {"x": std}}
    return Split({"x": pixels, "y": labels}, np.arange(samples), about)


class PlainLoop:
    """One network, its optimiser, and a DataLoader."""

    def __init__(self, spec: StackSpec, seed: int, images: Split, device: torch.device) -> None:
        self.device = device
        fields = images.fields
        network = build(spec.architecture, spec.shortcut, fields["x"], vector(fields["y"].classes or 0), seed)
        self.network = network.to(device, memory_format=layout(fields["x"]))  # type: ignore[call-overload]
        self.optimizer = optimizers.make(list(self.network.parameters()), spec.training)
        pixels = torch.from_numpy(images["x"] / np.float32(255))
        mean, std = (torch.from_numpy(values) for values in (images.mean("x"), images.std("x")))
        data = TensorDataset((pixels - mean) / std, torch.from_numpy(images["y"]))
        order = torch.Generator().manual_seed(seed)
        size, pinned = spec.training.batch_size, device.type == "cuda"
        self.loader = DataLoader(data, size, shuffle=True, drop_last=True, generator=order, pin_memory=pinned)
        self.batches = self._forever()
        self.loss = torch.zeros((), device=device)

    def _forever(self) -> Iterator[list[Tensor]]:
        while True:
            yield from self.loader

    def update(self, step: int, rate: float, with_norms: bool) -> None:
        """One step; its number, rate and norms are `Learner`'s and not asked for here."""
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in next(self.batches))
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(images), labels)
        loss.backward()
        self.optimizer.step()
        self.loss += loss.detach()


def seconds(learners: list[Learner] | list[PlainLoop], steps: range, wait: Callable[[], None]) -> float:
    """Of all learners, each of which makes all of its steps before the next one starts."""
    wait()
    started = time.perf_counter()
    for learner in learners:
        for step in steps:
            learner.update(step, RATE, False)
    wait()
    return time.perf_counter() - started


def measure(name: str, seeds: int, steps: int, repeats: int, device: torch.device) -> dict[str, Any]:
    """One row of the record."""
    case = CASES[name]
    steps = max(2, steps // case.weight) if device.type == "cpu" else steps
    images, validation = split(case, case.samples), split(case, 100)
    architecture, shortcut = Plugin(case.architecture, case.options), Plugin(case.shortcut)
    task = Plugin("classification", {"x": "x", "y": "y", "label_noise": 0.0})
    spec = StackSpec(architecture, shortcut, task, training(case.batch_size), list(range(seeds)))
    stack = Stack(spec, images, validation, device)
    solos: list[Learner] = [Solo(run, images, validation, device) for run in spec.runs]
    ways: dict[str, list[Learner] | list[PlainLoop]] = {"stacked": [stack], "solo": solos}
    ways["dataloader"] = [PlainLoop(spec, seed, images, device) for seed in spec.seeds]
    if stack.members.in_turn:
        ways["together"] = [Stack(spec, images, validation, device, in_turn=False)]
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    best = dict.fromkeys(ways, float("inf"))
    for repeat in range(repeats + 1):  # the first warms up
        for way, learners in ways.items():
            taken = seconds(learners, range(repeat * steps, (repeat + 1) * steps), wait)
            best[way] = best[way] if repeat == 0 else min(best[way], taken)
    means = [torch.cat([one.sums for one in learners])[:, 0] / ((repeats + 1) * steps) for learners in ([stack], solos)]
    return {
        "case": name,
        "seeds": seeds,
        "batch_size": case.batch_size,
        "steps": steps,
        "members": "in turn" if stack.members.in_turn else "together",
        "images_per_second": {way: seeds * steps * case.batch_size / took for way, took in best.items()},
        "ms_per_step_of_all": {way: 1000 * took / steps for way, took in best.items()},
        "stacked_to": {way: took / best["stacked"] for way, took in best.items() if way != "stacked"},
        "mean_loss": float(means[0].mean()),
        "largest_loss_difference": float((means[0] - means[1]).abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=60, help="fewer for long ones on a CPU")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--cases", default="", help="only those whose name contains this")
    parser.add_argument("--output", type=Path, default=Path("bench/results/stacked.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(args.device)
    machine = hardware() if args.device == "cpu" else f"{torch.cuda.get_device_name()}; {hardware()}"
    rows = []
    print(f"{machine}; torch {torch.__version__}; {args.seeds} seeds\n")
    print("| network | images/s, stacked | solo | DataLoader | stacked / DataLoader | / solo | loss differs by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in CASES:
        if args.cases not in name:
            continue
        row = measure(name, args.seeds, args.steps, args.repeats, device)
        rows.append(row)
        rate, ratio = row["images_per_second"], row["stacked_to"]
        print(
            f"| {name} | {rate['stacked']:,.0f} | {rate['solo']:,.0f} | {rate['dataloader']:,.0f} "
            f"| {ratio['dataloader']:.1f} | {ratio['solo']:.1f} | {row['largest_loss_difference']:.1e} |",
            flush=True,
        )
    about = {"hardware": machine, "device": args.device, "torch": torch.__version__, "threads": 1}
    args.output.write_text(json.dumps(about | {"repeats": args.repeats, "cases": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

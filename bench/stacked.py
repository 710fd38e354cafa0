"""Seeds trained side by side: images per second of the stacked model against the plain loop over seeds, in one run.

    OMP_NUM_THREADS=1 python bench/stacked.py [--seeds 10] [--steps 60] [--repeats 2]

Both learn from the same data with the same batches, in turns; the best of the repeats counts for each. The largest
difference of any member's mean training loss says that they computed the same.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hardware import hardware

from infoplane.data.images import read_split
from infoplane.data.prepare import prepare
from infoplane.specs import CheckpointSpec, DataSpec, Plugin, StackSpec, TrainingSpec
from infoplane.training.learner import Learner, Solo
from infoplane.training.stack import Stack

RATE = 4e-4
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], int]] = {
    "tanh 12-10-7-5-4-3-2": ("szt", {"path": ""}, "tapered_mlp", {"activation": "tanh"}, 512),
    "relu 12-10-7-5-4-3-2": ("szt", {"path": ""}, "tapered_mlp", {"activation": "relu"}, 512),
    "mlp, 4 blocks of 64, digits": ("digits", {}, "mlp", {}, 64),
    "vit, 4 blocks of 32, digits": ("digits", {}, "vit", {}, 64),
}
"""Name -> data set, its options, architecture, its options, batch size."""


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
        label_noise=0.0,
        log_every=1,
        precision="float32",
        checkpoints=CheckpointSpec(0, 1, 0),
    )


def seconds(learners: list[Learner], steps: range) -> float:
    """Of all learners, one after the other within a step."""
    started = time.perf_counter()
    for step in steps:
        for learner in learners:
            learner.update(step, RATE, False)
    return time.perf_counter() - started


def measure(case: str, seeds: int, steps: int, repeats: int, folder: Path) -> dict[str, Any]:
    """One row of the record."""
    kind, options, architecture, network, batch_size = CASES[case]
    steps = max(1, steps // 6) if architecture == "vit" else steps  # its steps are long ones
    paths = {name: folder / f"{name}.parquet" for name in ("train", "validation", "probe")}
    prepare(DataSpec(Plugin(kind, options), 100, 300, None, 0), folder, paths)
    images, validation = read_split(paths["train"]), read_split(paths["validation"])
    shortcut = Plugin("none" if architecture == "tapered_mlp" else "identity")
    spec = StackSpec(Plugin(architecture, network), shortcut, list(range(seeds)), training(batch_size))
    device = torch.device("cpu")
    stack: list[Learner] = [Stack(spec, images, validation, device)]
    loop: list[Learner] = [Solo(run, images, validation, device) for run in spec.runs]
    best = [float("inf"), float("inf")]
    for repeat in range(repeats + 1):  # the first warms up
        span = range(repeat * steps, (repeat + 1) * steps)
        taken = seconds(stack, span), seconds(loop, span)
        best = best if repeat == 0 else [min(pair) for pair in zip(best, taken, strict=True)]
    means = [
        torch.cat([learner.sums for learner in learners])[:, 0] / ((repeats + 1) * steps) for learners in (stack, loop)
    ]
    learned = seeds * steps * min(batch_size, len(images.labels))
    return {
        "case": case,
        "seeds": seeds,
        "batch_size": batch_size,
        "steps": steps,
        "images_per_second": {"stacked": learned / best[0], "loop": learned / best[1]},
        "ms_per_step": {"stacked": 1000 * best[0] / steps, "loop": 1000 * best[1] / steps},
        "ratio": best[1] / best[0],
        "mean_loss": float(means[0].mean()),
        "largest_loss_difference": float((means[0] - means[1]).abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("bench/results/stacked.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("| network | ms per step, stacked | loop | images/s, stacked | ratio | loss differs by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(case, args.seeds, args.steps, args.repeats, Path(folder))
        rows.append(row)
        took, rate = row["ms_per_step"], row["images_per_second"]["stacked"]
        print(
            f"| {case} | {took['stacked']:.2f} | {took['loop']:.1f} | {rate:,.0f} | {row['ratio']:.1f} "
            f"| {row['largest_loss_difference']:.1e} |",
            flush=True,
        )
    record = {"hardware": hardware(), "threads": 1, "repeats": args.repeats, "cases": rows}
    args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

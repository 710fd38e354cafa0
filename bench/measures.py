"""Kernel family against a decoder network trained per (site, checkpoint): the same arrays, side by side in one run.

    python bench/measures.py [--activations A.parquet ... --held-out HELD_OUT.parquet] [--pairs 24]

The decoder is what one would write by hand: an MLP from standardised activations to X (squared error) and another to
Y (cross-entropy), Adam, early stopping on a validation part, evaluated on samples that neither training nor stopping
saw. It fits 70 % of the samples, stops on 10 % and is evaluated on 20 %. So that its value, like the kernel family's,
stands on every sample, it is the mean of five such splits; its time is that of one split, as if one were enough.
Without --activations, all of the newest experiment under results/ are used, or else untrained networks on
scikit-learn's digits.
"""

import argparse
import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hardware import hardware
from torch import Tensor, nn

from infoplane import registry
from infoplane.activations.file import ActivationsFile
from infoplane.data.samples import read_split
from infoplane.measures.targets import prepare
from infoplane.models.build import build
from infoplane.models.sites import reading
from infoplane.options import image, vector
from infoplane.specs import Plugin

SPLITS, STOPPING = 5, 0.1
MOST_EPOCHS, PATIENCE, BATCH = 400, 20, 64


@dataclass(frozen=True)
class Case:
    """A run's worth of sites: X (n, ...), labels (n,), and activations by name."""

    source: str
    inputs: np.ndarray
    labels: np.ndarray
    activations: dict[str, np.ndarray]


def from_files(activations: list[Path], held_out: Path, pairs: int) -> Case:
    """A seeded random choice of the (run, step, site) triples of some dumps."""
    split, files = read_split(held_out), [(path, ActivationsFile(path)) for path in activations]
    every = [(path, file, step, site) for path, file in files for step in file.steps for site in file.sites]
    chosen = [every[index] for index in sorted(np.random.default_rng(0).permutation(len(every))[:pairs])]
    arrays = {
        f"{'/'.join(path.parts[-3:])} step {step} {site.column}": np.array(file.read(step, site))
        for path, file, step, site in chosen
    }
    source = f"{len(files)} runs on {split.metadata['name']}"
    return Case(source, split.as_read("x"), np.array(split["y"]), arrays)


def untrained(pairs: int, n: int = 400) -> Case:
    """Residual networks as they are initialised, on the digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images[:n, None] - digits.images.mean()) / digits.images.std()
    arrays: dict[str, np.ndarray] = {}
    for seed in range(pairs):
        network = build(Plugin("resnet"), Plugin("none"), image(1, 8, 8), vector(10), seed)
        with torch.no_grad(), reading(network) as seen:
            network(torch.as_tensor(x, dtype=torch.float32))
            arrays |= {f"{name} of seed {seed}": value.numpy() for name, value in seen.items() if name.endswith(".z")}
    names = list(arrays)[:: max(1, len(arrays) // pairs)][:pairs]
    return Case("untrained residual networks on digits", x, digits.target[:n], {name: arrays[name] for name in names})


def newest() -> tuple[list[Path], Path] | None:
    """All dumps and the held-out images of the experiment under results/ that was last at work, if any."""
    samples = sorted(Path("results").glob("*/data/held_out.parquet"), key=lambda path: path.stat().st_mtime)
    for held_out in reversed(samples):
        if found := sorted(held_out.parents[1].glob("activations/*/*/*.parquet")):
            return found, held_out
    return None


def train(z: Tensor, target: Tensor, loss: nn.Module, parts: dict[str, Tensor], outputs: int) -> tuple[float, int]:
    """Left-out loss of an early-stopped MLP, and the epochs that it took."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(z.shape[1], 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, outputs)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    best, kept, since = float("inf"), network.state_dict(), 0
    epochs = 0
    while epochs < MOST_EPOCHS and since < PATIENCE:
        epochs += 1
        for rows in parts["fit"][torch.randperm(len(parts["fit"]))].split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(network(z[rows]), target[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            now = float(loss(network(z[parts["stop"]]), target[parts["stop"]]))
        since = 0 if now < best else since + 1
        if now < best:
            best, kept = now, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    with torch.no_grad():
        return float(loss(network(z[parts["left out"]]), target[parts["left out"]])), epochs


def splits(n: int) -> list[dict[str, Tensor]]:
    """Positions to fit, to stop on and to evaluate on; every sample is left out once."""
    order = torch.as_tensor(np.random.default_rng(0).permutation(n))
    found = []
    for left_out in order.chunk(SPLITS):
        rest = order[~torch.isin(order, left_out)]
        stop = int(n * STOPPING)
        found.append({"left out": left_out, "stop": rest[:stop], "fit": rest[stop:]})
    return found


def decode(z: np.ndarray, case: Case) -> dict[str, float]:
    """Z-X and Z-Y by decoder networks, and the seconds of both on one split."""
    started = time.perf_counter()
    x = torch.as_tensor(case.inputs, dtype=torch.float32).flatten(1)
    y = torch.as_tensor(case.labels)
    errors, constants, losses, epochs = [], [], [], 0
    # standardised on all samples, as the other families do it; a rare feature may be constant in what is fitted
    flat = torch.as_tensor(z, dtype=torch.float32).flatten(1)
    flat = (flat - flat.mean(0)) / flat.std(0).clamp(min=1e-6)
    for parts in splits(len(y)):
        error, epochs_x = train(flat, x, nn.MSELoss(), parts, x.shape[1])
        loss, epochs_y = train(flat, y, nn.CrossEntropyLoss(), parts, int(y.max()) + 1)
        errors.append(error)
        constants.append(float((x[parts["left out"]] - x[parts["fit"]].mean(0)).square().mean()))
        losses.append(loss)
        epochs += epochs_x + epochs_y
    return {
        "zx": float(np.mean(errors) / np.mean(constants)),
        "zy": float(np.mean(losses)),
        "seconds": (time.perf_counter() - started) / SPLITS,
        "epochs": epochs / SPLITS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activations", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("bench/results/measures.json"))
    args = parser.parse_args()
    if (args.activations is None) != (args.held_out is None):
        parser.error("--activations and --held-out go together")
    torch.set_num_threads(args.threads)
    files = (args.activations, args.held_out) if args.activations else newest()
    case = from_files(*files, args.pairs) if files else untrained(args.pairs)
    n = len(case.labels)
    targets = prepare(case.inputs, case.labels, torch.device("cpu"))
    rows = []
    for name, z in case.activations.items():
        row: dict[str, object] = {"pair": name, "d": int(np.prod(z.shape[1:]))}
        for family in registry.names("measure"):
            module = registry.load("measure", family)
            started = time.perf_counter()
            estimates = {e.measure: e.value for e in module.estimate(torch.as_tensor(z), targets, module.Options())}
            row[family] = {**estimates, "seconds": time.perf_counter() - started}
        row["decoder"] = decode(z, case)
        rows.append(row)
        print(json.dumps(row), flush=True)
    means = {
        method: {key: float(np.mean([row[method][key] for row in rows])) for key in ("zx", "zy", "seconds")}  # type: ignore[index]
        for method in (*registry.names("measure"), "decoder")
    }
    lower = {key: sum(row["kernel"][key] <= row["decoder"][key] for row in rows) for key in ("zx", "zy")}  # type: ignore[index]
    record = {
        "hardware": hardware(),
        "threads": args.threads,
        "source": case.source,
        "n": n,
        "pairs": len(rows),
        "decoder": f"MLP 256-256, Adam 1e-3, batch {BATCH}, at most {MOST_EPOCHS} epochs, patience {PATIENCE}",
        "means": means,
        "kernel is equal or lower, of pairs": lower,
        "decoder seconds / kernel seconds": means["decoder"]["seconds"] / means["kernel"]["seconds"],
        "rows": rows,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("| method | mean Z-X | mean Z-Y (nats) | seconds per (site, checkpoint) |\n| --- | --- | --- | --- |")
    for method, mean in means.items():
        print(f"| {method} | {mean['zx']:.4f} | {mean['zy']:.4f} | {mean['seconds']:.3f} |")
    print(f"decoder / kernel time: {record['decoder seconds / kernel seconds']:.1f}; kernel <= decoder in {lower}")


if __name__ == "__main__":
    main()

"""Binned mutual information against the way of the field's scripts, side by side on the same arrays.

    python bench/binned.py [--samples 4096] [--checkpoints 20] [--repeats 7]

The field's way (as in the scripts of Shwartz-Ziv & Tishby 2017 and Saxe et al. 2018): np.digitize, rows viewed as raw
bytes, np.unique of all rows and again of the rows of each label. The scripts that also loop over every input for
H(Z|X), which is 0 here, are slower by far, and timed apart ("per input"). All get the same float32 tanh activations of
several checkpoints one after the other, 30 edges on [-1, 1], two labels and inputs that are all different; in turns,
the best of the repeats counts for each, and times are per layer and checkpoint.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hardware import hardware

from infoplane.measures.information.binned import fixed_bins, group_cells, information_of_cells
from infoplane.measures.information.entropy import group

EDGES = 30
NARROW = 10
WIDTHS = (NARROW, 7, 5, 4, 3, 2, 1024)


def row_entropy(rows: np.ndarray) -> float:
    """H of the rows of an array, nats."""
    raw = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))
    _, _, counts = np.unique(raw, return_inverse=True, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def by_unique(z: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """I(X;Z) and I(Z;Y), nats, of a deterministic layer."""
    cut = digitise(z)
    entropy = row_entropy(cut)
    given = sum((labels == label).mean() * row_entropy(cut[labels == label]) for label in np.unique(labels))
    return entropy, entropy - float(given)


def per_input(z: np.ndarray) -> float:
    """H(Z|X), nats, with a look at the rows of every input; the inputs are all different."""
    cut, inputs = digitise(z), np.arange(len(z))
    return sum(row_entropy(cut[inputs == one]) for one in inputs) / len(z)


def digitise(z: np.ndarray) -> np.ndarray:
    """Every value replaced by the edge at or below it."""
    edges = np.linspace(-1, 1, EDGES)
    return edges[np.digitize(z.reshape(-1), edges) - 1].reshape(z.shape)


def best(repeats: int, *passes: Sequence[Callable[[], object]]) -> list[float]:
    """Mean over each pass's calls of their best times; the passes are run in turns, so that every call is cold."""
    times = [[[0.0] * len(calls) for _ in range(repeats)] for calls in passes]
    for repeat in range(repeats):
        for index, calls in enumerate(passes):
            for place, call in enumerate(calls):
                started = time.perf_counter()
                call()
                times[index][repeat][place] = time.perf_counter() - started
    return [float(np.min(each, axis=0).mean()) for each in times]


def compare(width: int, samples: int, checkpoints: int, repeats: int) -> dict[str, float]:
    """One layer: times, and the greatest difference between the two ways, in nats."""
    rng = np.random.default_rng(width)
    y = rng.integers(0, 2, samples)
    arrays = []
    for _ in range(checkpoints):
        x = rng.choice([-1.0, 1.0], (samples, 12)) @ rng.normal(size=(12, width)) / 3
        arrays.append(np.tanh(x + 0.05 * rng.normal(size=(samples, width))).astype(np.float32))
    layers, inputs, labels = (
        [torch.as_tensor(z) for z in arrays],
        group(torch.arange(samples)),
        group(torch.as_tensor(y)),
    )

    def ours(z: torch.Tensor) -> tuple[float, float]:
        found = information_of_cells(group_cells(z, fixed_bins(z, EDGES)), inputs, labels)
        return found.ixz, found.izy

    pairs = [(by_unique(z, y), ours(layer)) for z, layer in zip(arrays, layers, strict=True)]
    (reference,) = best(1, [partial(per_input, arrays[0])])
    seconds = best(repeats, [partial(by_unique, z, y) for z in arrays], [partial(ours, layer) for layer in layers])
    return {
        "width": width,
        "per_input_ms": (seconds[0] + reference) * 1e3,
        "unique_ms": seconds[0] * 1e3,
        "infoplane_ms": seconds[1] * 1e3,
        "ratio": seconds[0] / seconds[1],
        "ixz_nats": pairs[0][1][0],
        "izy_nats": pairs[0][1][1],
        "difference": max(abs(a - b) for pair in pairs for a, b in zip(*pair, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--checkpoints", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("bench/results/binned.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    layers = [
        compare(width, args.samples, args.checkpoints if width <= NARROW else 2, args.repeats) for width in WIDTHS
    ]
    network = [layer for layer in layers if layer["width"] <= NARROW]
    total = {name: sum(layer[name] for layer in network) for name in ("per_input_ms", "unique_ms", "infoplane_ms")}
    record = {
        "hardware": hardware(),
        "threads": 1,
        "samples": args.samples,
        "edges": EDGES,
        "network_ratio": total["unique_ms"] / total["infoplane_ms"],
        "network_ratio_per_input": total["per_input_ms"] / total["infoplane_ms"],
        "layers": layers,
    }
    args.output.write_text(json.dumps(record, indent=1) + "\n")
    print(
        "| width | per input, ms | np.unique, ms | infoplane, ms | ratio | I(X;Z), nats | I(Z;Y), nats | difference |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for layer in layers:
        print(
            f"| {layer['width']} | {layer['per_input_ms']:.0f} | {layer['unique_ms']:.2f} | "
            f"{layer['infoplane_ms']:.3f} | {layer['ratio']:.1f} | {layer['ixz_nats']:.6f} | {layer['izy_nats']:.6f} | "
            f"{layer['difference']:.0e} |"
        )
    print(
        f"\n10-7-5-4-3-2 together: np.unique {record['network_ratio']:.1f} times as long, "
        f"per input {record['network_ratio_per_input']:.0f} times"
    )


if __name__ == "__main__":
    main()

"""Estimator against truth: Z-X and Z-Y of every measure family on distributions whose value is known.

    python bench/accuracy.py [--seeds 10] [--samples 1000]

Per distribution and family: true value, median estimate, median absolute error and spread over seeds, and seconds
for Z-X and Z-Y together.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from hardware import hardware

from infoplane import registry
from infoplane.measures.targets import prepare
from infoplane.measures.truths import Truth, all_truths


def row(truth: Truth, family: str, seeds: int, samples: int) -> dict[str, str | float]:
    """One line of the table."""
    module = registry.load("measure", family)
    found, started = [], time.perf_counter()
    for seed in range(seeds):
        z, x, y = truth.draw(np.random.default_rng(seed), samples)
        targets = prepare(x, y, torch.device("cpu"))
        estimates = module.estimate(torch.as_tensor(z, dtype=torch.float32), targets, module.Options())
        found += [estimate.value for estimate in estimates if estimate.measure == truth.measure]
    values = np.array(found)
    return {
        "distribution": truth.name,
        "measure": truth.measure,
        "family": family,
        "true": truth.value,
        "median": float(np.median(values)),
        "median absolute error": float(np.median(np.abs(values - truth.value))),
        "spread": float(values.std()),
        "seconds": (time.perf_counter() - started) / seeds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("bench/results/accuracy.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for truth in all_truths():
        for family in registry.names("measure"):
            rows.append(row(truth, family, args.seeds, args.samples))
            if len(rows) == 1:
                print(f"| {' | '.join(rows[0])} |\n|{' --- |' * len(rows[0])}")
            cells = (f"{cell:.4f}" if isinstance(cell, float) else cell for cell in rows[-1].values())
            print(f"| {' | '.join(cells)} |", flush=True)
    record = {"hardware": hardware(), "threads": args.threads, "n": args.samples, "seeds": args.seeds, "rows": rows}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

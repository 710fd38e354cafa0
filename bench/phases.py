"""How often the phase analysis is right: planted curves, curves that never move, and how long it all takes.

    python bench/phases.py [--count 1000] [--output bench/results/phases.json]

Every number is a share of `count` planted curves with 12 checkpoints and 20 parts of the held-out images.
With one seed the truth is that of the one network: smooth, or wandering, which is the noise of the seed as a part of
its curve; with more it is that of networks in general. The plain bootstrap (pigeonhole, percentiles, turn chosen on
what it is read on) stands beside it.
"""

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hardware import hardware

from infoplane.phases import planted
from infoplane.phases.analysis import Settings, analyse
from infoplane.tables import HISTORY, MEASURES, Columns

SEEDS = (1, 2, 3, 5, 10)
COLUMNS = (
    "right",
    "wrong",
    "ambiguous",
    "claims",
    "fit_depth_coverage",
    "compression_height_coverage",
    "turn_coverage",
)


def tables(architectures: int, shortcuts: int, seeds: int, sites: int, checkpoints: int) -> list[pl.DataFrame]:
    """Measures and history of a made-up experiment: two-phase Z-X, and a Z-Y that falls."""
    generator = np.random.default_rng(0)
    up, down = planted.shape(0.12, 0.10, 0.5, checkpoints), planted.shape(1.5, 0.0, 1.0, checkpoints, 2.3)
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for architecture in range(architectures):
        for shortcut in range(shortcuts):
            keys = {"architecture": f"a{architecture}", "shortcut": f"s{shortcut}" if shortcut else "identity"}
            runs += [keys | {"seed": seed, "step": 2**checkpoints, "status": "finished"} for seed in range(seeds)]
            for depth in range(sites):
                for measure, curve in (("zx", up), ("zy", down)):
                    values = planted.plant(curve, planted.Noise(), 1, seeds, 20, generator).values[0]
                    place = {"site": f"block{depth}", "part": "z", "depth": depth, "measure": measure}
                    place |= {"family": "kernel", "reference": curve[0] * 2, "status": "finished"}
                    rows += [
                        keys
                        | place
                        | {"seed": seed, "step": 2**at - 1, "value": parts.mean(), "blocks": parts.tolist()}
                        for seed, of_seed in enumerate(values)
                        for at, parts in enumerate(of_seed)
                    ]
    status: Columns = {"status": pl.String}
    return [pl.DataFrame(rows, schema={**MEASURES, **status}), pl.DataFrame(runs, schema={**HISTORY, **status})]


def seconds(architectures: int, shortcuts: int, seeds: int, sites: int, checkpoints: int) -> float:
    """Of processor time for the whole analysis, the reading of files left out."""
    measures, history = tables(architectures, shortcuts, seeds, sites, checkpoints)
    started = time.process_time()
    analyse(measures, history, Settings())
    return round(time.process_time() - started, 2)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) + 0.0 if isinstance(v, float) else v for k, v in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="planted curves of each kind")
    parser.add_argument("--output", type=Path, default=Path("bench/results/phases.json"))
    args = parser.parse_args()
    record: dict[str, Any] = {"hardware": hardware(), "count": args.count, "labels": [], "turn_step": [], "plain": []}
    record["noises"] = {name: asdict(noise) for name, noise in planted.NOISES.items()}
    record["shapes"] = planted.SHAPES
    for seeds in SEEDS:
        alone = {name: replace(noise, seed=0.0, size=0.0) for name, noise in planted.NOISES.items()}
        wandering = {f"{name}, wandering": noise for name, noise in planted.NOISES.items() if noise.seed}
        for row in planted.study(args.count, seeds, noises=alone | wandering if seeds == 1 else planted.NOISES):
            shown = " ".join(f"{column.replace('_coverage', '')} {row[column]:.3f}" for column in COLUMNS)
            print(f"{seeds:2d} {row['noise']:14s} {row['shape']:17s} {shown}", flush=True)
            record["labels"].append(_rounded(row))
        for name in ("low", "middle", "high"):
            noise = alone[name] if seeds == 1 else planted.NOISES[name]
            held = planted.turn_coverage(max(1, args.count // 5), seeds, noise)
            plain = planted.pigeonhole_coverage(max(1, args.count // 5), seeds, noise)
            print(f"{seeds:2d} {name:14s} turn's step {held:.3f}; plain bootstrap {plain}", flush=True)
            record["turn_step"].append({"seeds": seeds, "noise": name, "coverage": held})
            record["plain"].append({"seeds": seeds, "noise": name} | plain)
    record["bare"] = []
    record["bare_noises"] = {name: asdict(noise) for name, noise in planted.BARE.items()}
    for name, noise in planted.BARE.items():
        for seeds, known in ((1, True), (1, False), (2, False), (3, False), (5, False), (10, False)):
            for row in planted.study_bare(args.count, seeds, noise, known):
                shown = " ".join(f"{column.replace('_coverage', '')} {row[column]:.3f}" for column in COLUMNS)
                print(f"{seeds:2d} {row['basis']:15s} {name:8s} {row['shape']:17s} {shown}", flush=True)
                record["bare"].append(_rounded({"noise": name} | row))
    record["seconds"] = {
        "18 runs, 8 sites, 12 checkpoints": seconds(3, 3, 2, 8, 12),
        "50 runs, 12 sites, 30 checkpoints": seconds(2, 5, 5, 12, 30),
    }
    print(record["seconds"])
    args.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Nearest-neighbour mutual information: against known truths, and against public estimators on the same arrays.

    python bench/information.py [--seeds 10] [--samples 5000] [--repeats 3]

Accuracy: normal pairs of known I(X;Z), split equally over the dimensions, as they are and through injective maps.
Speed: scikit-learn's mutual_info_regression and ennemi in 1 + 1 dimensions, npeet_plus in more; the best time of the
repeats, all in turns in one run, each with the value that it reached. Needs the test extra.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import ennemi
import npeet_plus
import numpy as np
import torch
from hardware import hardware
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_regression

from infoplane.measures.information.differential import entropy_information
from infoplane.measures.information.mutual import NEIGHBOURS, mutual_information
from infoplane.measures.information.neighbours import ksg_information
from infoplane.measures.information.variational import infonce

LEVELS = (0.0, 1.0, 3.0, 5.0)
DIMENSIONS = (1, 2, 4)


def spiral(x: np.ndarray, speed: float = 1 / 3) -> np.ndarray:
    """The first two columns turned by an angle that grows with their squared length."""
    angle = speed * (x[:, :2] ** 2).sum(1)
    turned = [np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1], np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]]
    return np.column_stack([*turned, x[:, 2:]])


MAPS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "as it is": (np.asarray, np.asarray),
    "asinh": (np.arcsinh, np.arcsinh),
    "half-cube": (lambda x: x * np.sqrt(np.abs(x)), lambda x: x * np.sqrt(np.abs(x))),
    "cube": (lambda x: x**3, lambda x: x**3),
    "normal cdf": (norm.cdf, norm.cdf),
    "spiral of X": (spiral, np.asarray),
}
"""What X and Z go through."""


def normal_pair(seed: int, n: int, d: int, nats: float) -> tuple[np.ndarray, np.ndarray]:
    """X and Z of shape (n, d) with rho^2 = 1 - exp(-2 I / d) in every pair of columns."""
    rng, rho = np.random.default_rng(seed), math.sqrt(1 - math.exp(-2 * nats / d))
    x = rng.normal(size=(n, d))
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, d))


def accuracy(seeds: int, n: int) -> list[dict[str, object]]:
    """One row per map, dimension, true value and estimator: median, median absolute error, spread."""
    rows: list[dict[str, object]] = []
    for d in DIMENSIONS:
        for name, (of_x, of_z) in MAPS.items():
            if name == "spiral of X" and d == 1:
                continue
            for nats in LEVELS:
                found: dict[str, list[float]] = {estimator: [] for estimator in NEIGHBOURS}
                for seed in range(seeds):
                    x, z = normal_pair(seed, n, d, nats)
                    pair = torch.as_tensor(of_x(x)), torch.as_tensor(of_z(z))
                    for estimator, k in NEIGHBOURS.items():
                        found[estimator].append(mutual_information(*pair, estimator, k).value)
                for estimator, k in NEIGHBOURS.items():
                    values = np.array(found[estimator])
                    row = {"map": name, "d": f"{d} + {d}", "true": nats, "estimator": estimator, "k": k}
                    error = float(np.median(np.abs(values - nats)))
                    rows.append(row | {"median": float(np.median(values)), "error": error, "sd": float(values.std())})
                errors = [f"{row['median'] - nats:+.3f}" for row in rows[-len(NEIGHBOURS) :]]  # type: ignore[operator]
                print(f"| {name} | {d} + {d} | {nats:g} | {' | '.join(errors)} |", flush=True)
    return rows


def speed(repeats: int) -> list[dict[str, object]]:
    """KSG's first estimator with 3 neighbours, everybody's on the same arrays; and what else there is, for scale."""
    rows: list[dict[str, object]] = []
    print("| n | d | estimator | nats | seconds | times infoplane's |\n| --- | --- | --- | --- | --- | --- |")
    for n in (1000, 5000, 20000):
        for d in (1, 2, 4, 8):
            if n > 5000 and d > 2:
                continue
            x, z = normal_pair(0, n, d, 2.0)
            pair = torch.as_tensor(x), torch.as_tensor(z)
            ways: dict[str, Callable[[], float]] = {
                "infoplane": lambda pair=pair: ksg_information(*pair, 3, "ksg1", scores=False).value,
                "npeet_plus": lambda x=x, z=z: float(npeet_plus.mi(x, z, k=3, base=math.e)),
            }
            if d == 1:
                ways["scikit-learn"] = lambda x=x, z=z: float(
                    mutual_info_regression(x, z[:, 0], n_neighbors=3, random_state=0)[0]
                )
                ways["ennemi"] = lambda x=x, z=z: float(
                    ennemi.estimate_mi(z[:, 0], x[:, 0], k=3, preprocess=False, max_threads=1)[0, 0]
                )
            ways["infoplane weighted_kl"] = lambda pair=pair: entropy_information(*pair, 20, weighted=True).value
            if n == 5000:
                ways["infoplane InfoNCE"] = lambda pair=pair: infonce(*pair).value
            best = dict.fromkeys(ways, math.inf)
            values: dict[str, float] = {}
            for _ in range(repeats):
                for name, way in ways.items():
                    started = time.perf_counter()
                    values[name] = way()
                    best[name] = min(best[name], time.perf_counter() - started)
            for name in ways:
                ratio = best[name] / best["infoplane"]
                rows.append(
                    {"n": n, "d": d, "estimator": name, "nats": values[name], "seconds": best[name], "ratio": ratio}
                )
                print(f"| {n} | {d} + {d} | {name} | {values[name]:.4f} | {best[name]:.4f} | {ratio:.1f} |", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("bench/results/information.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    record: dict[str, object] = {"hardware": hardware(), "threads": args.threads, "speed": speed(args.repeats)}
    print(f"| map | d | true | {' | '.join(NEIGHBOURS)} |\n|{' --- |' * (3 + len(NEIGHBOURS))}")
    record |= {"seeds": args.seeds, "samples": args.samples, "accuracy": accuracy(args.seeds, args.samples)}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Kernel family against scikit-learn on the same activations, its cost in checkpoints, side by side, and at scale.

    python bench/kernel.py [--pairs 3] [--samples 1000] [--skip-scale] [--batches]

Activations: 8 residual layers of width 256 trained on scikit-learn's digits, read at log-spaced steps. scikit-learn's
side searches the same bandwidths and ridges: GridSearchCV of KernelRidge for Z-X (5 folds, as leave-one-out would take
n / 5 times as long), LogisticRegressionCV on kernel features of full rank for Z-Y (5 folds). Both sides take turns, and
time is that of the processor, so that other work on the machine takes part in neither. The scale part runs each case in
a process of its own, whose peak memory is told: interpreter, libraries, Z, X and all.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hardware import hardware
from torch import Tensor, nn

from infoplane.measures.decoding.ridge import decades
from infoplane.measures.decoding.side_by_side import side_by_side
from infoplane.measures.families import kernel, linear
from infoplane.measures.job import TOGETHER
from infoplane.measures.targets import Targets, prepare

SITES, WIDTH, CLASSES = 8, 256, 10

STOPS = {"scikit-learn": (1e-4, 200), "scikit-learn, converged": (1e-6, 2000)}
"""Tolerance and most iterations of LogisticRegressionCV: its default tolerance, and where its values come near ours."""


def activations(samples: int, checkpoints: int) -> tuple[np.ndarray, np.ndarray, list[list[Tensor]]]:
    """X, labels, and Z by checkpoint and site."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x = (digits.data[order] - digits.data.mean()) / digits.data.std()
    y = digits.target[order]
    torch.manual_seed(0)
    stem, head = nn.Linear(64, WIDTH), nn.Linear(WIDTH, CLASSES)
    layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(SITES))
    optimizer = torch.optim.SGD([p for m in (stem, head, layers) for p in m.parameters()], lr=0.02, momentum=0.9)
    inputs, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)

    def sites(some: Tensor) -> list[Tensor]:
        seen = [torch.relu(stem(some))]
        for layer in layers:
            seen.append(torch.relu(seen[-1] + layer(seen[-1])))
        return seen[1:]

    read, kept = {round(1.25**k) for k in range(checkpoints)} | set(range(checkpoints)), []
    for step in sorted(read)[:checkpoints]:
        for _ in range(step and 1 + step // 4):
            rows = torch.randint(samples, len(labels), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(sites(inputs[rows])[-1]), labels[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            kept.append(sites(inputs[:samples]))
    return x[:samples], y[:samples], kept


def by_scikit_learn(
    z: Tensor, x: np.ndarray, y: np.ndarray, options: kernel.Options, tolerance: float, iterations: int
) -> dict[str, float]:
    """Z-X and Z-Y with the same bandwidths and ridges, cross-validated; when the logistic regression may stop."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    values = StandardScaler().fit_transform(z.double().numpy())
    values = values[:, values.std(0) > 0]
    n, d = values.shape
    norms = np.square(values).sum(1)
    squared = norms[:, None] + norms - 2 * values @ values.T
    median = float(np.median(squared[np.triu_indices(n, 1)]))
    ridges = decades(options.weakest_ridge, options.strongest_ridge)
    gammas = [1 / (width * median) for width in options.bandwidths]
    # the linear kernel of scikit-learn is not divided by d
    grid = [
        {"kernel": ["rbf"], "gamma": gammas, "alpha": ridges},
        {"kernel": ["linear"], "alpha": [ridge * d for ridge in ridges]},
    ]
    centred = x - x.mean(0)
    folds = KFold(options.folds, shuffle=True, random_state=0)
    search = GridSearchCV(KernelRidge(), grid, scoring="neg_mean_squared_error", cv=folds, refit=False)
    found = {"zx": -float(search.fit(values, centred).best_score_) / float(np.square(centred).mean())}
    losses = []
    for gamma in [*gammas, None]:
        features = values / math.sqrt(d)
        if gamma is not None:
            features = Nystroem(gamma=gamma, n_components=n, random_state=0).fit_transform(values)
        stratified = StratifiedKFold(options.folds, shuffle=True, random_state=0)
        model = LogisticRegressionCV(
            Cs=[1 / ridge for ridge in ridges],
            cv=stratified,
            scoring="neg_log_loss",
            tol=tolerance,
            max_iter=iterations,
            refit=False,
        ).fit(features, y)
        scores = next(iter(model.scores_.values())) if isinstance(model.scores_, dict) else model.scores_
        losses.append(-float(np.mean(scores, 0).max()))
    return found | {"zy": min(losses)}


def by_us(z: Tensor, targets: Targets, options: kernel.Options) -> dict[str, float]:
    """Z-X and Z-Y by the kernel family."""
    return {one.measure: float(one.value or 0) for one in kernel.estimate(z, targets, options)}


def against(samples: int, pairs: int) -> dict[str, object]:
    """Both sides in turns on some pairs of checkpoint and site."""
    x, y, seen = activations(samples, 30)
    targets = prepare(x, y, torch.device("cpu"))
    chosen = [(30 * k // max(pairs, 1), SITES * k // max(pairs, 1)) for k in range(pairs)]
    plain, limited = kernel.Options(extrapolate=False), kernel.Options()
    rows = []
    for checkpoint, site in chosen:
        z, row = seen[checkpoint][site], {"checkpoint": float(checkpoint), "site": float(site)}
        for name, options in (("infoplane", plain), ("infoplane, extrapolated", limited)):
            started = time.process_time()
            row |= {f"{name}: {k}": v for k, v in by_us(z, targets, options).items()}
            row[f"{name}: seconds"] = time.process_time() - started
        for name, stop in STOPS.items():
            started = time.process_time()
            row |= {f"{name}: {k}": v for k, v in by_scikit_learn(z, x, y, plain, *stop).items()}
            row[f"{name}: seconds"] = time.process_time() - started
        rows.append(row)
        print(json.dumps(row), flush=True)
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else {}
    ratios = {
        f"{theirs} / {ours}": means[f"{theirs}: seconds"] / means[f"{ours}: seconds"]
        for theirs in STOPS
        for ours in ("infoplane", "infoplane, extrapolated")
        if rows
    }
    return {"samples": samples, "rows": rows, "means": means, "seconds": ratios}


def in_checkpoints(samples: int) -> dict[str, object]:
    """Processor seconds of the default options for 1, 2 and 4 checkpoints of all sites."""
    x, y, seen = activations(samples, 30)
    targets = prepare(x, y, torch.device("cpu"))
    seconds = {}
    for checkpoints in (1, 2, 4):
        started = time.process_time()
        for at in range(checkpoints):
            for z in seen[(30 * at) // checkpoints + 2]:
                kernel.estimate(z, targets, kernel.Options())
        seconds[checkpoints] = time.process_time() - started
    return {"sites": SITES, "seconds by checkpoints": seconds, "30 checkpoints, linearly": seconds[4] / 4 * 30}


def in_batches(samples: int, checkpoints: int = 4) -> dict[str, object]:
    """Wall seconds of all sites of some checkpoints, one by one and side by side; on a GPU too where there is one."""
    x, y, seen = activations(samples, 30)
    activations_of = [z for at in range(checkpoints) for z in seen[30 * at // checkpoints + 2]]
    found: dict[str, object] = {"samples": samples, "activations": len(activations_of)}
    values: dict[str, list[float]] = {}
    for name in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        device = torch.device(name)
        targets, options = prepare(x, y, device), kernel.Options()
        given = [z.to(device) for z in activations_of]
        tasks = [partial(kernel.estimate, z, targets, options) for z in given]
        at_once = max(1, int(TOGETHER["cuda"] // kernel.footprint(given[0], options)))
        ways = {
            "one by one": lambda tasks=tasks: [task() for task in tasks],
            f"side by side, {min(at_once, len(tasks))} at once": lambda tasks=tasks, at_once=at_once: [
                one for first in range(0, len(tasks), at_once) for one in side_by_side(tasks[first : first + at_once])
            ],
        }
        tasks[0]()  # libraries are loaded
        for way, run in ways.items():
            started = time.perf_counter()
            estimates = run()
            found[f"{name}, {way}: seconds"] = time.perf_counter() - started
            values[f"{name}, {way}"] = [one.value or 0.0 for several in estimates for one in several]
    first = next(iter(values.values()))
    found["largest difference of a value"] = max(
        abs(a - b) for own in values.values() for a, b in zip(own, first, strict=True)
    )
    return found


def one_case(family: str, samples: int, dimensions: int, inputs: int, dtype: str) -> None:
    """Measure activations with a latent of 64 dimensions, and print seconds, peak memory and values."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(samples, 64, generator=generator)
    y = latent[:, :CLASSES].argmax(1).numpy()
    z = torch.empty(samples, dimensions, dtype=getattr(torch, dtype))
    for columns in z.split(256, 1):
        mixed = latent @ torch.randn(64, columns.shape[1], generator=generator) / 8
        columns.copy_(torch.relu(mixed) + 0.1 * torch.randn(mixed.shape, generator=generator))
    x = (latent @ torch.randn(64, inputs, generator=generator) / 8).numpy()
    targets = prepare(x, y, torch.device("cpu"))
    module = {"kernel": kernel, "linear": linear}[family]
    started = time.process_time()
    found = module.estimate(z, targets, module.Options())
    print(
        json.dumps(
            {
                "family": family,
                "samples": samples,
                "dimensions": dimensions,
                "D_x": inputs,
                "dtype": dtype,
                "processor seconds": time.process_time() - started,
                "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
                **{one.measure: one.value for one in found},
                **{f"{one.measure} detail": json.loads(one.detail) for one in found},
            }
        )
    )


def at_scale() -> list[dict[str, object]]:
    """Each case in a process of its own."""
    cases = [
        ("kernel", 5000, 16384, 3072, "float32"),
        ("linear", 5000, 16384, 3072, "float32"),
        ("kernel", 5000, 16384, 3072, "float16"),
        ("kernel", 20000, 1024, 3072, "float16"),
        ("linear", 20000, 1024, 3072, "float16"),
    ]
    rows = []
    for case in cases:
        command = [sys.executable, __file__, "--case", *map(str, case)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(done.stdout, end="", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--skip-scale", action="store_true")
    parser.add_argument("--batches", action="store_true", help="only side by side against one by one; no file")
    parser.add_argument("--case", nargs=5, metavar=("FAMILY", "SAMPLES", "DIMENSIONS", "INPUTS", "DTYPE"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("bench/results/kernel.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.case:
        family, samples, dimensions, inputs, dtype = args.case
        one_case(family, int(samples), int(dimensions), int(inputs), dtype)
        return
    warnings.simplefilter("ignore")
    record: dict[str, object] = {"hardware": hardware(), "threads": args.threads}

    def write() -> None:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    record["side by side"] = batches = in_batches(args.samples)
    print(json.dumps(batches), flush=True)
    if args.batches:
        return
    record["checkpoints"] = in_checkpoints(args.samples)
    if not args.skip_scale:
        record["scale"] = at_scale()
    write()
    record["scikit-learn"] = compared = against(args.samples, args.pairs)
    write()
    print("| method | Z-X | Z-Y (nats) | processor seconds per site and checkpoint |\n| --- | --- | --- | --- |")
    means = compared["means"]
    assert isinstance(means, dict)
    for name in ("infoplane", "infoplane, extrapolated", *STOPS):
        print(f"| {name} | " + " | ".join(f"{means[f'{name}: {key}']:.4f}" for key in ("zx", "zy", "seconds")) + " |")
    print("scikit-learn / infoplane time:", compared["seconds"], record["checkpoints"])


if __name__ == "__main__":
    main()

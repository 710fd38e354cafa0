"""What sharing a device brings, and what a job of the workflow costs beyond its work.

    OMP_NUM_THREADS=1 python bench/slots.py [--device cuda] [--jobs 6] [--steps 200] [--repeats 2]

First, jobs per minute with one and with two slots on one device, in turns: each job is a process of its own that
leases the device (`infoplane.devices.lease`), imports PyTorch, trains a small residual CNN and writes its results; as
many are under way as there are slots, which is how Snakemake starts them. Without a GPU the lease is on one that
exists in name only, and the jobs compute on the CPU.

Then a trivial experiment under Snakemake, with one core and with two: wall time, the seconds of every job's process
and the seconds of work that jobs report, so that what is left can be told apart. Held against a Python that imports
PyTorch and ends, in the same run.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from demo import worked
from hardware import hardware

from infoplane.data.prepare import prepare
from infoplane.devices import VISIBLE, lease, visible_gpus
from infoplane.specs import CheckpointSpec, DataSpec, Plugin, TrainingSpec, TrainSpec

REPOSITORY = Path(__file__).resolve().parent.parent
TRIVIAL: dict[str, Any] = {
    "experiment": "trivial",
    "data": {"kind": "digits", "train": 120, "held_out": 50, "validation": 40},
    "architectures": {"mlp": {"width": 8, "blocks": 1}, "resnet": {"width": 2, "blocks": 1}},
    "shortcuts": {"identity": None, "none": None},
    "seeds": [0, 1],
    "training": {"steps": 6, "batch_size": 32, "checkpoints": {"log": 2, "log_until": 3, "linear": 1}},
    "measures": {"linear": None},
    "animation": {"format": "none"},
    "device": "cpu",
}
"""24 jobs of hardly any work, beside the one that splits the data."""


def spec(seed: int, steps: int) -> TrainSpec:
    """The demo's residual CNN on the digits."""
    learning = TrainingSpec(
        steps=steps,
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="constant",
        warmup=0,
        log_every=50,
        precision="float32",
        checkpoints=CheckpointSpec(4, 100, 2),
    )
    task = Plugin("classification", {"x": "x", "y": "y", "label_noise": 0.0})
    return TrainSpec(Plugin("resnet"), Plugin("identity"), task, learning, seed)


def job(device: str, slots: int, text: str, folder: Path, name: str) -> None:
    """What one process does; as scripts/train.py, but that a GPU in name will do for a CPU."""
    works = {"works": lambda: True} if device == "cpu" else {}
    with lease("cuda", slots, folder / "leases", **works):
        import torch

        from infoplane.training.run import train

        torch.set_num_threads(1)
        splits = folder / "train.parquet", folder / "validation.parquet"
        outputs = (folder / f"{name}.{kind}" for kind in ("safetensors", "parquet", "state"))
        train(TrainSpec.from_json(text), *splits, *outputs, torch.device(device))


def jobs_per_minute(device: str, slots: int, jobs: int, steps: int, folder: Path) -> float:
    """Of processes that share one device, as many at a time as it has slots."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", VISIBLE: "0" if device == "cpu" else visible_gpus()[0]}

    def run(seed: int) -> None:
        command = [sys.executable, __file__, "--device", device, "--slots", str(slots), "--folder", str(folder)]
        command += ["--job", spec(seed, steps).to_json(), "--name", f"{slots}-{seed}"]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(run, range(jobs)))
    return 60 * jobs / (time.perf_counter() - started)


def import_seconds(repeats: int) -> float:
    """Of a Python that imports PyTorch and ends, the best."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        best = min(best, time.perf_counter() - started)
    return best


def overhead(cores: int, folder: Path) -> dict[str, Any]:
    """Seconds per job of the trivial experiment, without tables and drawing."""
    (folder / "trivial.yaml").write_text(yaml.safe_dump(TRIVIAL))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", "."]
    command += ["--cores", str(cores), "--configfile", "trivial.yaml", "--until", "measures"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall = time.perf_counter() - started
    results = folder / "results" / "trivial"
    rows = [
        row for path in (results / "benchmarks").rglob("*.tsv") for row in csv.DictReader(path.open(), delimiter="\t")
    ]
    process, work = sum(float(row["s"]) for row in rows), sum(worked(results / "logs").values())
    return {
        "cores": cores,
        "jobs": len(rows),
        "wall_s": wall,
        "work_s_per_job": work / len(rows),
        "process_start_and_imports_s_per_job": (process - work) / len(rows),
        "snakemake_s_per_job": (cores * wall - process) / len(rows),
        "overhead_s_per_job": (cores * wall - work) / len(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("bench/results/slots.json"))
    for internal in ("job", "name"):
        parser.add_argument(f"--{internal}", help=argparse.SUPPRESS)
    parser.add_argument("--slots", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job(args.device, args.slots, args.job, args.folder, args.name)
        return
    if args.device == "cuda":
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
        device = f"GPU {visible_gpus()[0]} of: {'; '.join(listing.split(' (UUID')[0].splitlines())}"
    else:
        device = "the CPU, one thread per job, behind leases on a GPU that exists in name only"
    print(f"{hardware()}; device: {device}\n")
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {split: folder / f"{split}.parquet" for split in ("train", "validation", "held_out")}
        prepare(DataSpec(Plugin("digits"), 256, 341, 1200, 0), folder, paths)
        for repeat in range(args.repeats):
            for slots in rates:
                made = folder / f"repeat{repeat}-{slots}"
                made.mkdir()
                for split in ("train", "validation"):
                    (made / f"{split}.parquet").symlink_to(paths[split])
                rates[slots].append(jobs_per_minute(args.device, slots, args.jobs, args.steps, made))
    best = {slots: max(found) for slots, found in rates.items()}
    print(f"jobs per minute: {best[1]:.1f} with one slot, {best[2]:.1f} with two: {best[2] / best[1]:.2f}")
    imports = import_seconds(3)
    costs = []
    for cores in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            costs.append(overhead(cores, Path(name)))
        cost = costs[-1]
        cost["overhead_to_import"] = cost["overhead_s_per_job"] / imports
        print(
            f"{cost['jobs']} trivial jobs, {cores} at a time, seconds of a core per job: "
            f"{cost['work_s_per_job']:.2f} of work, {cost['process_start_and_imports_s_per_job']:.2f} for the process, "
            f"{cost['snakemake_s_per_job']:.2f} for Snakemake; importing PyTorch alone: {imports:.2f}",
            flush=True,
        )
    record = {
        "hardware": hardware(),
        "device": device,
        "jobs": args.jobs,
        "steps": args.steps,
        "jobs_per_minute": {str(slots): found for slots, found in rates.items()},
        "two_slots_to_one": best[2] / best[1],
        "import_torch_s": imports,
        "workflow": costs,
    }
    args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

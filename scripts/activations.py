"""Read the activations of one run, or of all seeds of a network, on the held-out images."""

import argparse
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.specs import ActivationsSpec, TrainSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="what to read, JSON")
    parser.add_argument("--run", type=TrainSpec.from_json, nargs="+", help="the runs that they must be of, JSON")
    parser.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="checkpoints, a file per run")
    parser.add_argument("--train", type=Path, required=True, help="training split, for BatchNorm recalibration")
    parser.add_argument("--held-out", type=Path, required=True, help="held-out images")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="outputs, Parquet")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    runs = args.run or [None] * len(args.output)
    spec = ActivationsSpec.from_json(args.spec)
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.activations.dump import dump

        torch.set_num_threads(args.threads)
        with timed("reading activations"):
            for run, checkpoints, output in zip(runs, args.checkpoints, args.output, strict=True):
                dump(spec, checkpoints, args.train, args.held_out, output, torch.device(device), run)


if __name__ == "__main__":
    run_script(main)

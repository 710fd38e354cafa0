"""Read a run's activations on the held-out images at every checkpoint and site."""

import argparse
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.specs import ActivationsSpec, TrainSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="what to read, JSON")
    parser.add_argument("--run", type=TrainSpec.from_json, help="the run that the checkpoints must be of, JSON")
    parser.add_argument("--checkpoints", type=Path, required=True, help="the run's checkpoints")
    parser.add_argument("--train", type=Path, required=True, help="training split, for BatchNorm recalibration")
    parser.add_argument("--held-out", type=Path, required=True, help="held-out images")
    parser.add_argument("--output", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = ActivationsSpec.from_json(args.spec)
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.activations.dump import dump

        torch.set_num_threads(args.threads)
        with timed("reading activations"):
            dump(spec, args.checkpoints, args.train, args.held_out, args.output, torch.device(device), args.run)


if __name__ == "__main__":
    run_script(main)

"""Train one network: checkpoints and history from a spec and two splits."""

import argparse
import sys
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.reuse import Shelf, fingerprint
from infoplane.specs import TrainSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the run's spec, JSON")
    parser.add_argument("--train", type=Path, required=True, help="training split")
    parser.add_argument("--validation", type=Path, required=True, help="validation split")
    parser.add_argument("--checkpoints", type=Path, required=True, help="output, safetensors")
    parser.add_argument("--history", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--state", type=Path, required=True, help="folder for resumable state")
    parser.add_argument("--shared", type=Path, nargs="?", help="folder of results that all experiments share")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = TrainSpec.from_json(args.spec)
    shelf, outputs = Shelf(args.shared), [args.checkpoints, args.history]
    key = fingerprint(spec, Path(__file__), spec.plugins, args.train, args.validation)
    if shelf.take(key, outputs):
        print(
            "the same run has been trained before, in this experiment or another, and is taken from there",
            file=sys.stderr,
        )
        return
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.training.run import train

        torch.set_num_threads(args.threads)
        with timed("training"):
            train(spec, args.train, args.validation, *outputs, args.state, torch.device(device))
    shelf.keep(key, outputs)


if __name__ == "__main__":
    run_script(main)

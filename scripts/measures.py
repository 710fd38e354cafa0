"""Measure a run's activations with one measure family."""

import argparse
import sys
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.reuse import Shelf, fingerprint
from infoplane.specs import MeasuresSpec, TrainSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the family and its options, JSON")
    parser.add_argument("--run", type=TrainSpec.from_json, help="the run that is measured, JSON")
    parser.add_argument("--held-out", type=Path, required=True, help="held-out images")
    parser.add_argument(
        "--activations", type=Path, nargs="?", help="the run's activations, where the family reads them"
    )
    parser.add_argument("--checkpoints", type=Path, nargs="?", help="the run's weights, where the family reads them")
    parser.add_argument("--train", type=Path, nargs="?", help="training split, where the family reads weights")
    parser.add_argument("--output", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--shared", type=Path, nargs="?", help="folder of results that all experiments share")
    parser.add_argument("--architecture", required=True, help="the run's label")
    parser.add_argument("--shortcut", required=True, help="the run's label")
    parser.add_argument("--seed", type=int, required=True, help="the run's seed")
    parser.add_argument("--family", required=True, help="the family's label")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = MeasuresSpec.from_json(args.spec)
    labels = {name: getattr(args, name) for name in ("architecture", "shortcut", "seed", "family")}
    shelf, plugins = Shelf(args.shared), [("measure", spec.family.kind)]
    read = [path for path in (args.held_out, args.activations, args.checkpoints, args.train) if path]
    key = fingerprint(spec, Path(__file__), plugins, *read, **labels)
    if shelf.take(key, [args.output]):
        print("the same values have been measured before and are taken from there", file=sys.stderr)
        return
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.measures.job import measure
        from infoplane.measures.subject import Subject

        torch.set_num_threads(args.threads)
        with timed("measuring"):
            files = args.held_out, torch.device(device), args.activations, args.checkpoints, args.train
            measure(spec, Subject(*files, args.run), args.output, labels)
    shelf.keep(key, [args.output])


if __name__ == "__main__":
    run_script(main)

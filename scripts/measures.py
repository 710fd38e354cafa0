"""Measure one run, or all seeds of a network, with one measure family."""

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
    parser.add_argument("--run", type=TrainSpec.from_json, nargs="+", help="the runs that are measured, JSON")
    parser.add_argument("--held-out", type=Path, required=True, help="held-out images")
    parser.add_argument(
        "--activations", type=Path, nargs="*", help="activations, a file per run, where the family reads them"
    )
    parser.add_argument("--checkpoints", type=Path, nargs="*", help="weights, likewise")
    parser.add_argument("--train", type=Path, nargs="?", help="training split, where the family reads weights")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="outputs, Parquet")
    parser.add_argument("--shared", type=Path, nargs="?", help="folder of results that all experiments share")
    parser.add_argument("--architecture", required=True, help="the runs' label")
    parser.add_argument("--shortcut", required=True, help="the runs' label")
    parser.add_argument("--seed", type=int, nargs="+", required=True, help="each run's seed")
    parser.add_argument("--family", required=True, help="the family's label")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = MeasuresSpec.from_json(args.spec)
    labels = {name: getattr(args, name) for name in ("architecture", "shortcut", "family")}
    shelf, plugins = Shelf(args.shared), [("measure", spec.family.kind)]
    nothing = [None] * len(args.output)
    per_run = args.seed, args.output, args.run or nothing, args.activations or nothing, args.checkpoints or nothing
    left = []
    for seed, output, run, activations, checkpoints in zip(*per_run, strict=True):
        of_run = labels | {"seed": seed}
        read = [path for path in (args.held_out, activations, checkpoints, args.train) if path]
        key = fingerprint(spec, Path(__file__), plugins, *read, **of_run)
        if not shelf.take(key, [output]):
            left.append((key, output, of_run, (activations, checkpoints, args.train, run)))
    if not left:
        print("the same values have been measured before and are taken from there", file=sys.stderr)
        return
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.measures.job import measure
        from infoplane.measures.subject import Subject

        torch.set_num_threads(args.threads)
        with timed("measuring"):
            for key, output, of_run, files in left:
                measure(spec, Subject(args.held_out, torch.device(device), *files), output, of_run)
                shelf.keep(key, [output])


if __name__ == "__main__":
    run_script(main)

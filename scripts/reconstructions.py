"""Draw a few inputs of a run as a decoder makes them from its last block."""

import argparse
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.specs import ReconstructionsSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="images, checkpoints and the decoder's options, JSON")
    parser.add_argument("--held-out", type=Path, required=True, help="held-out images")
    parser.add_argument("--activations", type=Path, required=True, help="the run's activations")
    parser.add_argument("--output", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--architecture", required=True, help="the run's label")
    parser.add_argument("--shortcut", required=True, help="the run's label")
    parser.add_argument("--seed", type=int, required=True, help="the run's seed")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = ReconstructionsSpec.from_json(args.spec)
    labels = {name: getattr(args, name) for name in ("architecture", "shortcut", "seed")}
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.measures import reconstruction
        from infoplane.measures.subject import Subject

        torch.set_num_threads(args.threads)
        with timed("reconstructing"):
            reconstruction.write(
                spec, Subject(args.held_out, torch.device(device), args.activations), args.output, labels
            )


if __name__ == "__main__":
    run_script(main)

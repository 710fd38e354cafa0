"""Compare one measure family with distributions whose true value is known."""

import argparse
from pathlib import Path

from infoplane.devices import lease
from infoplane.errors import run_script
from infoplane.progress import timed
from infoplane.specs import TruthsSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the family, its options, seeds and sample sizes, JSON")
    parser.add_argument("--family", required=True, help="the family's label")
    parser.add_argument("--output", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--slots", type=int, default=1, help="jobs that may share one GPU")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    spec = TruthsSpec.from_json(args.spec)
    with lease(args.device, args.slots) as device:
        import torch

        from infoplane.measures.truths.run import run

        torch.set_num_threads(args.threads)
        with timed("measuring"):
            run(spec, args.output, args.family, torch.device(device))


if __name__ == "__main__":
    run_script(main)

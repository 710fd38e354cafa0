"""Pack an experiment into one file: its results, the code that made them, and its complete configuration."""

import argparse
import json
from pathlib import Path

from infoplane.errors import UserError, run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True, help="folder of the Snakefile that made the results")
    parser.add_argument("--config", required=True, help="the complete configuration, JSON")
    parser.add_argument(
        "--given", type=Path, nargs="*", default=[], help="the configuration files as they were written"
    )
    parser.add_argument("--results", type=Path, required=True, help="the experiment's folder")
    parser.add_argument("--shown", type=Path, nargs="+", required=True, help="the files in it that are packed")
    parser.add_argument(
        "--left-out", nargs="*", default=[], help="those only named; {architecture} and so on for a run's"
    )
    parser.add_argument("--output", type=Path, required=True, help="output, ZIP")
    args = parser.parse_args()

    from infoplane.archive.pack import pack

    try:
        config = json.loads(args.config)
    except json.JSONDecodeError as error:
        raise UserError(f"--config is not JSON: {error}.") from None
    pack(args.output, args.checkout, config, args.results, args.shown, args.given, args.left_out)


if __name__ == "__main__":
    run_script(main)

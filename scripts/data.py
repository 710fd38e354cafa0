"""Split a data set into train, validation and held_out."""

import argparse
import sys
from pathlib import Path

from infoplane.data.prepare import prepare
from infoplane.errors import run_script
from infoplane.specs import DataSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the DataSpec as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="where downloads are kept")
    parser.add_argument("--train", type=Path, required=True, help="the training split to write")
    parser.add_argument("--validation", type=Path, required=True, help="the validation split to write")
    parser.add_argument("--held-out", type=Path, required=True, help="the held-out images to write")
    parser.add_argument("--known", type=Path, help="digests of the user's own files, which save reading them again")
    args = parser.parse_args()
    outputs = {"train": args.train, "validation": args.validation, "held_out": args.held_out}
    for note in prepare(DataSpec.from_json(args.spec), args.folder, outputs, args.known):
        print(f"note: {note}", file=sys.stderr)


if __name__ == "__main__":
    run_script(main)

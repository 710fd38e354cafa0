"""Print the phases of the last blocks, and the verdicts, to the terminal."""

import argparse
from pathlib import Path

from infoplane.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phases", type=Path, nargs="+", required=True, help="the five tables of phases, Parquet")
    parser.add_argument("--verdicts", type=Path, nargs="*", default=[], help="the table of verdicts, Parquet")
    args = parser.parse_args()

    import polars as pl

    from infoplane.phases import terminal, verdicts
    from infoplane.phases.results import Phases

    found = [verdicts.read(path) for path in args.verdicts]
    terminal.show(Phases.read(args.phases), pl.concat(found) if found else None)


if __name__ == "__main__":
    run_script(main)

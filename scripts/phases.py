"""Analyse curves: phases with confidence, differences between shortcuts, how each block compresses."""

import argparse
import json
from pathlib import Path

import polars as pl

from infoplane.errors import UserError, run_script
from infoplane.phases.analysis import Settings, analyse, write
from infoplane.phases.targets import read
from infoplane.storage.parquet import read_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measures", type=Path, required=True, help="the experiment's measures, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="the experiment's history, Parquet")
    parser.add_argument("--settings", default="{}", help="the configuration's section phases, JSON")
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        help="{phases,differences,gaps,nulls,blocks,targets}.parquet, and answer.md where it is wanted",
    )
    args = parser.parse_args()
    try:
        settings = Settings.of(json.loads(args.settings))
    except (json.JSONDecodeError, AttributeError, TypeError) as error:
        raise UserError(f"--settings is not a JSON object: {error}.") from None
    measures, metadata = read(args.measures)
    history, _ = read_rows(args.history)
    write(analyse(measures, pl.DataFrame(history), settings, metadata), args.output)


if __name__ == "__main__":
    run_script(main)

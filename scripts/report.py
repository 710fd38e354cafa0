"""Write the experiment's report: one page with its tables' numbers and its charts."""

import argparse
from pathlib import Path

from infoplane.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measures", type=Path, required=True, help="measures table, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="history table, Parquet")
    parser.add_argument("--charts", type=Path, nargs="*", default=[], help="the charts' specs, in order")
    parser.add_argument("--output", type=Path, required=True, help="output, HTML")
    args = parser.parse_args()

    from infoplane.charts.frames import Tables
    from infoplane.report import page

    page.write(Tables.read(args.measures, args.history), args.charts, args.output)


if __name__ == "__main__":
    run_script(main)

"""Write the experiment's report: one page with the answer, its charts to explore, and where it all comes from."""

import argparse
from pathlib import Path

from infoplane.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measures", type=Path, required=True, help="measures table, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="history table, Parquet")
    parser.add_argument("--phases", type=Path, nargs="*", default=[], help="the five tables of the phase analysis")
    parser.add_argument("--verdicts", type=Path, nargs="*", default=[], help="table of verdicts on claims, if any")
    parser.add_argument("--charts", type=Path, nargs="*", default=[], help="the charts' specs, in order")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="the charts for print, PDF")
    parser.add_argument("--reconstructions", type=Path, nargs="*", default=[], help="reconstructions of runs, Parquet")
    parser.add_argument("--histograms", type=Path, nargs="*", default=[], help="histograms of runs, Parquet")
    parser.add_argument("--accuracy", type=Path, help="the record of the estimators' accuracy, JSON")
    parser.add_argument("--benchmarks", type=Path, help="folder of Snakemake's timings")
    parser.add_argument("--runs", type=Path, help="folder of the runs' histories, which tell when they were trained")
    parser.add_argument("--output", type=Path, required=True, help="output, HTML")
    args = parser.parse_args()

    from infoplane.charts.frames import Tables
    from infoplane.report import page

    beside = page.Beside(
        next(iter(args.verdicts), None),
        args.reconstructions,
        args.histograms,
        args.accuracy,
        args.benchmarks,
        args.figures,
        args.runs,
    )
    page.write(Tables.read(args.measures, args.history, args.phases), args.charts, args.output, beside)


if __name__ == "__main__":
    run_script(main)

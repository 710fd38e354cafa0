"""Collect the accuracy of every measure family into one table, its charts and a page."""

import argparse
from pathlib import Path

from infoplane.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truths", type=Path, nargs="+", required=True, help="the families' tables, in order")
    parser.add_argument("--table", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--html", type=Path, required=True, help="output: a page that works offline")
    parser.add_argument("--svg", type=Path, required=True, help="output")
    parser.add_argument("--png", type=Path, required=True, help="output, two pixels per point")
    args = parser.parse_args()

    from infoplane.charts import accuracy_chart, render
    from infoplane.charts.accuracy import Accuracy
    from infoplane.report import accuracy_page

    accuracy = Accuracy.read(args.truths)
    spec = accuracy_chart.spec(accuracy)
    accuracy.write(args.table)
    render.save(spec, None, args.svg, args.png, None)
    accuracy_page.write(accuracy, spec, args.html)


if __name__ == "__main__":
    run_script(main)

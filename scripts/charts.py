"""Draw one chart from the experiment's tables: for the page, and for print."""

import argparse
import json
from pathlib import Path

from infoplane.errors import UserError, run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chart", required=True, help="the kind of chart")
    parser.add_argument("--label", default="", help="its name in the configuration; default: the kind")
    parser.add_argument("--options", default="{}", help="its options, JSON")
    parser.add_argument("--measures", type=Path, required=True, help="measures table, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="history table, Parquet")
    parser.add_argument("--phases", type=Path, nargs="*", default=[], help="the five tables of phases, Parquet")
    parser.add_argument("--html", type=Path, help="output: a page that works offline")
    parser.add_argument("--png", type=Path, help="output, two pixels per point")
    parser.add_argument("--json", type=Path, help="output: the Vega-Lite spec")
    parser.add_argument("--svg", type=Path, help="output: a figure for print, without title and notes")
    parser.add_argument("--pdf", type=Path, help="output: the same figure")
    parser.add_argument("--width", type=float, default=6.75, help="of the figure, inches")
    args = parser.parse_args()
    try:
        options = json.loads(args.options)
    except json.JSONDecodeError as error:
        raise UserError(f"--options is not JSON: {error}.") from None

    from infoplane.charts import figure, render
    from infoplane.charts.frames import Tables

    tables = Tables.read(args.measures, args.history, args.phases)
    render.save(render.spec(args.chart, options, tables, args.label), args.html, None, args.png, args.json)
    if args.svg or args.pdf:
        figure.save(figure.drawn(args.chart, options, tables, args.width), args.width, args.svg, args.pdf)


if __name__ == "__main__":
    run_script(main)

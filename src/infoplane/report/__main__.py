"""Phases, charts and the report of a table that anyone measured.

python -m infoplane.report mine.csv --output mine

The table, CSV or Parquet, has a row per run, step and site: columns run, step, site, zx and zy, and more if you like.
"""

import argparse
from pathlib import Path

from infoplane import registry
from infoplane.errors import UserError, run_script
from infoplane.phases.results import TABLES

CHARTS = ("contrast", "information_plane", "phase_diagram", "dynamics", "heat_map")
"""Those that need no more than Z-X and Z-Y."""


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m infoplane.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="CSV or Parquet: run, step, site, zx, zy")
    parser.add_argument("--output", type=Path, required=True, help="folder for the report, charts and tables")
    parser.add_argument("--reference", help="the shortcut, or run, that the others are held against; default: identity")
    parser.add_argument("--classes", type=int, help="number of equally frequent labels, so that H(Y) is shown")
    args = parser.parse_args()

    from infoplane.charts import figure, render
    from infoplane.charts.frames import Tables
    from infoplane.phases import analysis, terminal
    from infoplane.report import own_table, page

    if args.classes is not None and args.classes < 2:
        raise UserError(f"--classes is {args.classes}: expected at least 2.")
    values = own_table.read(args.table, args.classes)
    if unread := own_table.ignored(args.table):
        print(f"ignored columns: {', '.join(unread)}")
    settings = analysis.Settings(reference=own_table.reference(values, args.reference))
    phases = analysis.analyse(values.measures, values.history, settings, values.metadata)
    analysis.write(phases, [args.output / "phases" / f"{name}.parquet" for name in TABLES])
    own_table.write(values, args.output / "tables")
    tables = Tables(values.measures, values.history, values.metadata, phases)
    specs = []
    for name in (name for name in CHARTS if name in registry.names("chart")):
        html, png, json, svg, pdf = (
            args.output / "charts" / f"{name}.{kind}" for kind in ("html", "png", "json", "svg", "pdf")
        )
        render.save(render.spec(name, {}, tables), html, None, png, json)
        figure.save(figure.drawn(name, {}, tables, figure.WIDTH), figure.WIDTH, svg, pdf)
        specs.append(json)
    page.write(tables, specs, args.output / "report.html")
    terminal.show(phases)
    print(f"report: {(args.output / 'report.html').resolve()}")


if __name__ == "__main__":
    run_script(main)

"""Phases, charts and the report of a table that anyone measured.

python -m infoplane.report mine.csv --output mine

The table, CSV or Parquet, has a row per run, step and site: columns run, step, site, zx and zy, and more if you like.
"""

import argparse
import tempfile
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
    parser.add_argument(
        "--reference", help="the shortcut, or run, that the others are compared with; default: identity"
    )
    parser.add_argument("--classes", type=int, help="number of equally frequent labels, so that H(Y) is shown")
    args = parser.parse_args()

    from infoplane.charts import figure, render
    from infoplane.charts.frames import Tables
    from infoplane.phases import analysis, terminal
    from infoplane.report import own_table, page

    if args.classes is not None and args.classes < 2:
        raise UserError(f"--classes is {args.classes}: expected at least 2.")
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"--output {args.output} is a file: expected a folder, new or not.")
    values = own_table.read(args.table, args.classes)
    if unread := own_table.ignored(args.table):
        print(f"ignored columns: {', '.join(unread)}")
    for caution in own_table.cautions(values):
        print(f"note: {caution}")
    settings = analysis.Settings(reference=own_table.reference(values, args.reference))
    phases = analysis.analyse(values.measures, values.history, settings, values.metadata)
    tables = Tables(values.measures, values.history, values.metadata, phases)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".infoplane-", dir=args.output.parent) as folder:
        made = Path(folder)
        files = [*(f"{name}.parquet" for name in TABLES), "answer.md"]
        analysis.write(phases, [made / "phases" / name for name in files])
        own_table.write(values, made / "tables")
        specs, figures = [], []
        for name in (name for name in CHARTS if name in registry.names("chart")):
            html, png, json, svg, pdf = (
                made / "charts" / f"{name}.{kind}" for kind in ("html", "png", "json", "svg", "pdf")
            )
            render.save(render.spec(name, {}, tables), html, None, png, json)
            figure.save(figure.drawn(name, {}, tables, figure.WIDTH), figure.WIDTH, svg, pdf)
            specs.append(json)
            figures.append(pdf)
        page.write(tables, specs, made / "report.html", page.Beside(figures=figures))
        _put(made, args.output, args.table)
    terminal.show(phases)
    for architecture, site in phases.metadata["last_blocks"].items():
        print(f"last block of {architecture}: {site}")
    print(f"report: {(args.output / 'report.html').resolve()}")


def _put(made: Path, output: Path, table: Path) -> None:
    """Move all that was made to where it belongs, once all of it is there; never onto the table itself."""
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    if table.resolve() in {(output / file).resolve() for file in files}:
        raise UserError(f"--output {output} would overwrite {table}: name another folder.")
    for file in files:
        (output / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).replace(output / file)


if __name__ == "__main__":
    run_script(main)

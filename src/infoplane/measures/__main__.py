"""Measure a Parquet file of activations that any framework wrote.

python -m infoplane.measures activations.parquet --held-out held_out.parquet --family kernel --output measures.parquet

The activations hold a row per sample and a column per site, of lists of numbers; columns step and sample, where there
are any, tell checkpoints apart and give each row's place in the held-out file, which
holds X and Y, a row per sample.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from infoplane import registry
from infoplane.errors import UserError, run_script
from infoplane.renamed import old_flag

FEW = 40
"""Rows of the last checkpoint that are shown."""


def named_options(text: str) -> tuple[str, dict[str, Any]]:
    """``kernel`` or ``kernel={"folds": 10}``."""
    family, _, options = text.partition("=")
    try:
        found = json.loads(options or "{}")
    except json.JSONDecodeError as error:
        raise UserError(f"--family {text}: what follows the first = is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise UserError(f"--family {text}: the options must be a JSON object.")
    return family, found


def show(rows: list[dict[str, Any]]) -> None:
    """The last checkpoint's values as a table."""
    last = [row for row in rows if row["step"] == max(row["step"] for row in rows)]
    table = Table(title=f"step {last[0]['step']}", title_justify="left")
    for column in ("site", "part", "family", "measure"):
        table.add_column(column)
    for column in ("value", "± stderr", "reference"):
        table.add_column(column, justify="right")
    table.add_column("unit and note")
    for row in last[:FEW]:
        numbers = (row["value"], row["stderr"], row["reference"])
        words = [row[column] for column in ("site", "part", "family", "measure")]
        table.add_row(*words, *("" if v is None else f"{v:.4g}" for v in numbers), f"{row['unit']} {row['note']}")
    Console().print(table)
    if len(last) > FEW:
        print(f"and {len(last) - FEW} more")


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m infoplane.measures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("activations", type=Path, help="Parquet, a column per site")
    parser.add_argument("--held-out", type=Path, required=True, help="Parquet, X and Y of every sample")
    parser.add_argument("--probe", type=old_flag("--probe", "--held-out"), help=argparse.SUPPRESS)
    parser.add_argument("--x", default="x", help="the held-out file's column of inputs; empty: there is none")
    parser.add_argument("--y", default="label", help="the held-out file's column of labels; empty: there is none")
    parser.add_argument(
        "--group", help="the held-out file's column of ids of samples that belong together; else 'group'"
    )
    parser.add_argument(
        "--amounts", action="store_true", help="X is one whole number per sample, and an amount rather than an id"
    )
    parser.add_argument(
        "--family",
        action="append",
        help=f"with options as JSON: name={{...}}; of {', '.join(registry.names('measure'))}",
    )
    parser.add_argument("--output", type=Path, required=True, help="output, Parquet, one row per value")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    families = dict(named_options(text) for text in args.family or ["kernel"])

    import torch

    from infoplane.measures.standalone import measure_file
    from infoplane.storage.parquet import read_rows

    torch.set_num_threads(args.threads)
    x, y = args.x or None, args.y or None
    rows = measure_file(
        args.activations,
        args.held_out,
        families,
        args.output,
        x,
        y,
        args.device,
        group=args.group or None,
        amounts=args.amounts,
    )
    show(rows)
    about = read_rows(args.output)[1]
    order = (
        "the numbers in their names, for the columns stand sorted as words" if about["renumbered"] else "the columns"
    )
    print(f"depth follows {order}: {', '.join(about['sites'])}")
    print(f"{len(rows)} values in {args.output}")


if __name__ == "__main__":
    run_script(main)

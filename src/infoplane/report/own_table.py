"""A table of values that anyone measured, made into the two tidy tables that all else is drawn from."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import polars.exceptions

from infoplane.charts.frames import Tables
from infoplane.errors import UserError, nearest
from infoplane.provenance import versions
from infoplane.report import own_hints
from infoplane.storage.parquet import write_rows
from infoplane.tables import (
    HISTORY,
    HISTORY_ORDER,
    MEASURES,
    MEASURES_ORDER,
    RUN,
    with_best_family,
    with_capacity_gap,
    with_dpi_excess,
)

NAMED = ("run", "step", "site", "zx", "zy")
"""Columns that a table must have; with ``shortcut`` it may do without ``run``."""

OF_THE_RUN = ("architecture", "shortcut", "seed", "family")
OF_THE_VALUE = ("zx_stderr", "zy_stderr", "depth", "n")
OF_THE_STEP = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
OPTIONAL = (*OF_THE_RUN, *OF_THE_VALUE, *OF_THE_STEP, "accuracy")
WHOLE = ("step", "seed", "depth", "n")
WORDS = ("run", "site", "architecture", "shortcut", "family")
SHARES = ("accuracy", "train_accuracy", "validation_accuracy")
LOWEST_ZX, HIGHEST_ZX = -0.05, 1.5
"""Z-X is a share of the input's variance. A held-out value may lie a little above 1; below 0 there is only rounding."""
NOT_A_SHARE = f"above {HIGHEST_ZX:g}: is it divided by the variance of the input?"
MOST = 2**53
"""Whole numbers above this are not told apart by every program."""
THOUSANDS = r"^\d{1,3}(\.\d{3})+$"
FAMILY = "own"
SEPARATORS = ",;\t"
ROW = "row of the file"


def read(path: Path, classes: int | None = None) -> Tables:
    """The tables of a CSV or Parquet file of (run, step, site, zx, zy), one row per value of both.

    classes: number of equally frequent labels, for H(Y). Raises `UserError` for a column that is missing or misspelt,
    for what is no number or cannot be one of its kind, for rows that are there twice or contradict each other, and
    where nothing has two checkpoints.
    """
    rows = _placed(_typed(_file(path), path), path)
    _distinct(rows, path)
    _agreeing(rows, "depth", ["architecture", "site"], path)
    for name in (name for name in (*OF_THE_STEP, "accuracy") if name in rows.columns):
        _agreeing(rows, name, [*RUN, "step"], path)
    if rows.group_by([*RUN, "family", "site"]).agg(pl.col("step").n_unique())["step"].max() == 1:
        raise UserError(f"{path}: every run has one step only at each site: expected at least two, to see it change.")
    return Tables(_measures(rows, classes), _history(rows), _metadata(rows, path))


def ignored(path: Path) -> list[str]:
    """Note the columns that are not known and are left out."""
    return [name for name in _file(path).columns if name not in (*NAMED, *OPTIONAL)]


def cautions(tables: Tables) -> list[str]:
    """Note what is read, but may not be what was meant."""
    high = tables.measures.filter(pl.col("measure") == "zx", pl.col("value") > HIGHEST_ZX)
    if high.is_empty():
        return []
    worst = float(high["value"].to_numpy().max())
    return [
        f"zx is above {HIGHEST_ZX:g} in {high.height} rows, up to {worst:g}: is it divided by the input's variance? "
        "Z-X is 1 where nothing of the input can be read."
    ]


def reference(tables: Tables, wanted: str | None) -> str:
    """Find the shortcut that the others are compared with: the wanted one, else identity where it is, else the first.

    Raises `UserError` with the nearest name when there is none of the wanted one.
    """
    if wanted is not None and wanted not in tables.shortcuts:
        raise UserError(f"--reference: no run is called '{wanted}': {nearest(wanted, tables.shortcuts)}")
    return wanted or tables.shortcuts[0]


def write(tables: Tables, folder: Path) -> None:
    """Write both tables, ``measures.parquet`` and ``history.parquet``, as the workflow does."""
    for name, table in (("measures", tables.measures), ("history", tables.history)):
        write_rows(folder / f"{name}.parquet", table.to_arrow(compat_level=pl.CompatLevel.oldest()), tables.metadata)


def _file(path: Path) -> pl.DataFrame:
    """The file as it is; of a CSV every cell is text."""
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(SEPARATORS, key=header.count)
        return pl.read_csv(path, infer_schema=False, separator=separator)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: expected a CSV or Parquet file with the columns {own_hints.listed(NAMED)}."
        ) from None
    except (polars.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        kind = path.suffix.lstrip(".") or "CSV"
        raise UserError(f"{path} is not a readable {kind} file: {own_hints.unreadable(reason)}.") from None


def _typed(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The known columns as text and numbers, with the rows' places in the file."""
    columns = table.columns
    if missing := [one for one in NAMED if one not in columns and not (one == "run" and "shortcut" in columns)]:
        others = [other for other in columns if other not in (*NAMED, *OPTIONAL)]
        raise UserError(f"{path} {own_hints.missing(missing, others, columns)}")
    for name in columns:
        close = nearest(name, [known for known in OPTIONAL if known not in columns])
        if name not in (*NAMED, *OPTIONAL) and close.startswith("did you mean"):
            raise UserError(f"{path}: unknown column '{name}': {close}")
    if table.is_empty():
        raise UserError(f"{path} has no rows: expected one per run, step and site.")
    first = 1 if path.suffix.lower() == ".parquet" else 2
    known = [name for name in (*NAMED, *OPTIONAL) if name in columns]
    typed = table.select(known).with_row_index(ROW, first)
    return typed.with_columns(_column(typed, name, path) for name in known)


def _column(table: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """One column in its type; what may be absent becomes null, anything else must be there and finite."""
    cells = table[name]
    if cells.dtype.is_nested() or cells.dtype == pl.Binary:
        raise UserError(f"{path}: column '{name}' holds {cells.dtype}: expected one value per row.")
    if name not in WORDS and not (cells.dtype.is_numeric() or cells.dtype in (pl.String, pl.Null)):
        raise UserError(f"{path}: column '{name}' holds {cells.dtype}: expected numbers.")
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
        cells = cells.replace("", None)
    if name in WORDS:
        found = cells.cast(pl.String)
        odd = found.is_null()
        expected = "a name"
    else:
        found = cells.cast(pl.Float64, strict=False)
        whole = name in WHOLE
        odd = found.is_null() if name in NAMED else found.is_null() & cells.is_not_null()
        if name in NAMED or name in OF_THE_VALUE or name == "seed":
            odd |= found.is_not_null() & ~found.is_finite().fill_null(True)
        expected = "a whole number, 0 or more" if whole else "a number"
        if whole:
            odd |= ((found != found.round()) | (found < 0) | (found > MOST)).fill_null(False)
            if cells.dtype == pl.String and (points := cells.str.contains(THOUSANDS).fill_null(False)).any():
                odd, expected = points, "a whole number without a point: it may be one for thousands"
        elif name == "zx" and not odd.any():
            odd = (found < LOWEST_ZX).fill_null(False)
            expected = f"a number, {LOWEST_ZX:g} or more: it is an error's share of the input's variance"
        elif name in SHARES:
            odd |= (~found.is_between(0, 1)).fill_null(False)
            expected = "a share, 0 to 1, not percent"
        elif name in OF_THE_VALUE:
            odd |= (found < 0).fill_null(False)
            expected = "a number, 0 or more"
        found = found.cast(pl.Int64, strict=False) if whole else found
    if odd.any():
        place = int(odd.arg_max() or 0)
        value = cells[place]
        said = "empty" if value is None else f"'{value}'"
        hint = "" if name in WORDS or cells.dtype != pl.String else own_hints.cell(value, name in WHOLE)
        raise UserError(f"{path}: {name} in row {table[ROW][place]} is {said}: expected {expected}{hint}.")
    return found.alias(name)


def _placed(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Every run with an architecture, a shortcut and a seed; every site with a depth; rows in the file's order.

    Without a column of theirs: all of one architecture, that is the file; the run is what is compared; and runs that
    share both are its seeds, in the order of the file.
    """
    columns = table.columns
    if "architecture" not in columns:
        table = table.with_columns(pl.lit(path.stem).alias("architecture"))
    if "shortcut" not in columns:
        table = table.with_columns(pl.col("run").alias("shortcut"))
    if "family" not in columns:
        table = table.with_columns(pl.lit(FAMILY).alias("family"))
    pair = ["architecture", "shortcut"]
    if "seed" not in columns:
        seed = _turn("run", pair) if "run" in columns else pl.lit(0, pl.Int64)
        table = table.with_columns(seed.alias("seed"))
    if "depth" not in columns:
        first = table.group_by("architecture", "site", maintain_order=True).agg(pl.col(ROW).min()).sort(ROW)
        places = [
            {"architecture": architecture, "site": site, "depth": depth}
            for (architecture,), found in first.group_by("architecture", maintain_order=True)
            for depth, site in enumerate(in_order(found["site"].to_list()))
        ]
        table = table.join(pl.DataFrame(places), on=["architecture", "site"], maintain_order="left")
    return table


def in_order(sites: Sequence[str]) -> list[str]:
    """Order the sites from the input on, as in the file; numbered sites that were sorted as words, by their numbers.

    `layer1, layer10, layer2` is such an order; `up2, up1` is not, and stays.
    """
    alike: dict[str, list[str]] = {}
    for site in sites:
        alike.setdefault(re.sub(r"\d+", "#", site), []).append(site)
    ordered = {
        shape: iter(sorted(found, key=_numbers) if found == sorted(found) else found) for shape, found in alike.items()
    }
    return [next(ordered[re.sub(r"\d+", "#", site)]) for site in sites]


def _numbers(site: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", site)]


def _agreeing(rows: pl.DataFrame, name: str, keys: list[str], path: Path) -> None:
    """Refuse two values of what belongs to the keys alone."""
    known = rows.filter(pl.col(name).is_not_null())
    odd = known.group_by(keys, maintain_order=True).agg(ROW, name).filter(pl.col(name).list.n_unique() > 1)
    if odd.height:
        row = odd.row(0, named=True)
        other = next(at for at, value in enumerate(row[name]) if value != row[name][0])
        of = f"site '{row['site']}'" if "site" in row else f"step {row['step']} of one run"
        raise UserError(
            f"{path}: {name} of {of} is {row[name][0]:g} in row {row[ROW][0]} and {row[name][other]:g} in row "
            f"{row[ROW][other]}: expected the same in every row."
        )


def _turn(name: str, within: list[str]) -> pl.Expr:
    """0 for the value that comes first in the file, 1 for the next new one, and so on."""
    first = pl.col(ROW).min().over([*within, name])
    return (first.rank("dense").over(within) - 1).cast(pl.Int64)


def _distinct(rows: pl.DataFrame, path: Path) -> None:
    keys = [*RUN, "family", "step", "site"]
    twice = rows.group_by(keys, maintain_order=True).agg(pl.col(ROW)).filter(pl.col(ROW).list.len() > 1)
    if twice.height:
        row = twice.row(0, named=True)
        name = row["shortcut"] if "run" not in rows.columns else rows.filter(pl.col(ROW) == row[ROW][0])["run"][0]
        raise UserError(
            f"{path}: run '{name}', step {row['step']}, site '{row['site']}' is in rows {row[ROW][0]} and "
            f"{row[ROW][1]}: keep one, or tell repeats apart by a column seed."
        )


def _measures(rows: pl.DataFrame, classes: int | None) -> pl.DataFrame:
    """Two rows for each: Z-X and Z-Y."""
    about = {"zx": ("nmse", 1.0), "zy": ("nats", math.log(classes) if classes else None)}
    halves = []
    for measure, (unit, reference) in about.items():
        stderr = f"{measure}_stderr"
        given: dict[str, pl.Expr] = {
            "part": pl.lit("z"),
            "measure": pl.lit(measure),
            "field": pl.lit(measure[1]),
            "value": pl.col(measure),
            "unit": pl.lit(unit),
            "stderr": pl.col(stderr) if stderr in rows.columns else pl.lit(None),
            "reference": pl.lit(reference),
            **dict.fromkeys(("edge", "detail"), pl.lit("")),
            "note": pl.when(pl.col("zx") > HIGHEST_ZX).then(pl.lit(NOT_A_SHARE)).otherwise(pl.lit(""))
            if measure == "zx"
            else pl.lit(""),
        }
        same = [*RUN, "step", "site", "depth", "family", *(["n"] if "n" in rows.columns else [])]
        columns = {name: pl.col(name) for name in same} | given
        halves.append(
            rows.select(columns.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in MEASURES.items())
        )
    both = pl.concat(halves).with_columns(pl.lit("finished").alias("status")).sort(MEASURES_ORDER, nulls_last=True)
    return both.pipe(with_capacity_gap).pipe(with_best_family).pipe(with_dpi_excess)


def _history(rows: pl.DataFrame) -> pl.DataFrame:
    """What the table says of training at each step, whatever the site; no rows where it says nothing."""
    if "accuracy" in rows.columns and "validation_accuracy" not in rows.columns:
        rows = rows.rename({"accuracy": "validation_accuracy"})
    told = [name for name in OF_THE_STEP if name in rows.columns]
    steps = rows.group_by([*RUN, "step"], maintain_order=True).agg(pl.col(told).drop_nulls().first())
    parts = [
        steps.select(
            *(pl.col(name).cast(HISTORY[name]) for name in (*RUN, "step")),
            pl.lit(None, pl.Float64).alias("epoch"),
            pl.lit(name.split("_")[0]).alias("split"),
            pl.lit(name.split("_")[1]).alias("quantity"),
            pl.col(name).cast(pl.Float64).alias("value"),
            pl.lit("finished").alias("status"),
        )
        for name in told
    ]
    nothing = pl.DataFrame(schema=HISTORY | {"status": pl.String})
    return pl.concat([nothing, *parts]).drop_nulls("value").sort(HISTORY_ORDER)


def _metadata(rows: pl.DataFrame, path: Path) -> dict[str, Any]:
    """What the workflow would have recorded, as far as a table tells."""
    order = {f"{role}s": rows[role].unique(maintain_order=True).to_list() for role in ("architecture", "shortcut")}
    families = rows["family"].unique(maintain_order=True).to_list()
    runs = [
        run | {"status": "finished", "diverged_at": None, "parameters": None}
        | {"measures": dict.fromkeys(families, "finished")}
        for run in rows.select(RUN).unique(maintain_order=True).sort(RUN).to_dicts()
    ]  # fmt: skip
    return {
        "config": {"experiment": path.stem, "table": path.name},
        "order": order | {"measures": families},
        "runs": runs,
        **{role: dict.fromkeys(labels) for role, labels in order.items()},
        "seeds": sorted(rows["seed"].unique().to_list()),
        "families": dict.fromkeys(families),
        "n": sorted(rows["n"].drop_nulls().unique().to_list()) if "n" in rows.columns else [],
        "classes": None,
        "label_entropy": None,
        "versions": versions(),
        "devices": [],
    }

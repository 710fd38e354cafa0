"""What is asked of a chart."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from infoplane import registry
from infoplane.charts import render, theme
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.tables import collect
from infoplane.testing import results
from infoplane.testing.candidate import Candidate, Rule

TINY: dict[str, Any] = {
    "architectures": ("resnet",),
    "shortcuts": ("identity",),
    "seeds": 1,
    "blocks": 1,
    "checkpoints": 2,
}
"""The smallest experiment of which anything can be drawn."""


@cache
def whole() -> Tables:
    """An experiment with its phases, of which one run is missing and one diverged."""
    with TemporaryDirectory() as folder:
        return results.analysed(results.made(Path(folder)), resamples=100, nulls=5)


def drawn(candidate: Candidate, tables: Tables, **options: Any) -> dict[str, Any]:
    """The chart's Vega-Lite specification."""
    return render.spec(candidate.name, candidate.options | options, tables)


def words(spec: dict[str, Any]) -> str:
    """Everything that stands in a specification."""
    return json.dumps(spec, ensure_ascii=False)


def has_a_title(candidate: Candidate) -> None:
    """The docstring's first line is the chart's title."""
    length = len(registry.summary("chart", candidate.name))
    assert 10 < length <= 120, f"the docstring's first line has {length} letters: expected 11 to 120"


def asks_for_the_phases_that_it_draws(candidate: Candidate) -> None:
    """Only a chart whose file says READS = ("phases",) changes with the phases."""
    alone = drawn(candidate, replace(whole(), phases=None))
    assert (alone == drawn(candidate, whole())) is not bool(registry.reads("chart", candidate.name))


def says_that_nothing_is_measured_yet(candidate: Candidate) -> None:
    """Where there is nothing to draw, it is theme.empty(tables, family)."""
    runs = results.experiment(candidate.folder / "results")
    shutil.rmtree(candidate.folder / "results")
    paths = candidate.folder / "measures.parquet", candidate.folder / "history.parquet"
    collect(runs, results.config(), *paths)
    spec = drawn(candidate, Tables.read(*paths))
    told = "where there is nothing to draw, return theme.empty(tables, family)"
    assert "nothing measured yet" in words(spec) and "and 9 more" in words(spec), told
    render.save(spec, None, candidate.folder / "chart.svg", None, None)


def says_what_is_missing(candidate: Candidate) -> None:
    """The description has family, n, the number of seeds, and missing and diverged runs."""
    told = " ".join(drawn(candidate, whole())["usermeta"]["notes"])
    assert "Missing: vit/projection seed 1." in told and "Diverged: vit/none seed 1." in told
    rule = "a chart's description says n and the seeds: theme.basis(tables, family)"
    assert f"n = {results.SAMPLES}" in told and "2 seeds" in told, rule


def draws_no_band_for_one_seed(candidate: Candidate) -> None:
    """One seed has no spread, so that there is no band."""
    found = words(drawn(candidate, results.made(candidate.folder, **TINY)))
    assert '"area"' not in found, "one seed has no spread: draw no band for it"


def refuses_an_unknown_option(candidate: Candidate) -> None:
    """An option that it does not have is one sentence."""
    try:
        drawn(candidate, whole(), no_such_option=1)
    except UserError as error:
        assert f"charts.{candidate.name}: " in str(error) and "no_such_option" in str(error)
    else:
        raise AssertionError("an unknown option is taken")


def says_which_family_is_absent(candidate: Candidate) -> None:
    """It has an option family, and says so where this family has no value."""
    known = {option.name for option in fields(candidate.declared)}
    assert "family" in known, "a chart has the option family: which measure family's values it draws"
    found = words(drawn(candidate, whole(), family="neural"))
    assert "no value of the measure family 'neural' yet" in found or "nothing measured" in found, (
        "where the family has no value, return theme.empty(tables, family)"
    )


def draws_sums_alone(candidate: Candidate) -> None:
    """With shortcut and branch measured too, the chart without options is that of the sum z."""
    plain = results.made(candidate.folder, **TINY)
    copies = [plain.measures.with_columns(pl.lit(part).alias("part"), pl.col("value") * 2) for part in ("s", "f")]
    crowded = Tables(pl.concat([plain.measures, *copies]), plain.history, plain.metadata)
    same = drawn(candidate, crowded) == drawn(candidate, plain)
    assert same, "draw the part z alone unless an option says otherwise"


def gives_shortcuts_the_same_colours(candidate: Candidate) -> None:
    """Every scale of colours of shortcuts is theme.shortcut_colours(tables)."""
    tables = results.made(candidate.folder, architectures=("resnet",), seeds=1, blocks=1, checkpoints=3)
    wanted = theme.shortcut_colours(tables).to_dict()["range"]
    assert all(one == wanted for one in colours(drawn(candidate, tables))), (
        "colour shortcuts by theme.shortcut_colours(tables)"
    )


def colours(spec: Any) -> Iterator[Any]:
    """The range of every colour scale of shortcuts in a chart."""
    if isinstance(spec, dict):
        colour = spec.get("color")
        if isinstance(colour, dict) and colour.get("field") == "shortcut":
            yield (colour.get("scale") or {}).get("range")
    for inner in spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ():
        yield from colours(inner)


RULES: tuple[Rule, ...] = (
    has_a_title,
    asks_for_the_phases_that_it_draws,
    says_that_nothing_is_measured_yet,
    says_what_is_missing,
    draws_no_band_for_one_seed,
    refuses_an_unknown_option,
    says_which_family_is_absent,
    draws_sums_alone,
    gives_shortcuts_the_same_colours,
)

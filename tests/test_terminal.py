"""The phase table in a terminal: what it says, how wide it is, and that a pipe gets no colours."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from infoplane.phases import terminal
from infoplane.phases.analysis import write
from infoplane.phases.results import NULLS, TABLES, Phases
from infoplane.phases.verdicts import VERDICTS as SCHEMA
from infoplane.storage.parquet import write_rows
from infoplane.testing import results as synthetic

ROOT = Path(__file__).parents[1]
CLAIM = {"claim": "is_fits_less", "architecture": "resnet", "of": "identity", "expected": "negative", "seeds": 2}
VERDICTS = pl.DataFrame(
    [
        CLAIM | {"verdict": "undecided", "overall": True},
        CLAIM
        | {"versus": "none", "effect": -0.11, "effect_low": -0.12, "effect_high": -0.1}
        | {"verdict": "reproduced", "overall": False},
    ],
    schema=SCHEMA,
)


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Phases:
    tables = synthetic.made(tmp_path_factory.mktemp("experiment"))
    found = synthetic.analysed(tables, resamples=100, nulls=5).phases
    assert found is not None
    return found


def printed(phases: Phases, width: int, verdicts: pl.DataFrame | None = None) -> str:
    console = Console(width=width, highlight=False, record=True, file=io.StringIO())
    terminal.show(phases, verdicts, console)
    return console.export_text()


def test_every_networks_last_block(phases: Phases) -> None:
    rows = terminal.last_blocks(phases)
    assert {(row["architecture"], row["shortcut"]) for row in rows} == {
        (architecture, shortcut)
        for architecture in ("resnet", "vit")
        for shortcut in ("identity", "none", "projection")
    }
    assert {row["site"] for row in rows} == {"block5"} and {row["seed"] for row in rows} == {None}
    said = printed(phases, 140)
    for row in rows:
        (line,) = (
            text for text in said.splitlines() if text.strip().startswith(f"{row['architecture']} {row['shortcut']} ")
        )
        assert row["label"] in line and terminal.number(row["fit_depth"]) in line
        assert f"{row['compression_height_low']:.3f}…" in line


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_is_cut_off(phases: Phases, width: int) -> None:
    said = printed(phases, width, VERDICTS)
    assert max(map(len, said.splitlines())) <= width
    joined = " ".join(said.split())
    for words in ("compression-only", "two-phase", "projection", "< 0.001", "reproduced", "is_fits_less", "undecided"):
        assert words in joined
    assert re.search(r"\(\d\) .*seed 1", joined), "what was left out is a note"


def test_false_positives_are_counted() -> None:
    rows = [
        {"architecture": "vit", "shortcut": "none", "site": site, "replicates": 200}
        | {"false_positives": count, "rate": count / 200}
        for site, count in (("stem", 1), ("block1", 9))
    ]
    said = terminal.false_positives(pl.DataFrame(rows, schema_overrides=NULLS))
    assert "of 400 simulated curves" in said and "2.5% were" in said and "at worst 4.5% (vit none block1)" in said
    assert terminal.false_positives(pl.DataFrame(schema=NULLS)) == "False positives: not tried."


def test_nothing_to_show(phases: Phases) -> None:
    nothing = replace(phases, phases=phases.phases.clear(), differences=phases.differences.clear())
    assert "nothing was measured at two checkpoints" in printed(nothing, 80)


def test_one_shortcut_has_no_differences(phases: Phases) -> None:
    alone = replace(phases, differences=phases.differences.clear())
    assert "differs" not in printed(alone, 80) and "Phases of" in printed(alone, 80)


def test_the_script_prints_no_colours_into_a_pipe(phases: Phases, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.parquet" for name in TABLES]
    write(phases, files)
    write_rows(tmp_path / "verdicts.parquet", VERDICTS.to_arrow(compat_level=pl.CompatLevel.oldest()), {})
    command = [
        sys.executable,
        ROOT / "scripts/summary.py",
        "--phases",
        *files,
        "--verdicts",
        tmp_path / "verdicts.parquet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout and "Phases of the last block" in done.stdout and "Claims" in done.stdout
    coloured = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"FORCE_COLOR": "1"}
    )
    assert "\x1b[" in coloured.stdout

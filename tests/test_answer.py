"""The answer in words: what is decided, by how much, and how many seeds would decide the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from phase_tables import FEW, around, frames, measured

from infoplane.phases.analysis import analyse, write
from infoplane.phases.answer import answers, markdown, seeds_needed, tally
from infoplane.phases.results import TABLES, Phases
from infoplane.testing.histories import long

LATE = [0.5, 0.45, 0.4, 0.3, 0.3, 0.4, 0.5]
"""Falls by .2 and rises by as much."""
AT_ONCE = [0.1, 0.1, 0.12, 0.13, 0.15, 0.18, 0.2]


def history(accuracy: float) -> list[dict[str, Any]]:
    keys = {"architecture": "net", "status": "finished", "step": 32, "validation_accuracy": accuracy}
    return long(keys | {"shortcut": shortcut, "seed": seed} for shortcut in ("identity", "none") for seed in range(3))


def found(none: Any, accuracy: float = 0.9, **more: Any) -> Phases:
    rows = measured(around(AT_ONCE), **more) + measured(none, shortcut="none", **more)
    return analyse(*frames(rows, history(accuracy)), FEW, {"trivial": {"accuracy": 0.1}})


def restless(spread: float) -> np.ndarray:
    """Seeds whose fall differs by so much."""
    size = np.array([1 - spread, 1.0, 1 + spread])[:, None, None]
    return 0.5 + size * (around(LATE) - 0.5)


def test_what_identity_does_less_by_how_much_and_that_it_is_decided() -> None:
    (answer,) = answers(found(around(LATE)))
    assert (answer.architecture, answer.decided, answer.asked) == ("net", 2, 2)
    assert answer.text.startswith("With identity, Z-X of the last block starts lower than with none by 0.400 (")
    assert "; then falls less than with none by 0.200 (" in answer.text and answer.text.count("decided)") == 3
    assert "with identity, harder to read back at once (compression-only, 99% sure)" in answer.text
    assert "with none, easier to read back first, then harder (two-phase, 99% sure)" in answer.text
    assert "ndecided" not in answer.text and tally([answer]) == "Decided for 2 of 2 networks."


def test_what_would_decide_the_undecided() -> None:
    phases = found(restless(0.9))
    (answer,) = answers(phases)
    row = phases.phases.filter(pl.col("seed").is_null(), pl.col("shortcut") == "none").row(0, named=True)
    assert (answer.decided, row["label"]) == (1, "ambiguous")
    half, distance = (row["fit_depth_high"] - row["fit_depth_low"]) / 2, row["fit_depth"] - row["margin"]
    needed = int(np.ceil(3 * (half / distance) ** 2))
    said = f"is not clear of the margin of 0.010 (about {needed} seeds would decide it)"
    assert f"Undecided with none: its fit depth of {row['fit_depth']:.3f} (" in answer.text and said in answer.text
    assert answer.text.count("undecided: about") == 2


def test_a_network_that_did_not_learn_is_undecided_whatever_its_curve() -> None:
    (answer,) = answers(found(around(LATE), accuracy=0.14))
    assert answer.decided == 0 and "Undecided with none: it did not learn (validation accuracy 14%)." in answer.text


def test_information_falls_where_z_x_rises() -> None:
    (answer,) = answers(found(around(LATE), measure="ixz", reference=1.0))
    assert "With identity, I(X;Z) of the last block starts" in answer.text
    assert "then rises more" in answer.text or "then rises less" in answer.text


@pytest.mark.parametrize(
    ("half_width", "distance", "said"),
    [
        (0.02, 0.01, "about 16 seeds would decide it"),
        (0.01, 0.02, "about 5 seeds would decide it"),
        (0.1, -0.01, "100 seeds would not decide it"),
        (0.1, 0.0, "100 seeds would not decide it"),
    ],
)
def test_seeds_that_would_decide(half_width: float, distance: float, said: str) -> None:
    """The interval shrinks with the root of the seeds: half as wide with four times as many."""
    assert seeds_needed(4, half_width, distance) == said


def test_the_answer_lies_beside_the_tables(tmp_path: Path) -> None:
    phases = found(around(LATE))
    write(phases, [*(tmp_path / f"{name}.parquet" for name in TABLES), tmp_path / "answer.md"])
    text = (tmp_path / "answer.md").read_text()
    assert text == markdown(phases) and text.startswith("Decided for 2 of 2 networks.\n\n- **net**: With identity")


def test_nothing_measured_is_said() -> None:
    assert markdown(analyse(*frames([]), FEW)).startswith("No answer")

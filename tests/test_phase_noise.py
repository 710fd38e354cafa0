"""What a curve can be known to do: no noise to go by, rounded values, checkpoints that stand out or are missing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from phase_tables import FEW, around, frames, measured

from infoplane.phases.analysis import analyse


@pytest.mark.parametrize(
    "curve",
    [
        [0.52, 0.31],
        [0.5, 0.3, 0.6],
        [0.5, 0.4, 0.3, 0.45, 0.6],
        [0.5, 0.5, 0.51, *[0.5] * 7],
    ],
)
def test_where_no_noise_can_be_known_nothing_is_sure(curve: list[float]) -> None:
    rows = measured(np.array(curve)[None, :, None], blocks=False)
    rows += measured(np.array(curve)[None, :, None] + 0.1, shortcut="none", blocks=False)
    found = analyse(*frames(rows), FEW)
    row = found.phases.row(0, named=True)
    assert (row["label"], row["confidence"], row["fit_depth_low"], row["fit_depth_high"]) == (
        "ambiguous",
        0.5,
        None,
        None,
    )
    assert "noise cannot be known" in row["note"] and "fewer than 6 checkpoints" in row["note"]
    assert found.differences["p"].drop_nulls().len() == 0
    assert found.nulls.select("replicates", "rate", "noise").row(0) == (0, None, "cannot be known")


def test_values_are_not_known_better_than_they_are_rounded() -> None:
    """Two seeds that are equal to two decimals differ in the third, which is not there."""
    rows = measured(np.array([[0.51, 0.5, 0.5, 0.5, 0.5, 0.51]] * 2)[..., None], blocks=False)
    row = analyse(*frames(rows), replace(FEW, margin=0.004)).phases.row(0, named=True)
    assert row["label"] == "ambiguous" and row["fit_depth_high"] - row["fit_depth_low"] > 0.01
    frozen = measured(np.full((1, 8, 1), 0.3172635), blocks=False)
    row = analyse(*frames(frozen), FEW).phases.row(0, named=True)
    assert (row["label"], row["confidence"], row["fit_depth_high"]) == ("flat", 1.0, 0.0)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("more", [{}, {"blocks": False, "stderr": 0.002}])
def test_one_checkpoint_that_stands_out_is_named_and_makes_no_phase(seeds: int, more: dict[str, Any]) -> None:
    values = around([0.3] * 12, seeds)
    values[0, 5] -= 0.2
    row = analyse(*frames(measured(values, **more)), FEW).phases.row(0, named=True)
    assert row["label"] == "flat" and row["fit_depth_high"] < 0.01
    assert row["note"] == "seed 0, step 16 stands out, so its neighbours stand for it"


def test_a_sharp_turn_is_no_outlier() -> None:
    """Neighbours lead to it on straight lines; and a dip that all seeds show is what networks do."""
    row = analyse(*frames(measured(around([0.5, 0.45, 0.4, 0.35, 0.3, 0.35, 0.4, 0.45, 0.5], 1))), FEW).phases.row(
        0, named=True
    )
    assert row["label"] == "two-phase" and "stands out" not in row["note"]
    row = analyse(*frames(measured(around([0.5, 0.5, 0.5, 0.3, 0.5, 0.5, 0.5, 0.5], 3))), FEW).phases.row(0, named=True)
    assert row["label"] == "two-phase" and row["note"] == ""


def test_checkpoints_that_a_seed_lacks_are_filled_in_from_the_others() -> None:
    values = around([0.5, 0.4, 0.3, 0.25, 0.3, 0.4, 0.45, 0.5], 3) + np.array([0.0, 0.02, -0.02])[:, None, None]
    rows = [row for row in measured(values) if (row["seed"], row["step"]) not in {(0, 4), (1, 16), (2, 64), (2, 1)}]
    table = analyse(*frames(rows), FEW).phases
    row = table.row(0, named=True)
    assert row["label"] == "two-phase" and row["fit_depth"] == pytest.approx(0.25, abs=2e-3)
    assert row["note"] == (
        "only checkpoints that at least half of the seeds have, as far as all go; "
        "3 of 21 checkpoints filled in from the other seeds"
    )
    assert row["end"] == pytest.approx(0.45, abs=0.01), "no seed is followed past its last checkpoint"

"""What can be known of a curve: noise, rounded values, checkpoints that stand out or are missing; who is compared."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from phase_tables import FEW, around, frames, measured

from infoplane.config.load import load
from infoplane.errors import UserError
from infoplane.phases.analysis import analyse
from infoplane.tables import with_best_family, with_capacity_gap, with_dpi_excess


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
    assert "its noise is not known" in row["note"] and "fewer than 6 checkpoints" in row["note"]
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
    assert row["note"] == "seed 0, step 16 stands out and was replaced by its neighbours"


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


def test_the_label_gain_is_how_far_the_label_is_learned() -> None:
    """Positive where Z-Y falls, and the difference is that of the reference less the other."""
    rows: list[dict[str, Any]] = []
    for shortcut, end in (("identity", 0.5), ("none", 1.5)):
        rows += measured(around([0.5, 0.3, 0.4, 0.5]), shortcut=shortcut)
        rows += measured(around(np.linspace(2.3, end, 4)), "zy", shortcut=shortcut)
    found = analyse(*frames(rows), FEW)
    of = (
        found.phases.filter(pl.col("seed").is_null())
        .select("shortcut", "label_gain", "learned")
        .rows_by_key("shortcut")
    )
    assert of["identity"][0] == pytest.approx((1.8, 1.0), abs=0.01) and of["none"][0] == pytest.approx(
        (0.8, 1.0), abs=0.01
    )
    row = found.differences.filter(pl.col("quantity") == "label_gain").row(0, named=True)
    assert row["difference"] == pytest.approx(1.0, abs=0.01) and row["difference_low"] > 0.9


def test_p_of_the_turns_step_is_never_smaller_than_its_draws_can_tell() -> None:
    early, late = [0.5, 0.2, 0.3, 0.4, 0.5, 0.6], [0.7, 0.6, 0.5, 0.4, 0.2, 0.5]
    rows = measured(around(early)) + measured(around(late), shortcut="none")
    found = analyse(*frames(rows), FEW).differences
    row = found.filter(pl.col("quantity") == "turn_step").row(0, named=True)
    assert row["difference"] < 0 and row["p"] == pytest.approx(2 / (FEW.resamples + 1))


def test_reference_and_families_are_found_by_their_kind() -> None:
    """A user's own labels: `skip` is the only identity, `wide` the only kernel."""
    rows = measured(around([0.5, 0.3, 0.5]), shortcut="skip") + measured(around([0.5, 0.4, 0.5]), shortcut="plain")
    rows = [row | {"family": family} for family in ("a", "wide") for row in rows]
    families = {"a": {"family": {"kind": "linear"}}, "wide": {"family": {"kind": "kernel"}}}
    metadata = {"shortcuts": {"skip": "identity", "plain": "none"}, "families": families}
    found = analyse(*frames(rows), FEW, metadata)
    assert set(found.differences["reference"]) == {"skip"} and found.metadata["family"] == "wide"
    assert analyse(*frames(rows), replace(FEW, family="linear"), metadata).metadata["family"] == "a"
    two = metadata | {"shortcuts": {"skip": "identity", "plain": "identity"}}
    assert analyse(*frames(rows), FEW, two).differences.height == 0


def test_the_capacity_gap_is_to_the_only_family_of_the_linear_kind() -> None:
    rows = [
        row | {"family": family, "value": value}
        for family, value in (("mine", 0.5), ("kernel", 0.2))
        for row in measured(around([0.5], 1))
    ]
    values = with_capacity_gap(frames(rows)[0], "mine").sort("family")
    assert values["capacity_gap"].to_list() == [pytest.approx(0.3), None]
    assert with_capacity_gap(frames(rows)[0], None)["capacity_gap"].to_list() == [None, None]


def test_a_sum_is_held_against_the_sums_before_it_and_not_against_itself() -> None:
    """Z-X may only rise with depth: 0.4, 0.3, 0.5, 0.45."""
    rows = [
        row | {"site": f"block{depth}", "depth": depth, "value": value}
        for depth, value in enumerate((0.4, 0.3, 0.5, 0.45))
        for row in measured(around([0.5], 1))
    ]
    excess = with_dpi_excess(with_best_family(with_capacity_gap(frames(rows)[0])))["dpi_excess"].to_list()
    assert excess == [None, pytest.approx(0.1), None, pytest.approx(0.05)]


def test_a_written_reference_that_is_not_there_is_refused() -> None:
    shortcuts = {"skip": {"kind": "identity"}, "plain": {"kind": "none"}}
    for known in ("identity", "none", "plain"):
        assert load({"shortcuts": shortcuts, "phases": {"reference": known}}).config.phases.reference == known
    with pytest.raises(UserError, match=r"phases\.reference: no shortcut is called 'idenity'"):
        load({"shortcuts": shortcuts, "phases": {"reference": "idenity"}})
    load({"shortcuts": {"plain": {"kind": "none"}}})  # the default may be absent: nothing is compared then

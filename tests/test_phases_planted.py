"""The phase analysis on planted curves: intervals keep their promise, and curves that never move stay flat."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from infoplane.phases import labels, nulls, planted, resample, turn
from infoplane.phases.curves import Cell, Curve
from infoplane.phases.planted import NOISES, SHAPES, Noise

CURVES = 200
STILL = Noise(0.06, 0.0, 0.03, 0.0)
"""Of one network whose own curve does not wander."""


def of(kind: str, noise: Noise, seeds: int, count: int = CURVES) -> np.ndarray:
    generator = np.random.default_rng(seeds)
    return planted.plant(planted.curve(kind, 12), noise, count, seeds, 20, generator).values


# Choosing and reading


@pytest.mark.parametrize(("seeds", "blocks"), [(1, 20), (2, 20), (3, 20), (5, 1), (10, 20), (7, 3)])
def test_no_value_is_read_where_it_was_chosen(seeds: int, blocks: int) -> None:
    choose, judge = turn.halvings(seeds, blocks)
    assert choose.sum((1, 2)) == pytest.approx(np.ones(len(choose)))
    assert not (choose * judge).any()
    if seeds >= turn.HALVED:
        assert not ((choose.sum(2) > 0) & (judge.sum(2) > 0)).any(), "no seed is on both sides"
    if blocks > 1:
        assert not ((choose.sum(1) > 0) & (judge.sum(1) > 0)).any(), "no block is on both sides"
    assert (judge.sum(0) == turn.ROUNDS).all(), "every value is read equally often"


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_lowest_of_noisy_points_is_too_low_and_a_crossed_reading_is_not(seeds: int) -> None:
    values = of("flat", STILL, seeds)
    curve = values.mean((1, 3))
    naive = curve[:, 0] - curve.min(1)
    crossed = turn.read(values).fit_depth.mean((1, 2))
    error = crossed.std() / np.sqrt(len(crossed))
    assert naive.mean() > 10 * error
    assert abs(crossed.mean()) < 3 * error


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_thinning_a_single_curve_takes_the_bias_out_too(correlation: float) -> None:
    """Where neighbouring checkpoints share their noise, the error is on the side of no fit."""
    noise = Noise(0.0, 0.0, 0.02, 0.0, correlation, 0.0)
    curves = planted.plant(np.full(12, 0.3), noise, CURVES, 1, 1, np.random.default_rng(0)).values[:, 0, :, 0]
    found = turn.thin(curves, np.full(curves.shape, 0.02)).fit_depth.ravel()
    naive = curves[:, 0] - curves.min(1)
    assert naive.mean() > 0.015
    assert found.mean() < 3 * found.std() / np.sqrt(CURVES)
    assert correlation or found.mean() > -3 * found.std() / np.sqrt(CURVES)


def test_smoothing_leaves_straight_lines_and_ends_where_they_are() -> None:
    line = np.linspace(0, 1, 9)
    smoothed = turn.smooth(line, 0)
    assert smoothed[1:-1] == pytest.approx(line[1:-1])
    assert turn.turning_point(line) == 0 and turn.turning_point(-line) == 8
    assert turn.turning_point(np.array([0.2, 0.1])) == 1


def test_later_falls_and_earlier_rises_are_the_greatest() -> None:
    curve = np.array([5.0, 3.0, 4.0, 3.5, 0.0, 2.0, 1.0, 3.0, 2.5])
    reading = turn.read(np.broadcast_to(curve[:, None], (1, 2, 9, 4)))
    assert reading.earlier_rise == pytest.approx(np.ones((1, 2, 4)))
    assert reading.later_fall == pytest.approx(np.ones((1, 2, 4)))
    assert reading.fit_depth == pytest.approx(np.full((1, 2, 4), 5.0))


# How sure


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("both", [0.0, 0.5])
def test_intervals_of_crossed_means_keep_their_promise(seeds: int, share: float, both: float) -> None:
    """share: of the mean's variance that comes from seeds; the rest comes from blocks; both: from neither alone."""
    generator = np.random.default_rng(1)
    values = np.sqrt(share * seeds) * generator.standard_normal((4000, seeds, 1))
    values = values + np.sqrt((1 - share) * 20) * generator.standard_normal((4000, 1, 20))
    values = values + np.sqrt(both * seeds * 20) * generator.standard_normal((4000, seeds, 20))
    found = resample.mean(values)
    low, high = found.interval(0.95)
    assert 0.925 <= ((low <= 0) & (high >= 0)).mean() <= 0.99
    assert (found.above(0.0) >= 0.95).mean() <= 0.065


def test_one_source_gives_the_interval_of_student() -> None:
    values = np.random.default_rng(0).standard_normal((6, 1))
    found = resample.mean(values[None])
    width = special.stdtrit(5, 0.975) * values.std(ddof=1) / np.sqrt(6)
    low, high = found.interval(0.95)
    assert (low.item(), high.item()) == pytest.approx((values.mean() - width, values.mean() + width))
    assert found.above(low.item()).item() == pytest.approx(0.975)
    assert found.p().item() == pytest.approx(2 * special.stdtr(5, -abs(values.mean()) / found.stderr.item()))


def test_p_is_where_the_interval_touches_nothing() -> None:
    values = np.random.default_rng(3).standard_normal((1, 3, 20)) + 1.0
    found = resample.mean(values)
    low, _ = found.interval(1 - found.p().item())
    assert low.item() == pytest.approx(0.0, abs=1e-6)


# Labels and intervals


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10])
def test_curves_that_never_move_seldom_claim_a_phase(seeds: int) -> None:
    noises = {name: noise for name, noise in NOISES.items() if seeds > 1 or not noise.seed}
    noises |= {"still": STILL} if seeds == 1 else {}
    count = CURVES if seeds < 5 else CURVES // 2
    rows = planted.study(count, seeds, shapes={"flat": SHAPES["flat"]}, noises=noises)
    assert max(row["claims"] for row in rows) <= 0.05
    assert next(row for row in rows if row["noise"] == "none (frozen)")["right"] == 1


@pytest.mark.parametrize(
    ("seeds", "count", "named"),
    [
        (1, 300, ("high", "growing", "outlier")),
        (2, 300, ("jumpy seeds", "growing", "missing")),
        (3, 200, ("slow", "outlier")),
        (5, 100, ("high", "missing")),
        (10, 100, ("middle", "growing", "outlier")),
    ],
)
def test_intervals_hold_the_planted_values(seeds: int, count: int, named: Sequence[str]) -> None:
    alone = {"seed": 0.0, "size": 0.0} if seeds == 1 else {}
    rows = planted.study(count, seeds, noises={name: replace(NOISES[name], **alone) for name in named})
    for name in ("fit_depth", "compression_height", "turn"):
        held = [row[f"{name}_coverage"] for row in rows]
        assert min(held) >= 0.9 - 1.5 * np.sqrt(0.9 * 0.1 / count) and np.mean(held) >= 0.94, name
    assert max(row["wrong"] for row in rows) <= 0.05
    assert max(row["claims"] for row in rows if row["shape"] == "flat") <= 0.05


def test_intervals_of_one_network_hold_what_it_did_itself() -> None:
    """Its own curve wanders, and the lowest of many equal points cannot be found."""
    rows = planted.study(200, 1, noises={name: NOISES[name] for name in ("middle", "jumpy seeds")})
    assert min(row[f"{name}_coverage"] for row in rows for name in ("fit_depth", "compression_height")) >= 0.88


def test_labels_are_right_where_the_noise_is_low() -> None:
    rows = planted.study(CURVES, 5, noises={"low": NOISES["low"]})
    assert {row["shape"]: row["right"] > 0.8 for row in rows} == dict.fromkeys(SHAPES, True)
    assert max(row["wrong"] for row in rows) < 1e-9


@pytest.mark.parametrize(
    ("seeds", "known", "basis"),
    [(1, True, "standard errors"), (1, False, "roughness"), (2, False, "seeds"), (5, False, "seeds")],
)
def test_without_parts_of_the_images_the_promise_is_kept_too(seeds: int, known: bool, basis: str) -> None:
    for noise in planted.BARE.values():
        rows = planted.study_bare(150, seeds, noise, known)
        assert {row["basis"] for row in rows} == {basis}
        assert next(row for row in rows if row["shape"] == "flat")["claims"] <= 0.05
        assert min(row[f"{name}_coverage"] for row in rows for name in ("fit_depth", "compression_height")) >= 0.86
        assert np.mean([row["fit_depth_coverage"] for row in rows]) >= 0.92
        assert max(row["wrong"] for row in rows) <= 0.06


def test_the_plain_bootstrap_would_claim_what_is_not_there() -> None:
    plain = planted.pigeonhole_coverage(60, 5, NOISES["high"], resamples=200)
    crossed = planted.study(60, 5, shapes={"flat": SHAPES["flat"]}, noises={"high": NOISES["high"]})
    assert plain["flat claims"] > 0.2 > 0.05 >= crossed[0]["claims"]


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_the_interval_of_the_turn_holds_the_turn(seeds: int) -> None:
    noise = STILL if seeds == 1 else NOISES["middle"]
    assert planted.turn_coverage(60, seeds, noise, resamples=300) >= 0.9


def test_nulls_have_the_noise_of_what_they_are_made_from() -> None:
    values = of("two-phase", Noise(0.03, 0.01, 0.01, 0.0, 0.9), 5, 1)[0]
    stderr = np.full(values.shape[:2], np.nan)
    x = Curve("zx", 1, values, stderr, True, 1.0)
    cell = Cell("net", "identity", "kernel", "block1", 1, tuple(range(5)), tuple(range(12)), x, None, "")
    still = nulls.still(cell, 2000, np.random.default_rng(0))
    assert still.shape == (2000, 5, 12, 20)
    assert still.mean((0, 1, 3)) == pytest.approx(np.full(12, values.mean()), abs=5e-3)
    assert np.corrcoef(still.mean((1, 3))[:, 5:7].T)[0, 1] > 0.6, "neighbouring checkpoints go together"
    own = (values - values.mean((0, 2), keepdims=True)).std()
    assert still.std() == pytest.approx(own, rel=0.1)


@pytest.mark.parametrize(
    ("fits", "compresses", "label", "confidence"),
    [
        (0.99, 0.97, "two-phase", 0.97),
        (0.01, 0.97, "compression-only", 0.97),
        (0.99, 0.04, "fitting-only", 0.96),
        (0.01, 0.02, "flat", 0.98),
        (0.5, 0.99, "ambiguous", 0.5),
        (0.99, 0.06, "ambiguous", 0.94),
    ],
)
def test_a_label_needs_both_of_its_halves(fits: float, compresses: float, label: str, confidence: float) -> None:
    found = labels.label(fits, compresses, 0.95)
    assert found == (label, pytest.approx(confidence))

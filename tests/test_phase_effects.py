"""Effects over seeds and samples: intervals that keep what they promise."""

import math

import numpy as np
import pytest
import scipy.stats

from infoplane.phases.effects import Reading, effect


def test_intervals_over_seeds_are_students() -> None:
    values = [0.3, 0.5, 0.1, 0.4]
    found = effect({"a": {seed: Reading(value) for seed, value in enumerate(values)}}, {"a": 1})
    assert found is not None
    wanted = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.interval(0.95) == pytest.approx((wanted.low, wanted.high)) and found.basis == "seeds"


def test_parts_know_that_both_were_taken_on_the_same_samples() -> None:
    random = np.random.default_rng(0)
    common, apart = random.normal(0.5, 0.2, 20), random.normal(0.1, 0.01, 20)
    readings = {
        "s": {0: Reading(float(common.mean()), 0.05, tuple(common))},
        "z": {0: Reading(float((common + apart).mean()), 0.05, tuple(common + apart))},
    }
    paired = effect(readings, {"z": 1, "s": -1})
    bare = {name: {0: Reading(one[0].value, one[0].stderr, None, 400)} for name, one in readings.items()}
    unpaired = effect(bare, {"z": 1, "s": -1})
    assert paired is not None and unpaired is not None
    wanted = scipy.stats.ttest_1samp(apart, 0).confidence_interval(0.95)
    assert paired.interval(0.95) == pytest.approx((wanted.low, wanted.high))
    assert unpaired.mean.stderr == pytest.approx(0.05 * math.sqrt(2)) and unpaired.mean.df_blocks == pytest.approx(399)


def test_errors_of_samples_do_not_average_out_over_seeds() -> None:
    """All seeds are measured on the same samples."""
    one, many = (effect({"a": {k: Reading(0.5, 0.02, None, 400) for k in range(seeds)}}, {"a": 1}) for seeds in (1, 9))
    assert one is not None and many is not None and one.mean.stderr == many.mean.stderr == pytest.approx(0.02)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("parts", [True, False])
def test_intervals_of_effects_keep_their_promise(seeds: int, parts: bool) -> None:
    """Four fifths of the variance between seeds, where Satterthwaite's degrees of freedom held the truth in 89 %."""
    random = np.random.default_rng(seeds)
    held = 0
    for _ in range(600):
        shared = random.normal(0, math.sqrt(20), 20)
        values = random.normal(0, 2 * math.sqrt(seeds), seeds)[:, None] + shared
        readings = {
            seed: Reading(float(row.mean()), 1.0, tuple(row) if parts else None, 400) for seed, row in enumerate(values)
        }
        found = effect({"a": readings}, {"a": 1})
        assert found is not None
        low, high = found.interval(0.95)
        assert low is not None and high is not None
        held += low <= 0 <= high
    assert 0.92 <= held / 600 <= 0.99


def test_effects_of_what_is_not_there() -> None:
    assert effect({"a": {0: Reading(1.0)}, "b": {1: Reading(2.0)}}, {"a": 1, "b": -1}) is None
    alone = effect({"a": {0: Reading(1.0)}}, {"a": 1})
    assert alone is not None and alone.interval(0.95) == (None, None)
    assert alone.draws(np.random.default_rng(0), 5).tolist() == [1.0] * 5

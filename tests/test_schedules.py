"""Schedules: at which steps a network is saved, and how large its learning rate is."""

import itertools

import numpy as np
import pytest
from conftest import training

from infoplane.specs import CheckpointSpec
from infoplane.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("log", "until", "linear", "steps"), [(10, 160, 4, 640), (1, 1, 0, 5), (5, 99, 3, 7), (0, 1, 0, 3)]
)
def test_checkpoints_hold_first_and_last_step_and_grow(log: int, until: int, linear: int, steps: int) -> None:
    found = CheckpointSpec(log, until, linear).taken(steps)
    assert found[0] == 0 and found[-1] == steps
    assert found == sorted(set(found)) and max(found) <= steps


def test_checkpoints_are_log_spaced_then_even() -> None:
    assert CheckpointSpec(5, 16, 4).taken(56) == [0, 1, 2, 4, 8, 16, 26, 36, 46, 56]


def test_checkpoints_are_those_that_numpys_spacing_rounds_to() -> None:
    """What results were made with: numpy decides, half-way cases included."""
    for log, until, linear, steps in itertools.product(range(6), (1, 2, 5, 9, 160), range(5), (1, 4, 7, 10, 100, 643)):
        end = min(until, steps)
        spaced = np.geomspace(1, end, log) if log > 1 else np.full(log, end)
        even = np.linspace(end, steps, linear + 1)[1:]
        expected = sorted({0, steps} | {round(float(step)) for step in (*spaced, *even)})
        assert CheckpointSpec(log, until, linear).taken(steps) == expected


def test_checkpoints_in_stages_are_multiples_up_to_each_stages_end() -> None:
    """The counterpart's schedule, in epochs: every one below 20, every 5th below 100, every 20th below 2,000."""
    stages = [[20, 1], [100, 5], [2000, 20], [5000, 100]]
    found = CheckpointSpec(0, 1, 0, stages).taken(5000)
    by_rule = [e for e in range(5001) if e % (1 if e < 20 else 5 if e < 100 else 20 if e < 2000 else 100) == 0]
    assert found == by_rule
    assert CheckpointSpec(0, 1, 0, stages).taken(33) == [*range(21), 25, 30, 33]
    assert CheckpointSpec(9, 20, 9, [[7, 3], [12, 5]]).taken(20) == [0, 3, 6, 10, 20]


def test_learning_rate_warms_up_then_falls_as_a_cosine() -> None:
    spec = training(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(spec, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5) and rates[100] == pytest.approx(0.0, abs=1e-12)
    constant = training(steps=100, warmup=0, schedule="constant", learning_rate=0.3)
    assert {learning_rate(constant, step) for step in range(100)} == {0.3}

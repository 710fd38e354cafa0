"""Values that information cannot have always carry a note, in every family."""

import math
from dataclasses import replace

import numpy as np
import pytest

from infoplane.measures import measure
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.possible import noted

SURE = Estimate(measure="ixz", unit="nats", value=1.0, reference=0.0, n=100, d=1, stderr=0.1)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"value": -0.19}, ""),
        ({"value": -0.2}, "below 0 by more than its interval: information cannot be negative"),
        ({"value": -0.01, "stderr": None}, "below 0 by more than its interval: information cannot be negative"),
        ({"value": -0.2, "measure": "zx", "unit": "nmse"}, ""),
        ({"value": None}, ""),
        ({"measure": "izy", "value": 0.6931}, ""),
        ({"measure": "izy", "value": 0.70}, "above H(Y) = 0.693 nats: I(Z;Y) cannot be larger"),
        ({"measure": "izy", "value": 1.01, "unit": "bits"}, "above H(Y) = 1 bits: I(Z;Y) cannot be larger"),
        (
            {"measure": "izy_upper", "value": 0.70, "note": "known"},
            "known; above H(Y) = 0.693 nats: I(Z;Y) cannot be larger",
        ),
    ],
)
def test_what_cannot_be(changes: dict[str, object], note: str) -> None:
    (found,) = noted([replace(SURE, **changes)], lambda: math.log(2))  # type: ignore[arg-type]
    assert found.note == note


def test_labels_tell_no_more_than_the_input() -> None:
    few, many = replace(SURE, value=0.1), replace(SURE, measure="izy", value=0.6)
    assert "above I(X;Z)" in noted([few, many], lambda: math.log(2))[1].note
    for other in (replace(few, value=0.3), replace(few, note="X is constant"), replace(few, value=None)):
        assert noted([other, many], lambda: math.log(2))[1].note == ""


@pytest.mark.parametrize("family", ["binned", "kde", "neighbours", "variational", "conditional"])
def test_no_family_leaves_an_impossible_value_without_a_note(family: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, 2))
        y = rng.integers(0, 3, 60)
        whole = -float(sum(share * math.log(share) for share in np.bincount(y) / 60))
        for one in measure(x + 0.1 * rng.normal(size=x.shape), x, y, family=family):
            scale = math.log(2) if one.unit == "bits" else 1
            low = one.value is not None and one.value < -1.96 * (one.stderr or 0) - 1e-6
            high = one.value is not None and one.measure.startswith("izy") and one.value * scale > whole + 1e-6
            assert one.note or not (low or high), one

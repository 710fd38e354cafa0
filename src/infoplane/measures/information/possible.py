"""Notes on values that could mislead, for every family: impossible values, and values that ignore groups."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from infoplane.measures.estimate import Estimate
from infoplane.measures.groups import IGNORED

SURE = 1.96
ROUNDING = 1e-9


def noted(
    estimates: Sequence[Estimate], label_entropy: Callable[[], float], independent: bool = True
) -> list[Estimate]:
    """Add to each estimate's note what a reader must know of its value.

    label_entropy: H(Y) in nats. independent: False where samples belong together and the family counts them one by one.
    What information cannot be is said: I below 0, and I(Z;Y) or I(X;Z|Y) above I(X;Z), by more than the intervals
    value +- 1.96 stderr; I(Z;Y) above H(Y) at all.
    """
    whole = next((one for one in estimates if one.measure == "ixz"), None)
    found = [_noted(one, whole, label_entropy) for one in estimates]
    return found if independent else [replace(one, note="; ".join(filter(None, [one.note, IGNORED]))) for one in found]


def _noted(one: Estimate, whole: Estimate | None, label_entropy: Callable[[], float]) -> Estimate:
    if one.unit not in ("nats", "bits") or one.value is None or one.measure.partition("_")[0] not in ("ixz", "izy"):
        return one
    notes, slack = [one.note], SURE * (one.stderr or 0.0) + ROUNDING
    if one.value < -slack:
        notes.append("below 0 by more than its interval: information cannot be negative")
    if one.measure.startswith("izy"):
        most = label_entropy() / (math.log(2) if one.unit == "bits" else 1)
        if one.value > most + ROUNDING:
            notes.append(f"above H(Y) = {most:.3g} {one.unit}: I(Z;Y) cannot be larger")
    known = whole if whole and whole.value is not None and "constant" not in whole.note else None
    most_of_x = math.inf if known is None or known.value is None else known.value + SURE * (known.stderr or 0.0)
    if one.measure in ("izy", "ixz_given_y") and one.value - slack > most_of_x:
        notes.append("above I(X;Z) by more than both intervals: impossible if Z is computed from X")
    return replace(one, note="; ".join(filter(None, notes)))

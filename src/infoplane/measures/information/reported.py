"""Mutual information as the tables report it."""

from infoplane.measures.estimate import Estimate
from infoplane.measures.information.neighbours import Information


def in_nats(
    measure: str,
    n: int,
    d: int,
    found: Information | None,
    note: str,
    detail: str = "",
    calibration: float | None = None,
) -> Estimate:
    """An estimate in nats, whose reference is 0; found: None where there is no value, and the note says why."""
    return Estimate(
        measure=measure,
        unit="nats",
        value=found.value if found else None,
        stderr=found.stderr if found else None,
        reference=0.0,
        n=n,
        d=d,
        calibration=calibration,
        note=note,
        detail=detail,
    )

"""What a cell is called, how sure that is, and what a reader should know beside it."""

from dataclasses import dataclass

import numpy as np

from infoplane.phases import resample, turn
from infoplane.phases.curves import Array, Cell, Curve
from infoplane.phases.resample import Mean

TWO_PHASE, COMPRESSION, FITTING, FLAT = "two-phase", "compression-only", "fitting-only", "flat"
AMBIGUOUS = "ambiguous"
CROSSED = 1.1
"""Standard errors behind a chosen turn are this much wider: halves share their turns, which the spread of blocks and
seeds does not show. Measured on curves that never move (docs/phases.md)."""
ROUGH_DF = 0.37
"""Degrees of freedom of a median absolute deviation per value, against a standard deviation's."""
MANY = 1e6


@dataclass(frozen=True)
class Sure:
    """A cell's quantities with their uncertainty, each of shape (curves,), learning counted as a fall."""

    start: Mean
    turn: Mean
    end: Mean
    fit_depth: Mean
    compression_height: Mean
    later_fall: Mean
    earlier_rise: Mean
    basis: str


QUANTITIES = ("start", "turn", "end", "fit_depth", "compression_height", "later_fall", "earlier_rise")
CHOSEN = QUANTITIES[3:]
"""Those that depend on a chosen checkpoint more than on where a curve lies."""


def basis(curve: Curve) -> str:
    """What the intervals of a curve know of, best first."""
    seeds = len(curve.values) > 1
    if curve.has_blocks:
        return "probes x seeds" if seeds else "probes"
    if seeds:
        return "seeds"
    return "standard errors" if np.isfinite(curve.stderr).all() else "roughness"


def quantities(values: Array, curve: Curve) -> Sure:
    """Read curves (curves, seeds, checkpoints, blocks) whose noise is that of `curve`."""
    known = basis(curve)
    if known in ("standard errors", "roughness"):
        return _alone(values[:, 0, :, 0], curve, known)
    reading = turn.read(values)
    found = {}
    for name in QUANTITIES:
        each = resample.mean(getattr(reading, name))
        found[name] = each.wider(CROSSED if name in CHOSEN else 1.0)
    return Sure(**found, basis=known)


def _alone(values: Array, curve: Curve, known: str) -> Sure:
    """Single curves (curves, checkpoints): noise from standard errors, else from how rough they are."""
    found: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    errors: list[float] = []
    spread: list[float] = []
    df = MANY if known == "standard errors" else max(1.0, ROUGH_DF * (values.shape[-1] - 2))
    for row in values:
        stderr = curve.stderr[0] if known == "standard errors" else np.full(len(row), roughness(row))
        reading = turn.thin(row, stderr)
        for name in QUANTITIES:
            found[name].append(float(getattr(reading, name)[0, 0, 0]))
        errors.append(float(stderr[0]))
        spread.append(float(np.hypot(stderr[0], stderr[turn.turning_point(row)])))
    one, two = np.array(errors), np.array(spread)
    means = {name: Mean.student(np.array(each), two if name in CHOSEN else one, df) for name, each in found.items()}
    return Sure(**means, basis=known)


def roughness(curve: Array) -> float:
    """Standard deviation of a curve's noise, by the median of its second differences; 0 below 4 points."""
    if len(curve) < 4:
        return 0.0
    return float(np.median(np.abs(np.diff(curve, 2))) * 1.4826 / np.sqrt(6))


def label_gain(cell: Cell) -> Mean | None:
    """How far the label's measure fell from the first to the last checkpoint; None where it was not measured."""
    if cell.y is None:
        return None
    apart = cell.y.values[:, 0] - cell.y.values[:, -1]
    if apart.size > 1:
        return resample.mean(apart[None])
    known = basis(cell.y) == "standard errors"
    checkpoints = cell.y.values.shape[1]
    noise = cell.y.stderr[0] if known else np.full(checkpoints, roughness(cell.y.values[0, :, 0]))
    df = MANY if known else max(1.0, ROUGH_DF * (checkpoints - 2))
    return Mean.student(apart[0], np.atleast_1d(np.hypot(noise[0], noise[-1])), df)


def label(fits: float, compresses: float, level: float) -> tuple[str, float]:
    """The label and how sure it is, from how sure the two halves of it are.

    Each half is decided yes, no, or not at all; the surer of yes and no must reach the level in both.
    """
    sure = min(max(fits, 1 - fits), max(compresses, 1 - compresses))
    if sure < level:
        return AMBIGUOUS, sure
    names = {(True, True): TWO_PHASE, (False, True): COMPRESSION, (True, False): FITTING, (False, False): FLAT}
    return names[fits > 0.5, compresses > 0.5], sure


def claims(sure: Sure, margin: float, level: float) -> tuple[int, int]:
    """How many of several curves are said to fit or compress, and how many are ambiguous."""
    fits, compresses = sure.fit_depth.above(margin), sure.compression_height.above(margin)
    found = [label(*pair, level)[0] for pair in zip(fits.tolist(), compresses.tolist(), strict=True)]
    return len(found) - found.count(FLAT) - found.count(AMBIGUOUS), found.count(AMBIGUOUS)


def notes(cell: Cell, sure: Sure, gain: Mean | None, margin: float, label_margin: float, level: float) -> list[str]:
    """What a label alone would hide."""
    said = [cell.note] if cell.note else []
    if gain is not None and float(gain.above(label_margin)[0]) < level:
        said.append("Z-Y does not clearly fall here, so by the letter these are no phases of learning the label")
    for found, words in (
        (sure.earlier_rise, "rises by {:.3f} on its way down to the turn"),
        (sure.later_fall, "falls again by {:.3f} after the turn"),
    ):
        if float(found.above(margin)[0]) >= level:
            said.append(words.format(float(found.value[0])))
    if sure.basis == "roughness":
        said.append("noise guessed from how rough the curve is")
    return said

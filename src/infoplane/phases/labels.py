"""Give a cell its label, say how sure it is, and add notes for the reader."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from infoplane.phases import mending, resample, turn
from infoplane.phases.curves import Array, Cell, Curve
from infoplane.phases.resample import Mean

TWO_PHASE, COMPRESSION, FITTING, FLAT = "two-phase", "compression-only", "fitting-only", "flat"
AMBIGUOUS = "ambiguous"
CROSSED = 1.1
"""Standard errors behind a chosen turn are this much wider: halves share their turns, which the spread of blocks and
seeds does not show. Measured on curves that never move (docs/phases.md)."""
CROSSED_OF_TWO = 1.25
"""The same of two seeds: too few to be halved, so the turn is chosen on what they share by chance."""
ROUGH_DF = 0.37
"""Degrees of freedom of a median absolute deviation per value, against a standard deviation's."""
MANY = 1e6
UNKNOWN = (
    "its noise is not known, so nothing is sure: one seed, no standard errors, and fewer than "
    f"{mending.FEWEST} checkpoints or values that are rounded too far"
)
KINSHIP = 0.7
"""Correlation of neighbouring checkpoints' noise assumed for a single curve, which cannot show it."""
WANDER = 1 / np.sqrt(1 - 4 / 3 * KINSHIP + KINSHIP**2 / 3)
"""Second differences show noise of that kind too small by this factor."""


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

    def phases(self, margin: float) -> tuple[list[float], list[float]]:
        """How sure it is of each curve that it fits, and that it compresses, by the value alone."""
        read = (replace(mean, too_far=None) for mean in (self.fit_depth, self.compression_height))
        fits, compresses = (mean.above(margin).tolist() for mean in read)
        return fits, compresses


QUANTITIES = ("start", "turn", "end", "fit_depth", "compression_height", "later_fall", "earlier_rise")
CHOSEN = QUANTITIES[3:]
"""Those that depend on a chosen checkpoint more than on where a curve lies."""


def basis(curve: Curve) -> str:
    """Sources of error that the intervals of a curve include, best first."""
    seeds = len(curve.values) > 1
    if curve.has_blocks:
        return "samples x seeds" if seeds else "samples"
    if seeds:
        return "seeds"
    return "standard errors" if np.isfinite(curve.stderr).all() else "roughness"


def quantities(values: Array, curve: Curve) -> Sure:
    """Read curves (curves, seeds, checkpoints, blocks) whose noise is that of `curve`."""
    known = basis(curve)
    if known in ("standard errors", "roughness"):
        return _alone(values[:, 0, :, 0], curve, known)
    reading = turn.read(values)
    found = {name: getattr(reading, name) for name in QUANTITIES}
    means = {name: resample.mean(each).wider(wider(name, values.shape[1])) for name, each in found.items()}
    return Sure(**bracketed(means, plain(values), curve.grain), basis=known)


def wider(quantity: str, seeds: int) -> float:
    """Factor of the standard error of a quantity with blocks."""
    return 1.0 if quantity not in CHOSEN else CROSSED_OF_TWO if seeds == 2 else CROSSED


def plain(values: Array) -> dict[str, Array]:
    """What is read at the lowest point of the mean of all seeds and blocks, each (curves,): it always shows a dip."""
    whole = values.mean((1, 3))
    lowest = whole.min(-1)
    return {"turn": lowest, "fit_depth": whole[:, 0] - lowest, "compression_height": whole[:, -1] - lowest}


def bracketed(means: Mapping[str, Mean], plain: Mapping[str, Array], grain: float) -> dict[str, Mean]:
    """Means whose intervals also hold the plain reading, and know what values are rounded to.

    A turn that is read where it was not chosen lies too high, for the place may be the wrong one; the lowest point of
    the whole curve lies too low. The truth is between the two.
    """
    found = {}
    for name, mean in means.items():
        known = mean.blurred(grain / np.sqrt(6 if name in CHOSEN else 12)) if grain else mean
        found[name] = replace(known, too_far=plain[name]) if name in plain else known
    return found


def _alone(values: Array, curve: Curve, known: str) -> Sure:
    """Single curves (curves, checkpoints): noise from standard errors, else from how rough they are."""
    df = MANY if known == "standard errors" else max(1.0, ROUGH_DF * (values.shape[-1] - 2))
    stderr = curve.stderr if known == "standard errors" else noise(values)
    stderr = np.broadcast_to(stderr, values.shape)
    reading = turn.thin(values, np.where(np.isfinite(stderr), stderr, 0.0))
    turned = np.take_along_axis(stderr, turn.turning_point(values)[:, None], -1)[:, 0]
    start, end, most = stderr[:, 0], stderr[:, -1], stderr.max(-1)
    errors = {"start": start, "turn": turned, "end": end, "fit_depth": np.hypot(start, turned)}
    errors |= {"compression_height": np.hypot(end, turned)}
    errors |= dict.fromkeys(("later_fall", "earlier_rise"), np.sqrt(2) * most)
    means = {name: Mean.student(getattr(reading, name)[:, 0, 0], errors[name], df) for name in QUANTITIES}
    return Sure(**bracketed(means, plain(values[:, None, :, None]), curve.grain), basis=known)


def noise(curves: Array) -> Array:
    """Standard deviation of the noise of single curves (curves, checkpoints), at each checkpoint, by their roughness.

    That of the whole curve, or of the checkpoint's half where it is larger. Infinite where nothing can be known: fewer
    than `mending.FEWEST` checkpoints, or values so rounded that most steps are equal. 0 of a curve that never moves.
    """
    half = curves.shape[-1] // 2
    of_halves = mending.roughness(curves[:, : half + 1]), mending.roughness(curves[:, half - 1 :])
    whole = mending.roughness(curves)
    early, late = (WANDER * np.maximum(whole, each)[:, None] for each in of_halves)
    found = np.where(np.arange(curves.shape[-1]) <= half, early, late)
    still = (np.ptp(curves, -1) == 0) & (curves.shape[-1] >= mending.FEWEST)
    return np.where(((whole > 0) | still)[:, None], found, np.inf)


def label_gain(cell: Cell) -> Mean | None:
    """How far the label's measure fell from the first to the last checkpoint; None where it was not measured."""
    if cell.y is None:
        return None
    apart = cell.y.values[:, 0] - cell.y.values[:, -1]
    rounding = cell.y.grain / np.sqrt(6)
    if apart.size > 1:
        return resample.mean(apart[None]).blurred(rounding)
    known = basis(cell.y) == "standard errors"
    checkpoints = cell.y.values.shape[1]
    spread = cell.y.stderr[0] if known else noise(cell.y.values[:, :, 0])[0]
    df = MANY if known else max(1.0, ROUGH_DF * (checkpoints - 2))
    return Mean.student(apart[0], np.atleast_1d(np.hypot(spread[0], spread[-1])), df).blurred(rounding)


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
    found = [label(*pair, level)[0] for pair in zip(*sure.phases(margin), strict=True)]
    return len(found) - found.count(FLAT) - found.count(AMBIGUOUS), found.count(AMBIGUOUS)


def notes(cell: Cell, sure: Sure, gain: Mean | None, margin: float, label_margin: float, level: float) -> list[str]:
    """Notes on what a label alone would hide."""
    said = [cell.note] if cell.note else []
    if gain is not None and np.isfinite(gain.stderr[0]) and float(gain.above(label_margin)[0]) < level:
        said.append("Z-Y does not clearly fall here, so these are not phases of learning Y")
    for found, words in (
        (sure.earlier_rise, "rises by {:.3f} on its way down to the turn"),
        (sure.later_fall, "falls again by {:.3f} after the turn"),
    ):
        if float(found.above(margin)[0]) >= level:
            said.append(words.format(float(found.value[0])))
    for seed, at in np.argwhere(cell.x.odd) if cell.x.odd is not None else ():
        said.append(f"seed {cell.seeds[seed]}, step {cell.steps[at]} stands out and was replaced by its neighbours")
    if sure.basis == "roughness":
        known = np.isfinite(sure.start.stderr).all()
        said.append("noise estimated from how rough the curve is" if known else UNKNOWN)
    return said

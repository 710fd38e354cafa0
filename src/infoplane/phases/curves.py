"""From the tidy table of measures to arrays that can be resampled: one `Cell` per network, shortcut and site.

Every curve is turned so that learning about X or Y is a fall: Z-X and Z-Y as they are, information with its sign
turned. A cell holds all seeds, so that its checkpoints and its parts of the held-out images line up.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infoplane.errors import UserError, nearest
from infoplane.phases.mending import Array, grain, mend
from infoplane.phases.targets import of_target
from infoplane.specs import label_of

DEFAULT_FAMILY = "kernel"
INPUT = {"zx": 1, "ixz": -1, "ixz_upper": -1, "ixz_lower": -1}
"""Measures that tell of the input, best first, and the sign that makes learning a fall."""
LABEL = {"zy": 1, "izy": -1, "izy_lower": -1, "izy_upper": -1}
"""The same for the label, and for further targets."""


@dataclass(frozen=True)
class Curve:
    """One measure of one cell, turned so that learning is a fall.

    values: (seeds, checkpoints, blocks); without blocks the last axis has length 1. stderr: (seeds, checkpoints),
    NaN where there is none. scale: what a representation without information would have; margin is a share of it.
    grain: what the values are rounded to; 0 where they are not. odd: (seeds, checkpoints), where a checkpoint stood out
    and was replaced.
    """

    measure: str
    sign: int
    values: Array
    stderr: Array
    has_blocks: bool
    scale: float
    grain: float = 0.0
    odd: NDArray[np.bool_] | None = None

    def of(self, seeds: Sequence[int]) -> "Curve":
        """The same of some seeds, by their places."""
        places = list(seeds)
        odd = None if self.odd is None else self.odd[places]
        return replace(self, values=self.values[places], stderr=self.stderr[places], odd=odd)


@dataclass(frozen=True)
class Cell:
    """All finished seeds of one architecture and shortcut at one site; x and y share seeds and checkpoints."""

    architecture: str
    shortcut: str
    family: str
    site: str
    depth: int
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    x: Curve
    y: Curve | None
    note: str

    def of(self, seeds: Sequence[int]) -> "Cell":
        """The same with some seeds only, by their numbers."""
        places = [self.seeds.index(seed) for seed in seeds]
        y = None if self.y is None else self.y.of(places)
        keys = self.architecture, self.shortcut, self.family, self.site, self.depth
        return Cell(*keys, tuple(seeds), self.steps, self.x.of(places), y, self.note)


def last_block(sites: Sequence[str]) -> str | None:
    """The last site that is a numbered block; without blocks, the last before read-out and logits."""
    blocks = [site for site in sites if re.match(r"(block|layer|stage)\D?\d", site)]
    others = [site for site in sites if site not in ("readout", "logits", "output")] or list(sites)
    found = blocks or others
    return found[-1] if found else None


def headline_family(
    measures: pl.DataFrame, wanted: str, order: Sequence[str] = (), kinds: Mapping[str, str | None] | None = None
) -> str:
    """The family to analyse: the wanted one; for ``auto`` kernel where it was measured, else the first configured.

    Only families with a measure of the input count. A family is named by its label, or by the kind that only one label
    has (kinds: label -> kind). Raises `UserError` for one that the table does not have.
    """
    apt = measures.filter(pl.col("measure").is_in(list(INPUT)), pl.col("value").is_finite())
    found = set(apt["family"].drop_nulls().to_list())
    known = sorted(set(measures["family"].drop_nulls().to_list()))
    kinds = dict.fromkeys(known) | dict(kinds or {})
    if wanted != "auto":
        label = label_of(wanted, kinds)
        if label not in known:
            raise UserError(f"phases.family: no measure is called '{wanted}': {nearest(wanted, known)}")
        return str(label)
    present = [label for label in order if label in found] or sorted(found)
    best = label_of(DEFAULT_FAMILY, {label: kinds.get(label) for label in present})
    return best or (present[0] if present else DEFAULT_FAMILY)


OPTIONAL: dict[str, type[pl.DataType] | pl.DataType] = {
    "depth": pl.Int64,
    "extrapolated": pl.Float64,
    "stderr": pl.Float64,
    "reference": pl.Float64,
    "blocks": pl.List(pl.Float64),
}
NEEDED = ("architecture", "shortcut", "seed", "step", "site", "part", "measure", "family", "value", "status")


def complete(measures: pl.DataFrame) -> pl.DataFrame:
    """A measures table with every column that phases need; raises `UserError` for one that is missing."""
    for name in NEEDED:
        if name not in measures.columns:
            raise UserError(f"the measures table has no column '{name}': expected {', '.join(NEEDED)}.")
    absent = [pl.lit(None, kind).alias(name) for name, kind in OPTIONAL.items() if name not in measures.columns]
    return measures.with_columns(absent).with_columns(pl.col("depth").fill_null(0))


def cells(
    measures: pl.DataFrame, family: str, part: str = "z", only: str | None = None, extrapolated: bool = False
) -> Iterator[Cell]:
    """Every architecture, shortcut and site of a family at a part, in the order of their names and depth.

    only: a measure to read alone, as it is, or turned where it is of a further target; None: that of the input, with
    that of the label beside it.
    extrapolated: the values at unlimited n, of which no standard error and no parts of the images are known.

    Runs that are missing or have diverged are left out, with a note. Checkpoints are those that half of the seeds have,
    as far as all seeds go; what a seed lacks between them is filled in from the others, with a note.
    """
    rows = complete(measures)
    if extrapolated:
        unknown = [pl.lit(None, OPTIONAL[name]).alias(name) for name in ("stderr", "blocks")]
        rows = rows.with_columns(pl.col("extrapolated").alias("value"), *unknown)
    rows = rows.filter(
        pl.col("family") == family, pl.col("part") == part, pl.col("value").is_finite(), pl.col("step").is_not_null()
    )
    signs: Mapping[str, int] = INPUT if only is None else {only: sign_of_target(only)}
    measure = next((name for name in signs if (rows["measure"] == name).any()), None)
    if measure is None:
        return
    second = None
    if only is None:
        second = next((name for name in LABEL if (rows["measure"] == name).any()), None)
    asked = {name: rows.filter(pl.col("measure") == name) for name in (measure, second) if name}
    scales = {name: (_scale(of, name, only), grain(of["value"].to_numpy())) for name, of in asked.items()}
    left_out = _left_out(measures, family)
    finished = rows.filter(pl.col("status") == "finished")
    groups = finished.partition_by(["architecture", "shortcut", "depth", "site"], as_dict=True)
    for key in sorted(groups):
        architecture, shortcut, depth, site = key
        table = groups[key]
        of_x = _by_seed(table, measure)
        if not of_x:
            continue
        of_y = _by_seed(table, second) if second else {}
        seeds = tuple(sorted(of_x))
        steps = _steps(of_x)
        notes = [left_out[architecture, shortcut]] if (architecture, shortcut) in left_out else []
        if not steps:
            continue
        if any(set(found) - set(steps) for found in of_x.values()):
            notes.append("only checkpoints that at least half of the seeds have, as far as all go")
        x = _curve(of_x, measure, signs, seeds, steps, scales)
        if lacking := sum(len(set(steps) - set(found)) for found in of_x.values()):
            notes.append(f"{lacking} of {len(seeds) * len(steps)} checkpoints filled in from the other seeds")
        whole = second is not None and all({steps[0], steps[-1]} <= set(of_y.get(seed, ())) for seed in seeds)
        y = _curve(of_y, second, LABEL, seeds, steps, scales) if second is not None and whole else None
        keys = str(architecture), str(shortcut), family, str(site), int(depth)
        yield Cell(*keys, seeds, tuple(steps), x, y, "; ".join(notes))


def sign_of_target(measure: str) -> int:
    """The sign that makes learning a further target a fall; 1 for any other measure."""
    plain, target = of_target(measure)
    return LABEL.get(plain, 1) if target else 1


def of_targets(measures: pl.DataFrame, family: str) -> list[str]:
    """The measures by which a family tells of further targets: of each, the best that there is."""
    found: dict[str, list[str]] = {}
    for name in measures.filter(pl.col("family") == family)["measure"].drop_nulls().unique().sort():
        plain, target = of_target(name)
        if target and plain in LABEL:
            found.setdefault(target, []).append(name)
    order = list(LABEL)
    return [min(names, key=lambda name: order.index(of_target(name)[0])) for names in found.values()]


BySeed = dict[int, dict[int, tuple[float, float, list[float] | None]]]


def _by_seed(table: pl.DataFrame, measure: str) -> BySeed:
    """seed -> step -> value, stderr, blocks."""
    found: BySeed = {}
    picked = table.filter(pl.col("measure") == measure).select("seed", "step", "value", "stderr", "blocks")
    for seed, step, value, stderr, blocks in picked.iter_rows():
        found.setdefault(seed, {})[step] = (value, np.nan if stderr is None else stderr, blocks)
    return found


def _steps(found: BySeed) -> list[int]:
    """Checkpoints to read: those of at least half of the seeds, none before or after the checkpoints of any seed."""
    first, last = max(min(of) for of in found.values()), min(max(of) for of in found.values())
    counts = Counter(step for of in found.values() for step in of if first <= step <= last)
    return sorted(step for step, count in counts.items() if 2 * count >= len(found))


def _curve(
    found: BySeed,
    measure: str,
    signs: Mapping[str, int],
    seeds: Sequence[int],
    steps: Sequence[int],
    scales: Mapping[str, tuple[float, float]],
) -> Curve:
    lacking = (np.nan, np.nan, None)
    entries = [[found[seed].get(step, lacking) for step in steps] for seed in seeds]
    blocks = [entry[2] for row in entries for entry in row if entry is not lacking]
    lengths = {0 if each is None else len(each) for each in blocks}
    length = lengths.pop() if len(lengths) == 1 else 0
    whole = length > 1 and bool(np.isfinite(np.array(blocks, float)).all())
    if whole:
        gap = [np.nan] * length
        values = np.array([[entry[2] or gap for entry in row] for row in entries], float)
    else:
        values = np.array([[[entry[0]] for entry in row] for row in entries], float)
    stderr = np.array([[entry[1] for entry in row] for row in entries], float)
    mended, odd = mend(signs[measure] * values[None], stderr)
    return Curve(measure, signs[measure], mended[0], stderr, whole, *scales[measure], odd[0])


def _scale(picked: pl.DataFrame, measure: str, only: str | None = None) -> float:
    """The measure's reference; where it has none, 1 for Z-X and `only`, else the range of its values."""
    references = picked["reference"].drop_nulls().drop_nans()
    if len(references) and float(np.median(references.to_numpy())) > 0:
        return float(np.median(references.to_numpy()))
    if measure in ("zx", only):
        return 1.0
    values = picked["value"].to_numpy()
    return float(values.max() - values.min())


def _left_out(measures: pl.DataFrame, family: str) -> dict[tuple[str, str], str]:
    """(architecture, shortcut) -> which seeds are not in it, and why."""
    odd = (
        measures.filter(pl.col("family") == family, pl.col("status") != "finished")
        .select("architecture", "shortcut", "seed", "status")
        .unique()
        .sort("architecture", "shortcut", "seed", "status")
    )
    found: dict[tuple[str, str], list[str]] = {}
    for architecture, shortcut, seed, status in odd.iter_rows():
        found.setdefault((architecture, shortcut), []).append(f"seed {seed} {status}")
    return {pair: f"left out: {', '.join(each)}" for pair, each in found.items()}

"""Judge one comparison of a claim: the effect, how sure it is, or why it cannot be judged.

Effects and their errors are those of the phase tables, taken from the same functions, because a claim has a margin of
its own and is judged among other claims: a table's interval alone cannot be widened for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from scipy import special, stats

from infoplane.phases import contrasts, curves, labels, resample
from infoplane.phases.contrasts import Pair
from infoplane.phases.curves import Cell
from infoplane.phases.resample import Mean
from infoplane.phases.results import Phases

METRICS = (contrasts.METRIC, "accuracy")
"""What a claim may call the task's metric; accuracy where that is its name."""
LEARNED = ("fit_depth", "compression_height", "turn_step", "end", "label")
"""Quantities about learning, which a network that did not learn cannot support."""
FEWEST = 5
"""Networks below which no correlation is judged."""


@dataclass(frozen=True)
class Found:
    """One comparison. reason: why it cannot be judged; then the rest may be None.

    p: two-sided, against the boundary between what is claimed and what is not. agrees: on which side it lies.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    agrees: bool = False
    found: str | None = None
    seeds: int | None = None
    note: str = ""
    reason: str = ""


Pairs = dict[tuple[str, str, str], tuple[Pair, dict[str, Mean | None]]]
"""(architecture, site, other shortcut) -> the pair, and quantity -> reference less other."""

Judged = tuple[Mean | None, float, int]
"""A quantity, what its margin is a share of, and over how many seeds."""


@dataclass(frozen=True)
class Evidence:
    """An experiment's tables, prepared for judging claims.

    part, measure, extrapolated: what is judged, as a claim names it.
    """

    measures: pl.DataFrame
    phases: Phases
    metadata: Mapping[str, Any]
    part: str = "z"
    measure: str | None = None
    extrapolated: bool = False
    _by_reference: dict[str, "Pairs"] = field(default_factory=dict)

    def about(self, part: str, measure: str | None, extrapolated: bool) -> "Evidence":
        """The same tables, of another part, measure or value."""
        return replace(self, part=part, measure=measure, extrapolated=extrapolated, _by_reference={})

    @cached_property
    def family(self) -> str:
        """That of the phases; where it lacks the measure that is asked for, the first family that has it."""
        own = str(self.phases.metadata["family"])
        if self.measure is None:
            return own
        having = self.measures.filter(measure=self.measure)["family"].unique().sort()
        return own if own in having or having.is_empty() else str(having[0])

    @property
    def level(self) -> float:
        return float(self.phases.metadata["phases"]["level"])

    @cached_property
    def n(self) -> int | None:
        found = self.measures.filter(pl.col("family") == self.family)["n"].max()
        return None if found is None else int(found)  # type: ignore[arg-type]

    @cached_property
    def cells(self) -> list[Cell]:
        return list(curves.cells(self.measures, self.family, self.part, self.measure, self.extrapolated))

    @cached_property
    def metric(self) -> dict[tuple[str, str, int], float]:
        rows = self.phases.phases.filter(pl.col("seed").is_not_null(), pl.col("metric").is_not_null())
        picked = rows.select("architecture", "shortcut", "seed", "metric")
        return {(row[0], row[1], row[2]): row[3] for row in picked.iter_rows()}

    def site(self, architecture: str, wanted: str) -> str:
        """A site by name; auto: the architecture's last block."""
        return str(self.phases.metadata["last_blocks"].get(architecture) or "") if wanted == "auto" else wanted

    def cell(self, architecture: str, shortcut: str, site: str) -> Cell | None:
        named = (c for c in self.cells if (c.architecture, c.shortcut, c.site) == (architecture, shortcut, site))
        return next(named, None)

    def row(self, architecture: str, shortcut: str, site: str) -> dict[str, Any]:
        """The table's row over all seeds; empty where there is none."""
        rows = self.phases.phases.filter(
            pl.col("seed").is_null(),
            pl.col("architecture") == architecture,
            pl.col("shortcut") == shortcut,
            pl.col("site") == site,
        )
        return rows.row(0, named=True) if rows.height else {}

    def _pairs(self, reference: str) -> Pairs:
        if reference not in self._by_reference:
            pairs = contrasts.pairs(self.cells, reference)
            found = zip(pairs, contrasts.means(pairs, self.metric), strict=True)
            self._by_reference[reference] = {
                (p.other.architecture, p.other.site, p.other.shortcut): (p, m) for p, m in found
            }
        return self._by_reference[reference]

    def unfit(self, architecture: str, shortcut: str, site: str, quantity: str) -> str:
        """Say why this quantity of this network cannot be judged; empty where it can."""
        network = f"{architecture} with {shortcut}"
        cell = self.cell(architecture, shortcut, site)
        if cell is None:
            known = sorted({c.site for c in self.cells if c.architecture == architecture})
            if site not in known and known:
                return f"{network} has no site '{site}'"
            plain = (self.part, self.measure) == ("z", None)
            what = "" if plain else f"{self.measure or 'X'} at the part {self.part} of "
            return f"{what}{network} was not measured"
        wanted = len(self.metadata.get("seeds") or cell.seeds)
        if len(cell.seeds) < wanted:
            return f"{network}: {cell.note or f'{wanted - len(cell.seeds)} of {wanted} seeds missing'}"
        if len(cell.seeds) < 2:
            return "one seed, so it is not known how much seeds differ"
        own, last = (self.row(architecture, shortcut, at) for at in (site, self.site(architecture, "auto")))
        return self._untaught(network, own or last) if quantity in LEARNED else ""

    def _untaught(self, network: str, row: Mapping[str, Any]) -> str:
        value = row.get("metric")
        if value is not None and self.phases.trivial is not None:
            # not the label gain: a site that keeps its input tells the label from the start, whatever is learned
            metric = self.phases.metric
            taught = metric.is_learned(value, self.phases.trivial)
            return "" if taught else f"{network} did not learn (validation {metric.title} {metric.written(value)})"
        learned = row.get("learned")
        if learned is not None and learned < self.level:
            return f"{network} did not clearly learn the label at this site (label gain {row['label_gain']:.3f})"
        return ""

    def paired(self, architecture: str, of: str, versus: str, site: str, quantity: str) -> Judged:
        """A quantity of one network less that of another, by seed."""
        pair, means = self._pairs(of).get((architecture, site, versus), (None, {}))
        if pair is None:
            return None, 1.0, 0
        return (
            means.get(contrasts.METRIC if quantity in METRICS else quantity),
            _scale(pair.other, quantity),
            len(pair.other.seeds),
        )

    def alone(self, architecture: str, shortcut: str, site: str, quantity: str, less: float) -> Judged:
        """A network's quantity over its seeds, less a number."""
        cell = self.cell(architecture, shortcut, site)
        assert cell is not None, "a network that can be judged has a cell"
        scale, seeds, sign = _scale(cell, quantity), len(cell.seeds), 1
        mean: Mean | None
        if quantity in METRICS:
            values = [self.metric.get((architecture, shortcut, seed), np.nan) for seed in cell.seeds]
            mean = resample.mean(np.array(values)[None, :, None])
        elif quantity == "label_gain":
            mean = labels.label_gain(cell)
        else:
            mean = getattr(labels.quantities(cell.x.values[None], cell.x), quantity)
            sign = cell.x.sign if quantity in ("start", "end") else 1
        return (mean.less(less, sign) if mean else None), scale, seeds

    def _shortcuts(self, architecture: str) -> list[str]:
        return sorted(set(self.phases.phases.filter(pl.col("architecture") == architecture)["shortcut"]))

    def step_difference(self, architecture: str, site: str, of: str, versus: str) -> Found:
        """Of the turn's step, of which the table of differences has the interval and the test against 0."""
        for one, other, sign in ((of, versus, 1), (versus, of, -1)):
            rows = self.phases.differences.filter(
                pl.col("architecture") == architecture, pl.col("site") == site, pl.col("quantity") == "turn_step",
                pl.col("reference") == one, pl.col("shortcut") == other,
            )  # fmt: skip
            if rows.height and rows["p"][0] is not None:
                row = rows.row(0, named=True)
                low, high = sorted((sign * row["difference_low"], sign * row["difference_high"]))
                return Found(sign * row["difference"], low, high, row["p"], seeds=row["seeds"])
        return Found(reason="not in the table of differences: name one of the two as phases.reference")

    def correlation(self, quantity: str, within: str | None) -> Found:
        """Spearman's, of an amplitude with the gap of losses, over networks (means over their seeds).

        Further seeds of one network add no independent evidence to a correlation, so each network counts once.
        Interval: Bonett and Wright (2000, Psychometrika 65, 23).
        """
        names = self.phases.metadata["last_blocks"].items()
        chosen = [(a, site) for a, site in names if within in (None, a)]
        networks = [(a, shortcut, site) for a, site in chosen for shortcut in self._shortcuts(a)]
        rows = [self.row(*network) for network in networks if not self.unfit(*network, quantity)]
        points = [(row[quantity], row["loss_gap"]) for row in rows if row["loss_gap"] is not None]
        if len(points) < FEWEST or any(len(set(each)) < 2 for each in zip(*points, strict=True)):
            return Found(reason=f"{len(points)} networks that learned: at least {FEWEST} that differ are needed")
        tested = stats.spearmanr(*zip(*points, strict=True))
        r = float(tested.statistic)
        width = special.ndtri((1 + self.level) / 2) * np.sqrt((1 + r**2 / 2) / (len(points) - 3))
        low, high = (float(np.tanh(np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)) + each)) for each in (-width, width))
        seeds = max(row["seeds"] for row in rows)
        left_out = f" ({len(networks) - len(points)} left out)" if len(points) < len(networks) else ""
        note = f"over {len(points)} networks, each the mean of its seeds{left_out}"
        return Found(r, low, high, float(tested.pvalue), seeds=seeds, note=note)


def _scale(cell: Cell, quantity: str) -> float:
    if quantity in METRICS:
        return 1.0
    return (cell.y.scale if cell.y else 1.0) if quantity == "label_gain" else cell.x.scale

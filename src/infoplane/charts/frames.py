"""Read the two tables for charts, and average curves over seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from infoplane.metrics import Metric
from infoplane.options import Field
from infoplane.phases.curves import last_block
from infoplane.phases.results import Phases
from infoplane.phases.targets import read
from infoplane.specs import label_of
from infoplane.storage.parquet import read_rows
from infoplane.tables import metric

IDENTITY = "identity"
DEFAULT_FAMILY = "kernel"
PAIR = ("zx", "zy")
"""The measures that are shown where no others are asked for."""
HISTORY_POINTS_PER_DECADE = 12


@dataclass(frozen=True)
class Tables:
    """The experiment's measures and history tables with their common metadata; phases where they are read."""

    measures: pl.DataFrame
    history: pl.DataFrame
    metadata: dict[str, Any]
    phases: Phases | None = None

    @classmethod
    def read(cls, measures: Path, history: Path, phases: Sequence[Path] = ()) -> Self:
        """Read the tables, and the phases' where wanted; raises `UserError` for one that is missing or damaged."""
        values, metadata = read(measures)
        rows, _ = read_rows(history)
        found = Phases.read(phases) if phases else None
        return cls(values, pl.DataFrame(rows), metadata, found)

    @cached_property
    def architectures(self) -> list[str]:
        """Labels in the configuration's order."""
        return self._labels("architecture")

    @cached_property
    def shortcuts(self) -> list[str]:
        """Labels in the configuration's order, identity shortcuts first."""
        labels = self._labels("shortcut")
        return sorted(labels, key=lambda label: self.kind("shortcut", label) != IDENTITY)

    def _labels(self, role: str) -> list[str]:
        present = sorted(set(self.measures[role].to_list()) | set(self.history[role].to_list()))
        configured = (self.metadata.get("order") or {}).get(f"{role}s") or []
        return [label for label in configured if label in present] + [x for x in present if x not in configured]

    def kind(self, role: str, label: str) -> str:
        """The plug-in behind a label; the label itself where no run tells."""
        return (self.metadata.get(f"{role}s") or {}).get(label) or label

    def family(self, wanted: str, measures: Sequence[str] = ()) -> str:
        """The measure family to show: the wanted one; for ``auto`` kernel where it is, else the first one configured.

        measures: a family without any of these is not taken where another has some.
        """
        if wanted != "auto":
            return wanted
        rows = self.measures.filter(pl.col("value").is_finite())
        apt = rows.filter(pl.col("measure").is_in(list(measures)))
        found = set((apt if apt.height else rows)["family"].drop_nulls().to_list())
        configured = (self.metadata.get("order") or {}).get("measures") or []
        present = [label for label in configured if label in found] or sorted(found)
        best = label_of(DEFAULT_FAMILY, {label: self.family_kind(label) for label in present})
        return best or (present[0] if present else DEFAULT_FAMILY)

    def family_kind(self, label: str) -> str:
        """The plug-in behind a measure family's label; the label itself where no run tells."""
        return (((self.metadata.get("families") or {}).get(label) or {}).get("family") or {}).get("kind") or label

    @property
    def metric(self) -> Metric:
        """What networks are judged by."""
        return metric(self.metadata)

    @property
    def loss_unit(self) -> str:
        """Of what is minimised."""
        return str(self.metadata.get("loss_unit") or "nats")

    @property
    def all_is_measured(self) -> bool:
        """Tell whether all samples were measured, those of training included."""
        return ((self.metadata.get("config") or {}).get("data") or {}).get("held_out") == "all"

    @property
    def samples(self) -> str:
        """What was measured, in words."""
        if self.all_is_measured:
            return "samples, all there are"
        return "held-out images" if self._input is None or self._input.is_picture else "held-out samples"

    @property
    def target(self) -> str:
        """What networks learn to answer, in one word."""
        return "label" if self._input is None or self.metadata.get("classes") else "target"

    @property
    def _input(self) -> Field | None:
        """What networks read; None where no run tells."""
        found = self.metadata.get("input")
        return Field.from_dict(found) if found else None

    @property
    def headline(self) -> str:
        """The measure that shows compression: Z-X where it was measured, else the first of information on X."""
        measured = set(self.measures.filter(pl.col("value").is_finite())["measure"].to_list())
        return next((measure for measure in ("zx", "ixz", "ixz_upper", "ixz_lower") if measure in measured), "zx")

    def runs(self, status: str) -> list[str]:
        """Runs of which training, or any measure, has this status, as ``architecture/shortcut seed 0``."""
        keys = ["architecture", "shortcut", "seed"]
        both = pl.concat([self.measures.select([*keys, "status"]), self.history.select([*keys, "status"])])
        odd = both.filter(pl.col("status") == status).unique(keys).sort(keys)
        return [f"{row['architecture']}/{row['shortcut']} seed {row['seed']}" for row in odd.to_dicts()]

    def state(self, architecture: str, shortcut: str) -> str:
        """``finished`` unless every run of this pair is missing or has diverged."""
        pair = (pl.col("architecture") == architecture) & (pl.col("shortcut") == shortcut)
        rows = self.measures.filter(pair) if self.measures.filter(pair).height else self.history.filter(pair)
        states = set(rows["status"].to_list())
        return "finished" if "finished" in states else "diverged" if "diverged" in states else "missing"

    def gap(self, architecture: str, shortcut: str) -> str:
        """What to write where a pair has nothing to draw."""
        state = self.state(architecture, shortcut)
        return "nothing measured" if state == "finished" else state


@dataclass(frozen=True)
class Curves:
    """Some measures of one family and part, averaged over seeds: one row per (architecture, shortcut, site, step).

    rows: architecture, shortcut, site, depth, step, epoch, seeds, and of every measure, such as zx, its mean and the
    smallest and largest seed: zx, zx_low, zx_high. A diverged run counts only where no run of its pair finished.
    units: of every measure, empty where it was not measured.
    """

    rows: pl.DataFrame
    family: str
    part: str
    measures: tuple[str, ...] = PAIR
    units: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        return sorted(self.rows["step"].unique().to_list())

    def label_entropy(self) -> float | None:
        if "label_entropy" not in self.rows.columns:
            return None
        found = self.rows["label_entropy"].drop_nulls()
        return float(found[0]) if len(found) else None

    def of(self, architecture: str, shortcut: str | None = None) -> pl.DataFrame:
        """The rows of one architecture, or of one pair, by depth and step."""
        found = self.rows.filter(pl.col("architecture") == architecture)
        return found if shortcut is None else found.filter(pl.col("shortcut") == shortcut)

    def sites(self, architecture: str) -> list[str]:
        """Sites of an architecture from input to output."""
        return self.of(architecture).sort("depth", "site")["site"].unique(maintain_order=True).to_list()

    def last_block(self, architecture: str) -> str | None:
        """The deepest residual block's site: what is compared across shortcuts."""
        return last_block(self.sites(architecture))


def curves(tables: Tables, family: str = "auto", part: str = "z", measures: Sequence[str] = PAIR) -> Curves:
    """Average a family's finite values over seeds; by default Z-X and Z-Y."""
    family = tables.family(family, measures)
    rows = tables.measures.filter(
        pl.col("family") == family,
        pl.col("part") == part,
        pl.col("measure").is_in(list(measures)),
        pl.col("value").is_finite(),
    )
    units = dict(rows.select("measure", "unit").unique().sort("measure").iter_rows())
    pair = ["architecture", "shortcut"]
    finished = rows.filter(pl.col("status") == "finished").select(pair).unique()
    rows = pl.concat(
        [
            rows.filter(pl.col("status") == "finished"),
            rows.filter(pl.col("status") == "diverged").join(finished, on=pair, how="anti"),
        ]
    )
    keys = [*pair, "site", "depth", "step"]
    merged: pl.DataFrame | None = None
    for measure in measures:
        value = pl.col("value")
        nats = units.get(measure) == "nats"
        extra = [pl.col("reference").mean().alias("label_entropy")] if measure == "zy" and nats else []
        summary = (
            rows.filter(pl.col("measure") == measure)
            .sort("seed")
            .group_by(keys, maintain_order=True)
            .agg(
                value.mean().round_sig_figs(4).alias(measure),
                value.min().round_sig_figs(4).alias(f"{measure}_low"),
                value.max().round_sig_figs(4).alias(f"{measure}_high"),
                pl.col("epoch").mean().round_sig_figs(4).alias(f"{measure}_epoch"),
                pl.col("seed").n_unique().alias(f"{measure}_seeds"),
                *extra,
            )
        )
        merged = summary if merged is None else merged.join(summary, on=keys, how="full", coalesce=True)
    assert merged is not None
    both = merged.with_columns(
        pl.coalesce(*(f"{measure}_{known}" for measure in measures)).alias(known) for known in ("epoch", "seeds")
    )
    return Curves(both.sort(*pair, "depth", "site", "step"), family, part, tuple(measures), units)


def of_history(history: pl.DataFrame, split: str, quantity: str) -> pl.DataFrame:
    """The rows of one quantity of a split that have a value."""
    return history.filter(pl.col("split") == split, pl.col("quantity") == quantity, pl.col("value").is_not_null())


def scores(tables: Tables) -> pl.DataFrame:
    """The task's metric on both splits by step, averaged over seeds and thinned to log-spaced steps.

    Rows: architecture, shortcut, split, step, score, score_low, score_high, seeds.
    """
    pair = ["architecture", "shortcut"]
    rows = tables.history.filter(pl.col("quantity") == tables.metric.name, pl.col("value").is_finite())
    finished = tables.history.filter(pl.col("status") == "finished", pl.col("step").is_not_null()).select(pair).unique()
    long = pl.concat(
        [
            rows.filter(pl.col("status") == "finished"),
            rows.filter(pl.col("status") != "finished").join(finished, on=pair, how="anti"),
        ]
    )
    place = ((pl.col("step") + 1).log10() * HISTORY_POINTS_PER_DECADE).round().alias("place")
    kept = long.select("step").unique().with_columns(place).group_by("place").agg(pl.col("step").max())
    value = pl.col("value")
    return (
        long.filter(pl.col("step").is_in(kept["step"].to_list()))
        .group_by([*pair, "split", "step"])
        .agg(
            value.mean().round_sig_figs(4).alias("score"),
            value.min().round_sig_figs(4).alias("score_low"),
            value.max().round_sig_figs(4).alias("score_high"),
            pl.col("seed").n_unique().alias("seeds"),
        )
        .sort(*pair, "split", "step")
    )


def spread(items: Sequence[str], most: int, keep: Iterable[str | None] = ()) -> list[str]:
    """At most ``most`` items, evenly spaced, first and last among them; ``keep`` are kept in any case."""
    if len(items) <= most:
        return list(items)
    wanted = {round(i * (len(items) - 1) / max(1, most - 1)) for i in range(most)}
    wanted |= {index for index, item in enumerate(items) if item in set(keep)}
    return [items[index] for index in sorted(wanted)]

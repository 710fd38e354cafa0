"""How each residual addition z = s + f compresses: by cancelling, by out-weighing, in what follows the sum, or not.

Read off the measure family `anatomy` at the last checkpoint. Neither of the two hypotheses is assumed: each has its
own test, and where the evidence does not decide there is no verdict. All thresholds are ours.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infoplane.phases.effects import Effect, Reading, effect
from infoplane.phases.results import BLOCKS

MARGIN = 0.01
"""A difference of Z-X between s and z up to this counts as zero. Ours; the configuration's ``phases.margin``."""
AGAINST = -0.25
"""Coefficient of f on s at or below which f counts as pointing against s. Ours: f then removes a quarter of s."""
HALF = 0.5
"""Share of a loss that its cause must account for, and of resamples that must agree with a verdict. Ours."""
DRAWS = 4000
NOTHING = 1e-9
"""Var(f) / Var(s) of a branch that does not vary, so that its logarithm exists."""

CANCELLING, OUTWEIGHING, AFTER, NONE = "cancelling", "out-weighing", "norm or pooling", "none"
UNEXPLAINED = "unexplained"
VERDICTS = (NONE, CANCELLING, OUTWEIGHING, AFTER, UNEXPLAINED)

MARKS = ("regression_f_on_s", "zx_intact")
"""A measure family with rows of these has taken additions apart."""
WITHOUT, REMOVED, HALVED = (
    "zx_without_antiparallel_refitted",
    "zx_branch_x0_refitted",
    "zx_branch_x0_5_refitted",
)
WANTED = {
    "s": ("zx",),
    "f": ("zx", "regression_f_on_s", "regression_f_on_s_informative", "cosine", "branch_ratio"),
    "z": ("zx", "zx_intact", WITHOUT, REMOVED, HALVED, "variance_share_s", "variance_share_f", "variance_share_cross"),
}
NEEDED = ("architecture", "shortcut", "seed", "family", "site", "part", "depth", "step", "measure", "value")


def blocks(measures: pl.DataFrame, level: float = 0.95, margin: float = MARGIN) -> pl.DataFrame:
    """One row of schema `BLOCKS` per architecture, shortcut, family and addition; none where no family took them apart.

    measures: the experiment's measures table. level: of all intervals. margin: of Z-X.
    """
    if any(name not in measures.columns for name in NEEDED):
        return pl.DataFrame(schema=BLOCKS)
    families = measures.filter(pl.col("measure").is_in(MARKS))["family"].unique().to_list()
    asked = pl.concat_str("part", "measure", separator=".").is_in(
        [f"{part}.{measure}" for part, names in WANTED.items() for measure in names]
    )
    rows = measures.filter(pl.col("family").is_in(families), pl.col("step").is_not_null(), asked)
    keys = ["architecture", "shortcut", "family", "depth", "site"]
    found = [
        dict(zip(keys, place, strict=True)) | _row(_finished(mine), level, margin)
        for place, mine in rows.sort(*keys).group_by(keys, maintain_order=True)
        if mine["part"].is_in(["f"]).any()
    ]
    return pl.DataFrame(found, schema=BLOCKS)


def _finished(rows: pl.DataFrame) -> pl.DataFrame:
    """Without diverged runs where another one finished."""
    if "status" not in rows.columns:
        return rows
    kept = rows.filter(pl.col("status") == "finished")
    return kept if kept.height else rows


@dataclass(frozen=True)
class Addition:
    """What was measured of one addition at one checkpoint.

    is_sum: z is s + f to rounding, so that nothing follows the sum; None where it is not known.
    """

    step: int
    readings: dict[str, dict[int, Reading]]
    is_sum: bool | None
    notes: tuple[str, ...]

    def of(self, **terms: float) -> Effect | None:
        return effect(self.readings, terms)

    def mean(self, name: str) -> float | None:
        found = self.of(**{name: 1})
        return found.value if found else None


def _addition(rows: pl.DataFrame, last: bool) -> Addition:
    """At every seed's last (or first) checkpoint with finite values; steps of diverged seeds may differ."""
    finite = rows.filter(pl.col("value").is_finite())
    chosen = finite if finite.height else rows
    steps = chosen.group_by("seed").agg(pl.col("step").max() if last else pl.col("step").min())
    readings: dict[str, dict[int, Reading]] = {}
    sums: set[bool | None] = set()
    notes: set[str] = set()
    for row in rows.join(steps, on=["seed", "step"]).sort("seed", "part", "measure").iter_rows(named=True):
        if row["value"] is None or not math.isfinite(row["value"]):
            notes.add(row.get("note") or "not finite")
            continue
        name = f"{row['part']}_zx" if row["measure"] == "zx" else row["measure"]
        parts = row.get("blocks")
        stderr = (
            0.0 if row.get("note") == "constant" else row.get("stderr")
        )  # what does not vary holds no information, and this is certain
        reading = Reading(row["value"], stderr, tuple(parts) if parts else None, row.get("n"))
        readings.setdefault(name, {})[row["seed"]] = reading
        if row["measure"] in MARKS:
            sums.add(json.loads(row.get("detail") or "{}").get("z_equals_s_plus_f"))
    _derive(readings)
    step = steps["step"].max()
    assert isinstance(step, int)
    return Addition(step, readings, sums.pop() if len(sums) == 1 else None, tuple(sorted(notes)))


def _derive(readings: dict[str, dict[int, Reading]]) -> None:
    """Two more quantities per seed: log(Var f / Var s), and the coefficient of f on s where it is lower.

    Where it is lower: in all of s, or in its informative subspace.
    """
    of_s, of_f = readings.get("variance_share_s", {}), readings.get("variance_share_f", {})
    whole, inside = readings.get("regression_f_on_s", {}), readings.get("regression_f_on_s_informative", {})
    readings["against"] = {k: Reading(min(reading.value, inside.get(k, reading).value)) for k, reading in whole.items()}
    ratios = dict.fromkeys(whole.keys() - of_s.keys(), 1.0)  # a constant sum: f is -s
    ratios |= {k: max(NOTHING, of_f[k].value / of_s[k].value) for k in of_s.keys() & of_f.keys() if of_s[k].value > 0}
    readings["log_ratio"] = {seed: Reading(math.log(ratio)) for seed, ratio in sorted(ratios.items())}


@dataclass(frozen=True)
class Evidence:
    """Effects that decide; None where one could not be measured."""

    compression: Effect | None
    lost: Effect | None  # in the sum
    recovered: Effect | None  # without what of f points against s
    against: Effect | None
    log_ratio: Effect | None
    is_sum: bool | None

    @classmethod
    def of(cls, at: Addition) -> "Evidence":
        return cls(
            at.of(z_zx=1, s_zx=-1),
            at.of(**{"zx_intact": 1, REMOVED: -1}),
            at.of(**{"zx_intact": 1, WITHOUT: -1}),
            at.of(against=1),
            at.of(log_ratio=1),
            at.is_sum,
        )

    @property
    def has_counterfactuals(self) -> bool:
        return self.lost is not None and self.recovered is not None


Values = NDArray[np.float64]


def _verdicts(effects: Sequence[Values], is_sum: bool, margin: float) -> NDArray[np.int64]:
    """Index into `VERDICTS` of every set of compression, lost, recovered, against and log_ratio, all of one shape.

    What s + f has lost is by folds and so is what s has (the sum without its branch), compression is by leave-one-out:
    each is a difference within one way of estimating, so that the fewer samples of folds do not count as a loss.
    Where `recovered` is NaN, neither of the two that happen in the sum can be said.
    """
    compression, lost, recovered, against, log_ratio = effects
    in_sum = np.full(compression.shape, True) if is_sum else lost >= HALF * compression
    cancelling = in_sum & (against <= AGAINST) & (recovered >= HALF * lost)
    # independent noise of r times the variance of s adds r / (1 + r) to Z-X: f must suffice for what is lost
    suffices = 1 / (1 + np.exp(-log_ratio)) >= HALF * lost
    outweighing = in_sum & ~cancelling & suffices & (recovered < HALF * lost)
    chosen = np.select(
        [compression <= margin, cancelling, outweighing, ~in_sum],
        [VERDICTS.index(name) for name in (NONE, CANCELLING, OUTWEIGHING, AFTER)],
        VERDICTS.index(UNEXPLAINED),
    )
    return chosen.astype(np.int64)


def judge(evidence: Evidence, level: float, margin: float) -> tuple[str | None, float | None, str]:
    """Verdict, its confidence, and a note; the verdict is None where there is nothing to judge or nothing decides.

    Confidence: the share of resamples, every effect drawn from its own error, that give the same verdict.
    """
    compression = evidence.compression
    if compression is None:
        return None, None, "Z-X of s or of z was not measured"
    random = np.random.default_rng(0)
    drawn = compression.draws(random, DRAWS)
    low, _ = compression.interval(level)
    if compression.value <= margin:
        return NONE, float((drawn <= margin).mean()), ""
    if low is not None and low <= margin:
        return None, None, f"compression is above the margin of {margin:g}, but its interval is not"
    if evidence.against is None or evidence.log_ratio is None:
        return None, None, "compresses; how f relates to s was not measured"
    if not evidence.has_counterfactuals and not evidence.is_sum:
        return None, None, "compresses; without counterfactuals it is not known whether in the sum or after it"
    point = VERDICTS[int(_verdicts(_values(evidence, None, compression.value), bool(evidence.is_sum), margin)[0])]
    resampled = _verdicts(_values(evidence, random, drawn), bool(evidence.is_sum), margin)
    confidence = float((resampled == VERDICTS.index(point)).mean())
    bare = "" if evidence.has_counterfactuals else "without counterfactuals"
    if point == UNEXPLAINED:
        why = "f passes neither the test of cancelling nor that of out-weighing"
        return None, None, f"the sum compresses, but {bare + ' it is not known how' if bare else why}"
    if confidence < HALF:
        return None, None, f"{point}, but only {confidence:.0%} of resamples agree"
    return point, confidence, bare


def _values(evidence: Evidence, random: np.random.Generator | None, compression: float | Values) -> list[Values]:
    """What `_verdicts` takes: the estimates, or draws of them.

    Without counterfactuals the loss is that of z, which is then s + f, and an f that does not point against s is not
    missed there; of one that does nothing is known.
    """
    first = np.atleast_1d(np.asarray(compression, float))

    def values(effect: Effect) -> Values:
        return np.array([effect.value]) if random is None else effect.draws(random, len(first))

    assert evidence.against is not None and evidence.log_ratio is not None
    against, log_ratio = values(evidence.against), values(evidence.log_ratio)
    if evidence.lost is None or evidence.recovered is None:
        return [first, first, np.where(against <= AGAINST, np.nan, 0.0), against, log_ratio]
    return [first, values(evidence.lost), values(evidence.recovered), against, log_ratio]


def _row(rows: pl.DataFrame, level: float, margin: float) -> dict[str, Any]:
    """All but the keys of one row of `BLOCKS`."""
    last, first = _addition(rows, last=True), _addition(rows, last=False)
    evidence, before = Evidence.of(last), Evidence.of(first).compression
    shortcut = "s" in rows["part"].to_list()
    verdict, confidence, note = judge(evidence, level, margin) if shortcut else (None, None, "no shortcut")
    ratio = evidence.log_ratio
    named = {
        "compression": evidence.compression,
        "regression": last.of(regression_f_on_s=1),
        "cosine": last.of(cosine=1),
        "branch_ratio": last.of(branch_ratio=1),
        "cross_share": last.of(variance_share_cross=1),
        "first_compression": before,
        "lost_in_sum": evidence.lost,
        "recovered": evidence.recovered,
    }
    columns: dict[str, Any] = {}
    for name, one in named.items():
        low, high = one.interval(level) if one else (None, None)
        columns |= {name: one.value if one else None, f"{name}_low": low, f"{name}_high": high}
    ends = (ratio.value, *ratio.interval(level)) if ratio else (None, None, None)
    for end, value in zip(("", "_low", "_high"), ends, strict=True):
        columns[f"variance_ratio{end}"] = None if value is None else math.exp(value)
    seen = evidence.compression
    columns |= {
        "verdict": verdict,
        "confidence": confidence,
        "seeds": seen.seeds if seen else rows["seed"].n_unique(),
        "note": "; ".join(text for text in (note, *last.notes) if text),
        "step": last.step,
        "first_step": first.step,
        "zx_s": last.mean("s_zx"),
        "zx_f": last.mean("f_zx"),
        "zx_z": last.mean("z_zx"),
        "margin": margin,
        "basis": seen.basis if seen else "",
    }
    told = "; ".join(_clauses(verdict, last, evidence, columns)) + "." if seen else ""
    return columns | {"evidence": told}


def _clauses(verdict: str | None, last: Addition, evidence: Evidence, of: dict[str, Any]) -> Iterator[str]:
    """The evidence in words, with its numbers."""
    low, high, before = of["compression_low"], of["compression_high"], of["first_compression"]
    between = "" if low is None else f" ({_signed(low)} to {_signed(high)})"
    told = f"Z-X of s {_plain(of['zx_s'])}, of z {_plain(of['zx_z'])}: {_signed(of['compression'])}{between}"
    earlier = f", at step {of['first_step']} {_signed(before)}" if before is not None else ""
    yield f"{told} at step {last.step}{earlier if of['first_step'] != last.step else ''}"
    if of["regression"] is not None and of["variance_ratio"] is not None:
        yield f"coefficient of f on s {_plain(of['regression'])}, Var(f)/Var(s) {of['variance_ratio']:.2g}"
    if evidence.lost is None or verdict in (None, NONE):
        return
    lost = evidence.lost.value
    if verdict == AFTER:
        yield f"s + f itself adds {_signed(lost)} to Z-X, the norm, activation or pooling after it adds the rest"
        return
    changed = ((WITHOUT, "without what of f points against s"), (HALVED, "with f halved"))
    back = {words: last.of(**{"zx_intact": 1, name: -1}) for name, words in changed}
    shares = [f"{one.value / lost:.0%} {words}" for words, one in back.items() if one is not None]
    yield f"the sum adds {_signed(lost)} to Z-X, of which disappears {' and '.join(shares)}"


def _plain(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")

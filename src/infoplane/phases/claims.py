"""Verdicts on what an experiment claims: reproduced, not reproduced, or undecided.

Every comparison has a boundary between what is claimed and what is not: the margin on the expected side. It is
decided where the effect is surely on one side of it, after Holm's adjustment for all comparisons of all claims.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from infoplane.phases.contrasts import holm
from infoplane.phases.evidence import Evidence, Found
from infoplane.phases.resample import Mean
from infoplane.phases.results import Phases
from infoplane.phases.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED, VERDICTS, tally, whole
from infoplane.specs import Spec

WITH_GAP = "_with_gap"


@dataclass(frozen=True)
class Claim(Spec):
    """A claim of the configuration, with nothing left open."""

    sentence: str
    source: str
    provenance: str
    quantity: str
    of: list[str]
    versus: float | list[str]
    expected: str
    architectures: list[str]
    site: str
    margin: float
    measure: str | None = None
    part: str = "z"
    extrapolated: bool = False

    @property
    def name(self) -> str:
        """The quantity, with the measure or the value that it is of."""
        return "_".join(filter(None, [self.measure, "extrapolated" if self.extrapolated else "", self.quantity]))

    @property
    def about(self) -> tuple[str, str | None, bool]:
        """What `Evidence.about` is asked for."""
        return self.part, self.measure, self.extrapolated


def verdicts(claims: Mapping[str, Claim], evidence: Evidence) -> pl.DataFrame:
    """Judge every comparison of every claim among all of them, then every claim as a whole."""
    keys: list[dict[str, Any]] = []
    found: list[Found] = []
    known = {about: evidence.about(*about) for about in {claim.about for claim in claims.values()}}
    for name, claim in claims.items():
        for key, one in _comparisons(claim, known[claim.about]):
            keys.append({"claim": name, **key})
            found.append(one)
    tested = [place for place, one in enumerate(found) if one.p is not None and not one.reason]
    adjusted = dict(zip(tested, holm([found[place].p or 0.0 for place in tested]), strict=True)) if tested else {}
    rows: list[dict[str, Any]] = []
    for place, (keys_of_it, one) in enumerate(zip(keys, found, strict=True)):
        claim = claims[keys_of_it["claim"]]
        rows.append(_row(keys_of_it, claim, one, adjusted.get(place), known[claim.about]))
    every = []
    for name, claim in claims.items():
        mine = [row for row in rows if row["claim"] == name]
        every += [_overall(claim, mine)] if len(mine) > 1 else []
        every += [row | {"overall": len(mine) == 1} for row in mine]
    return pl.DataFrame(every, schema=VERDICTS)


def _comparisons(claim: Claim, evidence: Evidence) -> Iterator[tuple[dict[str, str | None], Found]]:
    if claim.quantity.endswith(WITH_GAP):
        whole = set(claim.architectures) >= set(evidence.phases.metadata["last_blocks"])
        for within in [None] if whole else claim.architectures:
            one = evidence.correlation(claim.quantity.removesuffix(WITH_GAP), within)
            keys = {"architecture": within or "all", "site": _place(claim), "of": None, "versus": "0"}
            yield keys, replace(one, agrees=_sign(claim) * (one.effect or 0.0) > 0)
        return
    for architecture in claim.architectures:
        site = evidence.site(architecture, claim.site)
        for of in claim.of:
            for versus in claim.versus if isinstance(claim.versus, list) else [claim.versus]:
                at = site if claim.part == "z" else f"{site}.{claim.part}"
                keys = {"architecture": architecture, "site": at, "of": of}
                shown = None if claim.quantity == "label" else versus if isinstance(versus, str) else f"{versus:g}"
                yield keys | {"versus": shown}, _compare(claim, evidence, architecture, site, of, versus)


def _compare(claim: Claim, evidence: Evidence, architecture: str, site: str, of: str, versus: str | float) -> Found:
    asked = "" if claim.expected == "flat" else claim.quantity
    for shortcut in (of, versus) if isinstance(versus, str) else (of,):
        if reason := evidence.unfit(architecture, str(shortcut), site, asked):
            return Found(reason=reason)
    if claim.quantity == "label":
        return _label(claim, evidence.row(architecture, of, site))
    if claim.quantity == "turn_step":
        one = evidence.step_difference(architecture, site, of, str(versus))
        return replace(one, agrees=_sign(claim) * (one.effect or 0.0) > 0)
    mean, scale, seeds = (
        evidence.paired(architecture, of, versus, site, claim.quantity)
        if isinstance(versus, str)
        else evidence.alone(architecture, of, site, claim.quantity, versus)
    )
    if mean is None or not np.isfinite(mean.stderr).all():
        return Found(reason=f"{claim.name} was not measured")
    low, high = mean.interval(evidence.level)
    p, agrees = _against(mean, claim.expected, claim.margin * scale)
    return Found(float(mean.value[0]), float(low[0]), float(high[0]), p, agrees, seeds=seeds)


def _against(mean: Mean, expected: str, margin: float) -> tuple[float, bool]:
    """Two-sided p against the boundary, and whether the estimate is on the claimed side of it."""
    above, below = (float(each.above(margin)[0]) for each in (mean, mean.less(0.0, -1)))
    if expected == "equal":
        inside, outside = 2 * max(above, below), 2 * min(1 - above, 1 - below)
        return min(1.0, inside, outside), inside < outside
    sure = above if expected == "greater" else below
    return 2 * min(sure, 1 - sure), sure > 0.5


def _label(claim: Claim, row: Mapping[str, Any]) -> Found:
    """The two halves of a label are decided separately; its p is that of the less sure one."""
    name, confidence = row.get("label"), row.get("confidence")
    if name is None or confidence is None:
        return Found(reason="there is no label here")
    found = Found(found=name, p=1 - confidence, agrees=name == claim.expected, seeds=row["seeds"])
    sure = f"how sure: fits {row['fits']:.3f}, compresses {row['compresses']:.3f}"
    return replace(found, reason=f"ambiguous: {sure}") if name == "ambiguous" else replace(found, note=sure)


def _place(claim: Claim) -> str:
    """The site in words, where architectures call it differently."""
    part = "" if claim.part == "z" else f".{claim.part}"
    return f"last block{part}" if claim.site == "auto" else f"{claim.site}{part}"


def _sign(claim: Claim) -> int:
    return -1 if claim.expected == "less" else 1


def _row(
    key: Mapping[str, Any], claim: Claim, one: Found, adjusted: float | None, evidence: Evidence
) -> dict[str, Any]:
    verdict = UNDECIDED
    if not one.reason and adjusted is not None and adjusted <= 1 - evidence.level:
        verdict = REPRODUCED if one.agrees else NOT_REPRODUCED
    return {
        **key,
        **_said(claim),
        "family": evidence.family,
        "found": one.found,
        "effect": one.effect,
        "effect_low": one.low,
        "effect_high": one.high,
        "p_adjusted": adjusted,
        "verdict": verdict,
        "n": evidence.n,
        "seeds": one.seeds,
        "note": "; ".join(filter(None, [one.reason, one.note])),
    }


def _said(claim: Claim) -> dict[str, Any]:
    names = ("sentence", "source", "provenance", "expected", "margin")
    return {name: getattr(claim, name) for name in names} | {"quantity": claim.name}


def _overall(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A claim is reproduced where all its comparisons are, and not reproduced where one is not."""
    verdicts = [row["verdict"] for row in rows]
    against = ", ".join(claim.versus) if isinstance(claim.versus, list) else rows[0]["versus"]
    return {
        **rows[0],
        "architecture": "all" if len({row["architecture"] for row in rows}) > 1 else rows[0]["architecture"],
        "site": rows[0]["site"] if len({row["site"] for row in rows}) == 1 else _place(claim),
        "of": ", ".join(claim.of) or None,
        "versus": against,
        **dict.fromkeys(("found", "effect", "effect_low", "effect_high", "p_adjusted")),
        "verdict": whole(verdicts),
        "seeds": min((row["seeds"] for row in rows if row["seeds"] is not None), default=None),
        "note": f"{len(rows)} comparisons: {tally(verdicts)}",
        "overall": True,
    }


def judge(
    claims: Mapping[str, Mapping[str, Any]], measures: pl.DataFrame, phases: Phases, metadata: Mapping[str, Any]
) -> pl.DataFrame:
    """Verdicts on claims as JSON values; metadata: the tables'. Raises `UserError` for anything else."""
    return verdicts(
        {name: Claim.from_dict(dict(values)) for name, values in claims.items()}, Evidence(measures, phases, metadata)
    )

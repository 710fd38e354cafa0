"""Claims that an experiment states before it is run: each is a sentence, and the quantity that tests it."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from infoplane.config.written import require_label, shown
from infoplane.errors import UserError, nearest

LABELS = ("two-phase", "compression-only", "fitting-only", "flat")
Expected = Literal["less", "greater", "equal", "two-phase", "compression-only", "fitting-only", "flat"]
CORRELATIONS = ("fit_depth_with_gap", "compression_height_with_gap")
ALWAYS_AGAINST_ZERO = (*CORRELATIONS, "turn_step")
"""Quantities of which only the interval and the test against zero are known, so they have no margin."""
NAMED = ("fit_depth", "compression_height", "start", "end")
"""Quantities that can be asked of a part other than z and of the value at unlimited n."""
Quantity = Literal[
    "label", "fit_depth", "compression_height", "start", "turn_step", "end", "label_gain", "metric", "accuracy",
    "fit_depth_with_gap", "compression_height_with_gap",
]  # fmt: skip


def each_once(values: list[Any]) -> list[Any]:
    """Return the list; raises ``ValueError`` for a value that is in it twice."""
    if twice := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"{shown(twice[0])} is listed twice: name it once")
    return values


Labels = Annotated[list[str], AfterValidator(each_once)]


class Claim(BaseModel):
    """One claim. It changes no number, so an edit of it reruns only the verdicts and the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sentence: str = Field(
        min_length=1, pattern=r"\S", description="what is claimed, in the source's words or in a fair paraphrase"
    )
    source: str = Field("", description="who says so, where")
    provenance: Literal["sourced", "inferred", "ours"] = Field(
        description="of the sentence and the quantity together: sourced only where the source names both"
    )
    quantity: Quantity = Field(
        description="label, fit_depth, compression_height, start, turn_step, end, label_gain, metric (the task's "
        "first, such as accuracy); or the rank correlation of fit_depth or compression_height with validation less "
        "training loss (..._with_gap)"
    )
    of: Labels = Field([], description="labels of shortcuts, each judged on its own; leave it out for a correlation")
    versus: float | Labels = Field(
        0.0, description="what it is compared with: a number, or labels of shortcuts (paired by seed), each on its own"
    )
    expected: Expected = Field(
        description="how the quantity compares with it; equal: within the margin; for a label: which label"
    )
    measure: str | None = Field(
        None,
        min_length=1,
        description="of which measure start or end is meant, such as effective_rank; null: of the measure of X that "
        "the phases read",
    )
    part: Literal["s", "f", "z", "m"] = Field("z", description="of the site; m: the state of a shortcut that has one")
    extrapolated: bool = Field(False, description="of the value at unlimited n in place of the value")
    architectures: Labels | None = Field(None, min_length=1, description="null: all, each judged on its own")
    site: str = Field("auto", description="where; auto: the last block")
    margin: float | None = Field(
        None,
        ge=0,
        description="a difference up to this share of the measure's reference counts as zero, or up to this itself "
        "where a 'measure' has no reference; null: phases.margin",
    )

    @field_validator("versus", mode="before")
    @classmethod
    def _a_number_or_labels(cls, value: Any) -> Any:
        """Refuse the rest; what is written below is called first."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not (number or (isinstance(value, list) and all(isinstance(one, str) for one in value))):
            raise ValueError(f"expected a number, or labels of shortcuts, got {shown(value)}")
        return value

    @field_validator("of", "versus", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> "Claim":
        by_label = self.quantity == "label"
        if by_label != (self.expected in LABELS):
            wanted = ", ".join(LABELS) if by_label else "less, greater or equal"
            raise ValueError(f"expected: of '{self.quantity}' it is one of {wanted}, got '{self.expected}'")
        correlates = self.quantity in CORRELATIONS
        if correlates and (self.of or isinstance(self.versus, list)):
            raise ValueError(f"'{self.quantity}' is taken over all shortcuts: leave 'of' and 'versus' out")
        if not correlates and not self.of:
            raise ValueError("of: name at least one shortcut")
        if self.versus == []:
            raise ValueError("versus: name at least one shortcut, or a number")
        if by_label and self.versus != 0:
            raise ValueError("a label is not compared with anything: leave 'versus' out")
        if self.quantity in ALWAYS_AGAINST_ZERO and (self.margin or self.expected == "equal"):
            raise ValueError(f"'{self.quantity}' has no margin: say less or greater, and leave 'margin' out")
        if correlates and self.versus != 0:
            raise ValueError("a correlation is compared with 0: leave 'versus' out")
        if (self.part != "z" or self.extrapolated) and self.quantity not in NAMED:
            raise ValueError(
                f"'{self.quantity}' is that of the value of z: leave 'part' and 'extrapolated' out, or ask for one of "
                f"{', '.join(NAMED)}"
            )
        if self.measure is not None and self.quantity not in ("start", "end"):
            raise ValueError(f"of '{self.measure}' there is only start and end, got '{self.quantity}'")
        if self.quantity == "turn_step" and not isinstance(self.versus, list):
            raise ValueError("versus: 'turn_step' is compared with other shortcuts, not with a number")
        return self


def resolve(
    claims: Mapping[str, Claim],
    architectures: Mapping[str, Any],
    shortcuts: Mapping[str, Any],
    margin: float,
    metric: str,
) -> dict[str, dict[str, Any]]:
    """Every claim as JSON values, with what it left open filled in; raises `UserError` for unknown labels.

    metric: the name of the task's first.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, claim in claims.items():
        require_label(name, f"claims.{name}")
        against = claim.versus if isinstance(claim.versus, list) else []
        for key, labels in (("of", claim.of), ("versus", against)):
            _known(labels, shortcuts, "shortcut", f"claims.{name}.{key}")
        _known(claim.architectures or [], architectures, "architecture", f"claims.{name}.architectures")
        if claim.quantity == "accuracy" and metric != "accuracy":
            raise UserError(f"claims.{name}.quantity: networks of this task are judged by {metric}: write metric.")
        if same := sorted(set(claim.of) & set(against)):
            raise UserError(f"claims.{name}: '{same[0]}' is compared with itself: take it out of 'of' or of 'versus'.")
        values = claim.model_dump()
        if values["margin"] is None:
            values["margin"] = 0.0 if claim.quantity in ALWAYS_AGAINST_ZERO else margin
        values["architectures"] = claim.architectures or list(architectures)
        found[name] = values
    return found


def _known(labels: list[str], known: Mapping[str, Any], role: str, where: str) -> None:
    for label in labels:
        if label not in known:
            raise UserError(f"{where}: the experiment has no {role} '{label}': {nearest(label, known)}")

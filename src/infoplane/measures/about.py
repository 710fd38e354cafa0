"""What each measure of a family is about, X or Y, and which kind of variable it needs.

A family declares it by the literal ``ABOUT`` in its file (`registry.about`). A variable that it cannot take is replaced
by a constant of the kind that it can, so that it measures the rest, and all rows about that variable are then written
without a value, and say why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch

from infoplane import registry
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Classes, Numbers, Targets, Variable

KINDS: Mapping[str, type[Variable]] = {"numbers": Numbers, "classes": Classes}


@dataclass(frozen=True)
class About:
    """What a family measures of which variable, and which it can take.

    variables: pattern (fnmatch) of measures -> x or y. needed: variable -> the kind that it must be of.
    """

    variables: dict[str, str]
    needed: dict[str, str]

    @classmethod
    def of(cls, family: str) -> "About":
        """What a family, by its kind, declares."""
        declared = {measure: text.partition(" of ") for measure, text in registry.about(family).items()}
        needed = {variable: kind for variable, _, kind in declared.values() if kind}
        return cls({measure: variable for measure, (variable, _, _) in declared.items()}, needed)

    def variable(self, measure: str) -> str:
        """The variable that a measure is about; empty for what is about neither."""
        return next((name for pattern, name in self.variables.items() if fnmatchcase(measure, pattern)), "")

    def unmet(self, targets: Targets) -> dict[str, str]:
        """Variable that the family cannot take -> the kind that it needs."""
        return {name: kind for name, kind in self.needed.items() if not isinstance(getattr(targets, name), KINDS[kind])}

    def taken(self, targets: Targets) -> Targets:
        """Targets that the family can take, constant where it could not take them."""
        for name, kind in self.unmet(targets).items():
            constant = _constant(targets, kind)
            targets = replace(targets, x=constant) if name == "x" else replace(targets, y=constant)
        return targets

    def told(self, estimate: Estimate, unmet: Mapping[str, str], y: str = "Y") -> Estimate:
        """The estimate; without a value where it is about a variable in ``unmet``. y: what readers call Y."""
        variable = self.variable(estimate.measure)
        if variable not in unmet:
            return estimate
        kind, name = unmet[variable], {"x": "X", "y": y}[variable]
        (other,) = set(KINDS) - {kind}
        known = ("measure", "unit", "reference", "n", "d")
        return Estimate(
            **{key: getattr(estimate, key) for key in known}, value=None, note=f"needs {kind}, and {name} is {other}"
        )


def _constant(targets: Targets, kind: str) -> Variable:
    """A variable of this kind that does not vary."""
    labels = torch.zeros(targets.n, dtype=torch.int64, device=targets.y.given.device)
    if kind == "classes":
        return Classes(labels, 1)
    nothing = labels[:, None].double()
    return Numbers(nothing, nothing)

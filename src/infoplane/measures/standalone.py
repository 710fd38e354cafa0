"""Every measure family as one function of arrays, and one command for a file of activations: no workflow needed."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infoplane import registry
from infoplane.errors import UserError, nearest
from infoplane.measures.about import About
from infoplane.measures.arrays import as_ids, as_inputs, as_labels, as_samples
from infoplane.measures.estimate import Estimate
from infoplane.measures.foreign import ForeignSubject
from infoplane.measures.information.possible import noted
from infoplane.measures.job import measured_rows, write
from infoplane.measures.targets import prepare
from infoplane.measures.typed import typed
from infoplane.options import NoOptions
from infoplane.renamed import old_arguments, require_new_option
from infoplane.specs import MeasuresSpec, Plugin


def family_options(family: str, options: Mapping[str, Any]) -> Any:
    """A family's ``Options``; raises `UserError` for an unknown family or option and for values of another type."""
    kind: type[Any] = getattr(registry.load("measure", family), "Options", NoOptions)
    known = {each.name for each in fields(kind)}
    for name in options:
        if name not in known:
            require_new_option("measure", family, name, family)
            raise UserError(f"{family} has no option '{name}': {nearest(name, known)}")
    try:
        found = kind(**typed(kind, options))
    except (TypeError, ValueError) as error:
        raise UserError(f"{family}: {error}") from None
    if getattr(found, "seed", 0) < 0:
        raise UserError(f"{family}: seed must be 0 or more, got {found.seed}")
    return found


def measure(
    z: Any,
    x: Any = None,
    y: Any = None,
    family: str = "kernel",
    *,
    group: Any = None,
    amounts: bool = False,
    **options: Any,
) -> list[Estimate]:
    """What a family measures of one representation.

    z: (n, ...); x, the input: (n, ...); y, labels: (n,), (n, 1) or one-hot; group: (n,), ids of samples that belong
    together. Tensors, NumPy arrays, and anything that can become one. Without x or y, what would be decoded is
    constant, and its value says so. amounts: one whole number per sample in x is an amount, not an id. Runs on the
    device of ``z``. Raises `UserError` for arrays that do not fit one another or hold something else, for unknown
    options, and for families that need more than one representation.
    """
    module, chosen = registry.load("measure", family), family_options(family, options)
    if not hasattr(module, "estimate"):
        raise UserError(
            f"{family} measures whole runs, not one array: use `python -m infoplane.measures` or the workflow."
        )
    representation = as_samples(z, "z")
    n = len(representation)
    regressing = [family] if registry.regresses(family) else []
    inputs = np.zeros(n) if x is None else as_inputs(x, "x", amounts, regressing, "amounts=True")
    labels = np.zeros(n, np.int64) if y is None else as_labels(y, "y")
    if not len(inputs) == len(labels) == n:
        raise UserError(f"z has {n} samples, x and y have {len(inputs)} and {len(labels)}.")
    groups = None if group is None else as_ids(group, "group")
    if groups is not None and len(groups) != n:
        raise UserError(f"z has {n} samples, group has {len(groups)}.")
    targets = prepare(inputs, labels, representation.device, groups)
    independent = not registry.ignores_groups(family) or targets.groups is None
    about = About.of(family)
    found = module.estimate(representation, about.taken(targets), chosen)
    told = [about.told(one, about.unmet(targets)) for one in found]
    return noted(told, lambda: targets.y.entropy, independent)


@old_arguments(probe="held_out")
def measure_file(
    activations: Path,
    held_out: Path,
    families: Mapping[str, Mapping[str, Any]],
    output: Path,
    x: str | None = "x",
    y: str | None = "label",
    device: str = "cpu",
    *,
    group: str | None = None,
    amounts: bool = False,
) -> list[dict[str, Any]]:
    """Measure every site at every checkpoint of a file (the contract is in `infoplane.measures.foreign`).

    families: name -> options. group: the held-out file's column of ids of samples that belong together; its column
    ``group`` where there is one. amounts: as `measure` has it. Writes the tidy rows that it returns, with the columns
    that the workflow's own measures have, as Parquet; the run is labelled by the file's name. Raises `UserError`, and
    then writes nothing.
    """
    activations, output = Path(activations), Path(output)
    chosen = {family: family_options(family, options) for family, options in families.items()}
    for family in chosen:
        if "checkpoints" in registry.reads("measure", family):
            raise UserError(f"{family} measures weights, and a file of activations holds none.")
    regressing = tuple(family for family in chosen if registry.regresses(family))
    subject = ForeignSubject(
        Path(held_out), torch.device(device), activations, x=x, y=y, group=group, amounts=amounts, regressing=regressing
    )
    run = {"architecture": activations.stem, "shortcut": "given", "seed": 0}
    specs = {family: MeasuresSpec(Plugin(family, asdict(options))) for family, options in chosen.items()}
    rows = []
    for family, spec in specs.items():
        rows += measured_rows(spec, subject, run | {"family": family})
    write(output, rows, subject, {family: spec.to_dict() for family, spec in specs.items()})
    return rows

"""Every measure family as one function of arrays, and one command for a file of activations: no workflow needed."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infoplane import registry
from infoplane.errors import UserError, nearest
from infoplane.measures.estimate import Estimate
from infoplane.measures.foreign import ForeignSubject
from infoplane.measures.job import measured_rows, write
from infoplane.measures.targets import prepare
from infoplane.options import NoOptions
from infoplane.specs import MeasuresSpec, Plugin

Array = np.ndarray | Tensor


def family_options(family: str, options: Mapping[str, Any]) -> Any:
    """A family's ``Options``; raises `UserError` for an unknown family or option and for values out of range."""
    kind = getattr(registry.load("measure", family), "Options", NoOptions)
    known = {each.name for each in fields(kind)}
    for name in options:
        if name not in known:
            raise UserError(f"{family} has no option '{name}': {nearest(name, known)}")
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"{family}: {error}") from None


def measure(
    z: Array, x: Array | None = None, y: Array | None = None, family: str = "kernel", **options: Any
) -> list[Estimate]:
    """What a family measures of one representation.

    z: (n, ...); x, the input: (n, ...); y, whole-number labels: (n,). Without x or y, what would be decoded is
    constant, and its value says so. Runs on the device of ``z``. Raises `UserError` for arrays that do not fit one
    another, for unknown options, and for families that need more than one representation.
    """
    module, chosen = registry.load("measure", family), family_options(family, options)
    if not hasattr(module, "estimate"):
        raise UserError(
            f"{family} measures whole runs, not one array: use `python -m infoplane.measures` or the workflow."
        )
    representation = torch.as_tensor(z)
    if representation.ndim == 1:
        representation = representation[:, None]
    blank = np.zeros(len(representation), np.int64)
    inputs, labels = (blank if array is None else torch.as_tensor(array).cpu().numpy() for array in (x, y))
    if not len(inputs) == len(labels) == len(representation):
        raise UserError(f"z has {len(representation)} samples, x and y have {len(inputs)} and {len(labels)}.")
    found: list[Estimate] = module.estimate(representation, prepare(inputs, labels, representation.device), chosen)
    return found


def measure_file(
    activations: Path,
    probe: Path,
    families: Mapping[str, Mapping[str, Any]],
    output: Path,
    x: str | None = "x",
    y: str | None = "label",
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure every site at every checkpoint of a file (the contract is in `infoplane.measures.foreign`).

    families: name -> options. Writes the tidy rows that it returns, with the columns that the workflow's own measures
    have, as Parquet; the run is labelled by the file's name. Raises `UserError`, and then writes nothing.
    """
    subject = ForeignSubject(probe, torch.device(device), activations, x=x, y=y)
    run = {"architecture": activations.stem, "shortcut": "given", "seed": 0}
    specs, rows = {}, []
    for family, options in families.items():
        if "checkpoints" in registry.reads("measure", family):
            raise UserError(f"{family} measures weights, and a file of activations holds none.")
        specs[family] = MeasuresSpec(Plugin(family, asdict(family_options(family, options))))
    for family, spec in specs.items():
        rows += measured_rows(spec, subject, run | {"family": family})
    write(output, rows, subject, {family: spec.to_dict() for family, spec in specs.items()})
    return rows

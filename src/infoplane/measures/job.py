"""Measure every site of a run at every checkpoint, with one family, into one tidy Parquet file."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from infoplane import registry
from infoplane.activations.file import ActivationsFile, Site
from infoplane.data.images import Split, read_split
from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import prepare
from infoplane.options import NoOptions
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import MeasuresSpec
from infoplane.storage.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("architecture", pa.string()),
        ("shortcut", pa.string()),
        ("seed", pa.int64()),
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("site", pa.string()),
        ("part", pa.string()),
        ("depth", pa.int64()),
        ("measure", pa.string()),
        ("family", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("stderr", pa.float64()),
        ("reference", pa.float64()),
        ("n", pa.int64()),
        ("d", pa.int64()),
        ("edge", pa.string()),
        ("ridge", pa.float64()),
        ("bandwidth", pa.float64()),
        ("folds", pa.int64()),
        ("constant_features", pa.int64()),
        ("note", pa.string()),
    ]
)


def network_input(split: Split) -> np.ndarray:
    """X as the networks see it: pixels scaled to 0..1, then to the training split's mean and deviation per channel.

    float64, shape (n, channels, height, width).
    """
    per_channel = (1, -1, 1, 1)
    mean, std = split.mean.reshape(per_channel), split.std.reshape(per_channel)
    return (split.pixels / 255.0 - mean) / std


def measure(
    spec: MeasuresSpec, activations: Path, probe: Path, output: Path, run: dict[str, Any], device: torch.device
) -> None:
    """Write Z-X and Z-Y, or whatever the family measures, of every checkpoint and site in an activations file.

    run: its labels ``architecture``, ``shortcut`` and ``seed``. A run that diverged has the checkpoints that it
    reached, and its status. Raises `UserError` for files that are missing, damaged or not of one another.
    """
    family = registry.load("measure", spec.family.kind)
    options = getattr(family, "Options", NoOptions)(**spec.family.options)
    file = ActivationsFile(activations)
    split = read_split(probe)
    targets = prepare(network_input(split), split.labels, device)
    rows: list[dict[str, Any]] = []
    known: dict[bytes, list[Estimate]] = {}
    wanted = [(step, site) for step in file.steps for site in file.sites]
    for step, site in progress(wanted, f"measures: {spec.family.kind}"):
        z = file.read(step, site)
        if len(z) != targets.n:
            raise UserError(
                f"{activations} holds {len(z)} samples at step {step}, {probe} holds {targets.n}: "
                "they are not of the same probe; run the workflow again."
            )
        # An identity shortcut is bit for bit the sum before it, and need not be measured twice.
        content = _content(z)
        if content not in known:
            known[content] = family.estimate(torch.as_tensor(np.array(z), device=device), targets, options)
        key = {**run, "step": step, "epoch": file.epochs[step], "family": spec.family.kind}
        rows += [_row(key, site, estimate) for estimate in known[content]]
    write_rows(output, pa.Table.from_pylist(rows, SCHEMA), _metadata(spec, file, device))


def _content(z: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{z.dtype} {z.shape}".encode(), digest_size=32)
    digest.update(np.ascontiguousarray(z).data)
    return digest.digest()


def _row(key: dict[str, Any], site: Site, estimate: Estimate) -> dict[str, Any]:
    return {**key, "site": site.name, "part": site.part, "depth": site.depth, **vars(estimate)}


def _metadata(spec: MeasuresSpec, file: ActivationsFile, device: torch.device) -> dict[str, Any]:
    kept = {name: file.metadata.get(name) for name in ("status", "diverged_at")}
    return {"spec": spec.to_dict(), **kept, "versions": versions(), "device": device.type}

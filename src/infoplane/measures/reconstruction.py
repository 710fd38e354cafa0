"""Draw inputs and their reconstructions from the last block, X -> g(Z): pictures of what Z-X measures.

The decoder is the one that the `kernel` family chooses. It makes each picture as it would be if its image had been
left out of the fit: X less the leave-one-out residual of `decoding.ridge`, so no decoder was trained on the image that
it draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from infoplane.activations.file import Site
from infoplane.data.samples import Split
from infoplane.measures.decoding.left_out import constant_group_residuals, leave_groups_out
from infoplane.measures.decoding.ridge import constant_losses, leave_one_out, unreached
from infoplane.measures.decoding.views import Scale, kernel_view
from infoplane.measures.estimate import Estimate
from infoplane.measures.families import kernel
from infoplane.measures.subject import Subject
from infoplane.measures.targets import Targets
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import ReconstructionsSpec
from infoplane.storage.parquet import write_rows

OUTSIDE_BLOCKS = ("readout", "logits", "output")
"""Sites behind the last block."""

TRIED = 32
"""Checkpoints at most of which Z-X is taken, to find where it is least."""

IMAGES = "the first held-out image of each class in turn, from class 0 on; then the second of each, and so on"
FIRST_IMAGES = "the first held-out images"
"""Which they are where there are no classes."""

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("site", pa.string()),
        ("zx", pa.float64()),
        ("image", pa.int64()),
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("nmse", pa.float64()),
        ("original", pa.list_(pa.uint8())),
        ("reconstruction", pa.list_(pa.uint8())),
    ]
)
"""One row per checkpoint and image. zx: of the site, over all samples; nmse: of this image, with the mean zx over all
samples. image: position in the held-out file; index: in the source. Pixels: in C order of the metadata's ``shape``."""


def write(spec: ReconstructionsSpec, subject: Subject, output: Path, labels: dict[str, Any]) -> None:
    """Write originals and reconstructions of a run at a few checkpoints, atomically.

    labels: of the run: ``architecture``, ``shortcut``, ``seed``. A run that diverged has the checkpoints at which its
    activations are finite, which may be none. Raises `UserError` for files that are missing, damaged or not of one
    another.
    """
    site = last_block(subject.sites)
    options = kernel.Options(**spec.decoder)
    found = {
        step: zx(subject.read(step, site), subject.targets, options)
        for step in progress(far_apart(subject.steps, TRIED), "reconstructions")
    }
    values = {step: one.value for step, one in found.items() if one.value is not None}
    rows = [
        row
        for step in telling(values, spec.checkpoints)
        for row in _pictures(subject, site, step, found[step], spec.images, options)
    ]
    about = {
        **labels,
        "spec": spec.to_dict(),
        "site": site.column,
        "shape": list(subject.held_out.fields[subject.x_field].shape),
        "class_names": subject.held_out.fields[subject.y_field].names,
        "images": IMAGES if subject.classifies else FIRST_IMAGES,
        "zx": {"steps": list(found), "values": [one.value for one in found.values()]},
        "n": subject.targets.n,
        **subject.status,
        "versions": versions(),
        "device": subject.device.type,
    }
    write_rows(output, pa.Table.from_pylist(rows, SCHEMA), about)


def last_block(sites: Sequence[Site]) -> Site:
    """The deepest sum before read-out and logits; where there is none, the deepest site."""
    sums = [site for site in sites if site.part == "z"]
    blocks = [site for site in sums if site.name not in OUTSIDE_BLOCKS]
    return max(blocks or sums or sites, key=lambda site: site.depth)


def telling(values: Mapping[int, float], count: int) -> list[int]:
    """At most ``count`` of the steps, ascending: first, last, where Z-X is least, then what is `far_apart` from these.

    values: step -> Z-X; of two that are least, the earlier one counts.
    """
    return far_apart(sorted(values), count, [min(sorted(values), key=values.__getitem__)] if values else [])


def far_apart(steps: Sequence[int], count: int, also: Sequence[int] = ()) -> list[int]:
    """At most ``count`` of ascending steps: first, last, those in ``also``, then whatever is farthest from all chosen.

    Far is meant in the logarithm of the step, as log-spaced checkpoints are; ties go to the earlier step.
    """
    chosen = list(dict.fromkeys([*steps[:1], *steps[-1:], *also]))[:count]
    while len(chosen) < min(count, len(steps)):
        others = [step for step in steps if step not in chosen]
        chosen.append(max(others, key=lambda step: min(abs(math.log1p(step) - math.log1p(one)) for one in chosen)))
    return sorted(chosen)


def zx(z: Tensor, targets: Targets, options: kernel.Options) -> Estimate:
    """Z-X of activations of shape (n, ...), with the decoder's bandwidth and ridge, as the `kernel` family has it."""
    return kernel.estimate(z, replace(targets, wanted=("x",)), replace(options, extrapolate=False))[0]


def reconstruct(z: Tensor, targets: Targets, chosen: Estimate, options: kernel.Options) -> Tensor:
    """X of every sample by the ``chosen`` decoder (of `zx`), fitted to all other samples; float64, shape (n, D_x).

    Activations that do not vary give the mean of the others.
    """
    inputs, groups = targets.x_numbers.given.flatten(1).double(), targets.groups
    if chosen.ridge is None or chosen.bandwidth is None:
        if groups is not None:
            return inputs - constant_group_residuals(inputs, groups)
        return inputs - (inputs - inputs.mean(0)) * (len(inputs) / (len(inputs) - 1))
    view = kernel_view(z.flatten(1), targets, Scale(options.exact_up_to, options.landmarks, options.seed))
    basis = view.kernel(chosen.bandwidth).basis
    projected = basis.vectors.T @ inputs
    rest = unreached(basis, inputs, projected)
    if groups is not None:
        return inputs - leave_groups_out(basis, projected, chosen.ridge, groups, rest)
    return inputs - leave_one_out(basis, projected, chosen.ridge, rest)


def pick(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of at most ``count`` samples, as `IMAGES` says. labels: shape (n,)."""
    by_class = np.argsort(labels, kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    rank = np.empty(len(labels), np.int64)
    rank[by_class] = np.concatenate([np.arange(size) for size in sizes])
    return np.lexsort((labels, rank))[:count]


def to_pixels(inputs: np.ndarray, split: Split, name: str = "x") -> np.ndarray:
    """Network inputs, shape (n, D_x), back to the grey values or colours of images: uint8, rounded and clipped.

    The inverse of `Split.as_read`.
    """
    images = split.unscaled(name, inputs.reshape(len(inputs), *split.fields[name].shape))
    return np.clip(np.rint(255 * images), 0, 255).astype(np.uint8)


def _pictures(
    subject: Subject, site: Site, step: int, chosen: Estimate, count: int, options: kernel.Options
) -> list[dict[str, Any]]:
    """The rows of one checkpoint."""
    targets, held_out, x, y = subject.targets, subject.held_out, subject.x_field, subject.y_field
    made = reconstruct(subject.read(step, site), targets, chosen, options)
    numbers = targets.x_numbers
    of_mean = constant_losses(numbers.values, targets.groups).mean()
    losses = (numbers.given.flatten(1).double() - made).square().sum(1) / of_mean
    known = held_out[y] if subject.classifies else None
    rows = pick(np.zeros(targets.n, np.int64) if known is None else known, count)
    stored = np.rint(held_out[x][rows] * (255 / held_out.fields[x].unit)).clip(0, 255).astype(np.uint8)
    drawn = to_pixels(made[torch.as_tensor(rows, device=made.device)].cpu().numpy(), held_out, x)
    return [
        {
            "step": step,
            "epoch": subject.epoch(step),
            "site": site.name,
            "zx": chosen.value,
            "image": int(row),
            "index": int(held_out.index[row]),
            "label": None if known is None else int(known[row]),
            "nmse": float(losses[row]),
            "original": original.ravel(),
            "reconstruction": picture.ravel(),
        }
        for row, original, picture in zip(rows, stored, drawn, strict=True)
    ]

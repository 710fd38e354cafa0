"""Read a run's activations on the held-out images at every checkpoint and site, and stream them to Parquet.

Memory holds one checkpoint's weights, one batch and one row group, whatever the size of the dump.
"""

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infoplane.activations.reduce import Reduction
from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.models.batchnorm import has_batchnorm, recalibrated
from infoplane.models.build import axes_at, build_from
from infoplane.models.sites import depths, reading, visited
from infoplane.progress import progress
from infoplane.provenance import versions
from infoplane.specs import ActivationsSpec, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.tensors import TensorWriter

ROW_GROUP_BYTES = 64 << 20
LARGEST_BATCH = 512


def dump(
    spec: ActivationsSpec,
    checkpoints: Path,
    train_split: Path,
    held_out_split: Path,
    output: Path,
    device: torch.device,
    expected: TrainSpec | None = None,
) -> None:
    """Write the activations of the held-out images, one row group per (checkpoint, batch), one column per site.

    expected: the run that the checkpoints must be of. BatchNorm statistics are recalibrated on ``spec.recalibration``
    training images first. Raises `UserError` for inputs that cannot be read or are of another run, patterns that match
    no site, and images that the network was not made for.
    """
    run = CheckpointFile(checkpoints)
    if expected:
        expected.require(run.metadata["spec"], checkpoints)
    train_spec = TrainSpec.from_dict(run.metadata["spec"])
    held_out, train = read_split(held_out_split), read_split(train_split)
    for path, split in ((train_split, train), (held_out_split, held_out)):
        if split.metadata.get("spec") != run.metadata.get("data"):
            raise UserError(
                f"{checkpoints} was trained on other data than those in {path}: delete both and run the workflow again."
            )
    x = train_spec.task.options["x"]
    network = build_from(run, held_out.fields[x], held_out_split).to(device)
    images = ResidentSplit(held_out, device, [x])
    calibration = ResidentSplit(train, device, [x]).read(x, slice(spec.recalibration))
    shapes = visited(network, images.read(x, slice(2)))
    axes = axes_at(run)
    reductions = {
        name: Reduction(name, shapes[name], axes.get(name.rpartition(".")[0], ""), spec, device)
        for name in spec.kept(list(shapes))
    }
    tensors = {name: (reduction.shape, spec.dtype) for name, reduction in reductions.items()}
    bytes_per_row = sum(math.prod(s) for s, _ in tensors.values()) * np.dtype(spec.dtype).itemsize
    batch = max(1, min(LARGEST_BATCH, ROW_GROUP_BYTES // bytes_per_row))
    metadata = _metadata(spec, run, network, shapes, reductions)
    keys = {"step": "int32", "sample": "int32"}
    with TensorWriter(output, keys, tensors, metadata) as writer, torch.no_grad():
        for step in progress(run.steps, f"activations of {output.stem}"):
            network.load_state_dict(run.load(step))
            reader = recalibrated(network, calibration)
            noise = _noise(spec, train_spec, step, images.deviations[x])
            with reading(reader) as seen:
                for start in range(0, len(images), batch):
                    count = min(batch, len(images) - start)
                    reader(noise(images.read(x, slice(start, start + count))))
                    rows = {
                        "step": np.full(count, step, np.int32),
                        "sample": np.arange(start, start + count, dtype=np.int32),
                    }
                    writer.write(rows, {name: r(seen[name]).cpu().numpy() for name, r in reductions.items()})


def _noise(spec: ActivationsSpec, run: TrainSpec, step: int, deviation: Tensor) -> Callable[[Tensor], Tensor]:
    """Make what adds this run's and checkpoint's own noise to a batch of inputs (n, *shape), in their order.

    deviation: of the inputs as they are read, the unit of the noise. Drawn on the CPU sample by sample, so that neither
    the device nor the size of a batch changes it.
    """
    if not spec.image_noise:
        return lambda images: images
    size, own = spec.image_noise * deviation, zlib.crc32(f"{spec.seed} {step} {run.to_json()}".encode())
    generator = torch.Generator().manual_seed(own)

    def noisy(images: Tensor) -> Tensor:
        drawn = torch.stack([torch.randn(images.shape[1:], generator=generator) for _ in range(len(images))])
        return images + size * drawn.to(images.device)

    return noisy


def _metadata(
    spec: ActivationsSpec,
    run: CheckpointFile,
    network: nn.Module,
    shapes: dict[str, tuple[int, ...]],
    reductions: dict[str, Reduction],
) -> dict[str, Any]:
    depth = depths(list(shapes))
    return {
        "spec": spec.to_dict(),
        "train_spec": run.metadata["spec"],
        "status": run.metadata["status"],
        "diverged_at": run.metadata["diverged_at"],
        "steps": run.steps,
        "epochs": [step / run.metadata["batches_per_epoch"] for step in run.steps],
        "batchnorm": f"recalibrated on {spec.recalibration} training images"
        if has_batchnorm(network) and spec.recalibration
        else "running statistics"
        if has_batchnorm(network)
        else "none",
        "sites": [
            {
                "name": name.rpartition(".")[0],
                "part": name.rpartition(".")[2],
                "depth": depth[name],
                "column": name,
                "shape": list(shapes[name]),
                "stored_shape": list(reduction.shape),
                "pooled_to": list(reduction.pooled) if reduction.pooled else None,
                "projection": reduction.projection,
            }
            for name, reduction in reductions.items()
        ],
        "versions": versions(),
    }

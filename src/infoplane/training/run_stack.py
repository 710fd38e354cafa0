"""Runs that differ in nothing but their seed, side by side: from a spec and two splits to the results of each."""

from collections.abc import Sequence
from pathlib import Path

import torch

from infoplane.data.samples import read_split
from infoplane.specs import StackSpec
from infoplane.training.run import Run, reproducible
from infoplane.training.stack import Stack
from infoplane.training.state import StateFolder, digest


def train_stack(
    spec: StackSpec,
    train_split: Path,
    validation_split: Path,
    outputs: Sequence[tuple[Path, Path]],
    state_folder: Path,
    device: torch.device,
) -> None:
    """Train one network per seed and write the checkpoints and the history of each, as `infoplane.training.run.train`.

    outputs: checkpoints and history of each seed, in the order of ``spec.seeds``. A member that diverges ends there,
    the others go on. Raises `UserError` for splits that cannot be read.
    """
    reproducible()
    images, validation = read_split(train_split), read_split(validation_split)
    folder = StateFolder(state_folder / digest(spec, Path(__file__), train_split, validation_split))
    run = Run(spec.runs, Stack(spec, images, validation, device), images, folder, device)
    run.to_the_end()
    run.write(outputs)

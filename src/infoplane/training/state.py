"""What an interrupted run needs to go on exactly where it was.

Kept in a folder of its own, outside the workflow's declared outputs (which a retry would delete), named by a digest
of everything the run depends on, and removed when the run is done. Batches and noise are functions of (seed, step),
so weights, optimiser state and the step are the whole state.
"""

import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from infoplane.errors import UserError
from infoplane.reuse import fingerprint
from infoplane.specs import StackSpec, TrainSpec
from infoplane.storage.checkpoints import read_tensors, write_tensors


def digest(spec: TrainSpec | StackSpec, code: Path, *data: Path) -> str:
    """Digits that tell apart the spec, the data, and all source code behind the run, of which ``code`` is the entry."""
    return fingerprint(spec, code, spec.plugins, *data)


class StateFolder:
    """The saved state of one run: the latest resumable state, and the checkpoints made so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = folder / "state.safetensors"

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The latest state, or None when there is none that can be read."""
        if not self.latest.exists():
            return None
        try:
            return read_tensors(self.latest)
        except UserError:
            return None  # starting again only costs time, so it is better than an error

    def save(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Replace the latest state."""
        write_tensors(self.latest, tensors, values)

    def checkpoint_path(self, step: int) -> Path:
        return self.folder / f"checkpoint{step:08d}.safetensors"

    def remove(self) -> None:
        """Remove the saved state: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

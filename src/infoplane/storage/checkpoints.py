"""A run's checkpoints in one safetensors file that can be read one checkpoint at a time.

Tensor names are ``{step:08d}/{name}``; all metadata is one JSON string under one key, because safetensors keeps
several keys in no fixed order and files must be the same to the bit.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from infoplane.errors import UserError
from infoplane.specs import canonical
from infoplane.storage.atomic import atomic_path

KEY = "infoplane"


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write named tensors and a JSON object, atomically."""
    with atomic_path(path) as temporary:
        try:
            save_file(
                {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
                temporary,
                metadata={KEY: canonical(metadata)},
            )
            temporary.chmod(0o666 & ~_umask())  # safetensors makes files that only their owner can read
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to make it.") from None
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a complete safetensors file ({error}): delete it and run the workflow again."
        ) from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a file and its JSON object; raises `UserError` when it is missing or truncated."""
    with _open(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()[KEY])  # noqa: SIM118


def checkpoint_name(step: int, name: str) -> str:
    """The name of one tensor of one checkpoint."""
    return f"{step:08d}/{name}"


class CheckpointFile:
    """A run's checkpoints, opened for reading; raises `UserError` when the file is missing, truncated or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        found = (self._file.metadata() or {}).get(KEY)
        if found is None:
            raise UserError(f"{path} was not written by infoplane: it has no '{KEY}' metadata.")
        self.metadata: dict[str, Any] = json.loads(found)
        self.steps: list[int] = self.metadata["steps"]

    def load(self, step: int) -> dict[str, Tensor]:
        """One checkpoint's state dict; nothing else is read."""
        prefix = checkpoint_name(step, "")
        names = [name for name in self._file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): self._file.get_tensor(name) for name in names}

"""A run's checkpoints in one safetensors file that can be read one checkpoint at a time.

Tensor names are ``{step:08d}/{name}``; all metadata is one JSON string under one key, because safetensors keeps
several keys in no fixed order and files must be the same to the bit. There is a digest of every checkpoint, and one of
the metadata, digests included: what is read is what was written.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from infoplane.errors import UserError
from infoplane.specs import canonical
from infoplane.storage.atomic import atomic_path
from infoplane.storage.parquet import AGAIN

KEY = "infoplane"


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write named tensors and a JSON object, atomically."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = metadata | {"digests": {prefix: _digest(group) for prefix, group in _groups(kept).items()}}
    sealed["digest"] = hashlib.sha256(canonical(sealed).encode()).hexdigest()
    with atomic_path(path) as temporary:
        try:
            save_file(kept, temporary, metadata={KEY: canonical(sealed)})
            temporary.chmod(0o666 & ~_umask())  # safetensors makes files that only their owner can read
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def _groups(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each checkpoint, by what stands before the first slash of their names; empty for those without."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(name.partition("/")[0] if "/" in name else "", {})[name] = tensor
    return groups


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


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
        raise UserError(f"{path} is not a complete safetensors file ({error}): {AGAIN}.") from None


def _metadata(file: Any, path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The file's JSON object, and the digest of each checkpoint."""
    found = (file.metadata() or {}).get(KEY)
    if found is None:
        raise UserError(f"{path} was not written by infoplane: it has no '{KEY}' metadata.")
    try:
        values = json.loads(found)
        digest, digests = values.pop("digest", None), values.get("digests")
        damaged = digest is not None and hashlib.sha256(canonical(values).encode()).hexdigest() != digest
    except ValueError:
        damaged = True
    if damaged:
        raise UserError(f"{path} is damaged (its metadata are not what was written): {AGAIN}.")
    if digest is None:
        raise UserError(f"{path} was written by an older version of infoplane: {AGAIN}.")
    del values["digests"]
    return values, digests


def _checked(path: Path, tensors: dict[str, Tensor], digests: dict[str, str]) -> dict[str, Tensor]:
    """The tensors, if they are what was written under these digests."""
    found = {prefix: _digest(group) for prefix, group in _groups(tensors).items()}
    if found != digests:
        raise UserError(f"{path} is damaged (its values are not what was written): {AGAIN}.")
    return tensors


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a file and its JSON object; raises `UserError` when it is missing, foreign or damaged."""
    with _open(path) as file:
        values, digests = _metadata(file, path)
        return _checked(path, {name: file.get_tensor(name) for name in file.keys()}, digests), values  # noqa: SIM118


def checkpoint_name(step: int, name: str) -> str:
    """The name of one tensor of one checkpoint."""
    return f"{step:08d}/{name}"


class CheckpointFile:
    """A run's checkpoints, opened for reading; raises `UserError` when the file is missing, truncated or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        self.metadata, self._digests = _metadata(self._file, self.path)
        self.steps: list[int] = self.metadata["steps"]

    def load(self, step: int) -> dict[str, Tensor]:
        """One checkpoint's state dict; nothing else is read. Raises `UserError` when it is damaged."""
        prefix = checkpoint_name(step, "")
        names = [name for name in self._file.keys() if name.startswith(prefix)]  # noqa: SIM118
        digests = {key: digest for key, digest in self._digests.items() if f"{key}/" == prefix}
        read = _checked(self.path, {name: self._file.get_tensor(name) for name in names}, digests)
        return {name.removeprefix(prefix): tensor for name, tensor in read.items()}

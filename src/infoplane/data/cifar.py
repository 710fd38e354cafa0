"""The binary version of CIFAR-10 and CIFAR-100.

Layout: records of one label byte (CIFAR-100: the coarse, then the fine label) and 3 x 32 x 32 pixel bytes,
the red plane first. Source: Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html. The Python version of the
same files is pickled; unpickling runs whatever the file says, so it is not read.
"""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infoplane.data.download import Remote, fetch
from infoplane.data.samples import Samples
from infoplane.errors import UserError

PUBLISHER = "https://www.cs.toronto.edu/~kriz/"
SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Archive:
    """Where one of the two data sets keeps what."""

    file: str
    md5: str
    unpacked: str
    """The folder that the archive holds."""
    batches: tuple[str, ...]
    names: str
    """The file of class names, one a line."""
    label_bytes: int
    label: int
    """Which of the label bytes is the label."""


def load_cifar(folder: Path, name: str, archive: Archive) -> Samples:
    """The official training images, then the test images.

    From the unpacked archive where it is in ``folder``, else from the archive itself, downloaded where missing.
    Raises `UserError` for files that are missing, truncated or something else.
    """
    files = _read(folder, name, archive)
    width = archive.label_bytes + int(np.prod(SHAPE))
    batches = []
    for batch in archive.batches:
        raw = files[batch]
        if len(raw) == 0 or len(raw) % width:
            unpacked = folder / archive.unpacked
            raise UserError(
                f"{unpacked / batch} is damaged: its {len(raw)} bytes are not whole records of {width}; "
                f"delete {unpacked} and run again."
            )
        batches.append(np.frombuffer(raw, np.uint8).reshape(-1, width))
    labels = np.concatenate([batch[:, archive.label] for batch in batches]).astype(np.int64)
    pixels = np.concatenate([batch[:, archive.label_bytes :] for batch in batches])
    source = f"{name}: the official training and test images, pooled, from {PUBLISHER}{archive.file}."
    names = tuple(files[archive.names].decode(errors="replace").split())
    return Samples({"x": pixels.reshape(-1, *SHAPE), "y": labels}, source, {"y": names})


def _read(folder: Path, name: str, archive: Archive) -> dict[str, bytes]:
    wanted = (*archive.batches, archive.names)
    unpacked = folder / archive.unpacked
    if unpacked.is_dir():
        for file in wanted:
            if not (unpacked / file).is_file():
                raise UserError(f"{unpacked} has no file {file}: unpack {archive.file} there again.")
        return {file: (unpacked / file).read_bytes() for file in wanted}
    (path,) = fetch((Remote(archive.file, archive.md5, (PUBLISHER,)),), folder, name)
    try:
        with tarfile.open(path, "r:gz") as tar:
            found = {}
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None and Path(member.name).name in wanted:
                    found[Path(member.name).name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path} cannot be unpacked ({error}): delete it and run again.") from None
    missing = [file for file in wanted if file not in found]
    if missing:
        raise UserError(f"{path} has no file {', '.join(missing)}: delete it and run again.")
    return found

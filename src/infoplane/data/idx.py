"""The idx format of MNIST and its likes.

Layout: two zero bytes, a type byte (8: unsigned bytes), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in C order. Source: http://yann.lecun.com/exdb/mnist/.
"""

import gzip
from pathlib import Path

import numpy as np

from infoplane.data.download import Remote, fetch
from infoplane.data.samples import Samples
from infoplane.errors import UserError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def load_idx(
    folder: Path, name: str, md5s: tuple[str, ...], mirrors: tuple[str, ...], classes: tuple[str, ...]
) -> Samples:
    """The official training images, then the test images.

    From the plain files where they are in ``folder``, else from the ``.gz`` files, downloaded where missing.
    Raises `UserError` for files that are missing, truncated or something else.
    """
    plain = [folder / file for file in FILES]
    if all(path.is_file() for path in plain):
        paths = plain
    else:
        remotes = (Remote(f"{file}.gz", md5, mirrors) for file, md5 in zip(FILES, md5s, strict=True))
        paths = fetch(tuple(remotes), folder, name)
    train, test = _read_pair(*paths[:2]), _read_pair(*paths[2:])
    if train[0].shape[1:] != test[0].shape[1:]:
        raise UserError(f"{paths[0]} and {paths[2]} hold images of different sizes.")
    pixels = np.concatenate([train[0], test[0]])[:, np.newaxis]
    labels = np.concatenate([train[1], test[1]]).astype(np.int64)
    source = f"{name}: the official training and test images, pooled, from {mirrors[0]}."
    return Samples({"x": pixels, "y": labels}, source, {"y": classes})


def _read_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, targets = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(targets):
        raise UserError(f"{images} holds {len(pixels)} images, but {labels} holds {len(targets)} labels.")
    return pixels, targets


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """A uint8 array with this many dimensions; raises `UserError` for anything else."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < 4 + 4 * dimensions:
        raise UserError(f"{path} is not an idx file of bytes in {dimensions} dimension(s): delete it and run again.")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">i4", dimensions, 4))
    start = 4 + 4 * dimensions
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(raw) != expected:
        raise UserError(
            f"{path} is damaged: it has {len(raw)} bytes, and its header announces {expected}; delete it and run again."
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)

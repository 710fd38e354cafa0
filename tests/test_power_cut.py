"""A power cut leaves every result that has its name whole, on a file system of our own in a file.

ext4 writes names down soon and contents late. Asked to bring any one file to the disk it writes down all new names,
with nothing behind those of which nobody waited for the content. A copy of the disk at that moment is what a power cut
leaves: it is mounted and read.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from infoplane.reuse import Shelf
from infoplane.storage.atomic import write_text
from infoplane.storage.checkpoints import read_tensors, write_tensors
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.storage.tensors import TensorFile, TensorWriter

MEGABYTES = 32
VALUES = np.arange(4000.0)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    try:
        return subprocess.run(list(map(str, command)), text=True, capture_output=True, env=os.environ | {"PATH": path})
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(list(command), 127, "", str(error))


def mount(image: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    return run("mount", "-o", "loop", image, folder)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The image of a disk, and where it is mounted."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    image.touch()
    os.truncate(image, MEGABYTES << 20)
    for done in (run("mkfs.ext4", "-q", image), mount(image, folder)):
        if done.returncode:
            pytest.skip(f"no file system in a file can be mounted here (root and loop devices): {done.stderr}")
    yield image, folder
    run("umount", folder)


def write(folder: Path) -> None:
    """A result of each kind, as the jobs write them."""
    write_text(folder / "charts" / "chart.svg", "x" * 30_000)
    write_rows(folder / "tables" / "rows.parquet", pa.table({"value": VALUES}), {"spec": 1})
    write_tensors(folder / "train" / "c.safetensors", {"w": torch.tensor(VALUES)}, {"steps": [0]})
    with TensorWriter(folder / "dumps" / "a.parquet", {"step": "int32"}, {"z": ((10,), "float64")}, {}) as writer:
        writer.write({"step": np.zeros(400)}, {"z": VALUES.reshape(400, 10)})
    shelf = Shelf(folder / ".shared")
    shelf.keep("ab12", [folder / "tables" / "rows.parquet"])
    assert shelf.take("ab12", [folder / "second" / "rows.parquet"])


def left(image: Path, folder: Path, tmp_path: Path) -> Path:
    """What lies on the disk while others go on: the files after a power cut, mounted."""
    (folder / "other").touch()
    opened = os.open(folder / "other", os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
    copied, after = tmp_path / "copy.img", tmp_path / "after"
    shutil.copyfile(image, copied)
    done = mount(copied, after)
    assert done.returncode == 0, done.stderr
    return after


def test_every_finished_file_is_there_and_whole(disk: tuple[Path, Path], tmp_path: Path) -> None:
    write(disk[1])
    after = left(*disk, tmp_path)
    try:
        assert (after / "charts" / "chart.svg").read_text() == "x" * 30_000
        for name in ("tables", "second"):
            assert read_rows(after / name / "rows.parquet")[0]["value"].to_numpy().tolist() == VALUES.tolist()
        assert read_tensors(after / "train" / "c.safetensors")[0]["w"].tolist() == VALUES.tolist()
        assert TensorFile(after / "dumps" / "a.parquet").tensor("z").ravel().tolist() == VALUES.tolist()
        assert Shelf(after / ".shared").take("ab12", [tmp_path / "taken.parquet"])
    finally:
        run("umount", after)


def test_without_waiting_for_the_disk_this_would_be_seen(
    disk: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("infoplane.storage.atomic.os.fsync", lambda opened: None)
        write(disk[1])
    after = left(*disk, tmp_path)
    try:
        assert [path for path in after.rglob("*.*") if path.is_file() and not path.stat().st_size]
    finally:
        run("umount", after)

"""A user's own images, in a workflow: what reruns when a file changes, and what is found before anything runs."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sources import encode, write_shard
from workflow import Workflow, tiny

from infoplane.given import files
from infoplane.given.record import in_short, record

FOLDER = "photos [1] {m}"
PATHS = {"image_folder": FOLDER, "image_parquet": "~/shards/**/*.parquet"}
SIZES = {"train": 24, "held_out": 10, "validation": 6}
AFTER_DATA = {"train": 1, "activations": 1, "measures": 1, "tables": 1, "phases": 1, "charts": 1, "report": 1}
ALL = {"data": 1, **AFTER_DATA}


def picture(number: int) -> bytes:
    return encode(np.random.default_rng(number).integers(0, 256, (3, 8, 8), np.uint8))


def experiment(**data: Any) -> dict[str, Any]:
    """One run of one measure on a user's own images."""
    return tiny() | {
        "data": {"kind": "image_folder", "path": FOLDER, "classes": 2, "side": 8} | SIZES | data,
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"identity": None},
        "measures": {"linear": None},
        "charts": {"information_plane": None},
        "reconstructions": {"images": 0},
        "histograms": {"bins": 0},
    }


def write_images(root: Path) -> None:
    for number in range(40):
        path = root / FOLDER / ("cat", "the dog's")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))


def write_shards(root: Path) -> None:
    for shard in range(2):
        rows = range(20 * shard, 20 * shard + 20)
        write_shard(root / "shards" / f"{shard}" / "all.parquet", [picture(n) for n in rows], [n % 2 for n in rows])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The workflow, run to the end on a folder of images as far as Snakemake can tell; shards beside it."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("own-images"), experiment())
    write_images(workflow.root)
    write_shards(workflow.root)
    workflow.hollow()
    return workflow


@pytest.fixture
def images(done: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the images of both kinds; what a test does to them is put back."""
    monkeypatch.setenv("HOME", str(done.root))
    for name in (FOLDER, "shards"):
        shutil.copytree(done.root / name, tmp_path / name)
    yield done.root
    for name in (FOLDER, "shards"):
        shutil.rmtree(done.root / name)
        shutil.copytree(tmp_path / name, done.root / name)


@pytest.fixture
def finished(done: Workflow, images: Path) -> Workflow:
    return done


def replaced(path: Path) -> None:
    """Another image of the same size and as old, as `cp -p` and `unzip` leave them."""
    before = path.stat()
    other = bytearray(path.read_bytes())
    other[-20] ^= 1
    path.unlink()
    path.write_bytes(other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, tuple[str, Callable[[Path], object], bool]] = {
    "nothing": ("image_folder", lambda home: None, False),
    "an image touched": ("image_folder", lambda home: (home / FOLDER / "cat" / "00.png").touch(), False),
    "a text beside them": ("image_folder", lambda home: (home / FOLDER / "cat" / "why.txt").write_text("-"), False),
    "a notebook's copy": ("image_folder", lambda home: shutil.copytree(
        home / FOLDER / "cat", home / FOLDER / "cat" / ".ipynb_checkpoints"), False),
    "an image replaced": ("image_folder", lambda home: replaced(home / FOLDER / "cat" / "00.png"), True),
    "an image added": ("image_folder", lambda home: shutil.copy2(
        home / FOLDER / "cat" / "00.png", home / FOLDER / "cat" / "99.webp"), True),
    "an image deleted": ("image_folder", lambda home: (home / FOLDER / "cat" / "02.png").unlink(), True),
    "an image of another class": ("image_folder", lambda home: (home / FOLDER / "cat" / "02.png").rename(
        home / FOLDER / "the dog's" / "02.png"), True),
    "a shard touched": ("image_parquet", lambda home: (home / "shards" / "1" / "all.parquet").touch(), False),
    "a shard replaced": ("image_parquet", lambda home: replaced(home / "shards" / "1" / "all.parquet"), True),
    "a shard added": ("image_parquet", lambda home: shutil.copytree(
        home / "shards" / "1", home / "shards" / "2"), True),
    "a shard deleted": ("image_parquet", lambda home: (home / "shards" / "1" / "all.parquet").unlink(), True),
}  # fmt: skip


def held(kind: str) -> str:
    """What the rule is given as a parameter."""
    return in_short(record(files.of(kind, PATHS[kind]), kind == "image_folder"))


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts_as_a_change(change: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, make, stale = CHANGES[change]
    monkeypatch.chdir(images)
    before = held(kind)
    make(images)
    assert (held(kind) != before) == stale


@pytest.mark.parametrize(
    ("changes", "reruns"),
    [
        (["an image touched", "a text beside them", "a notebook's copy"], {}),
        (["an image replaced"], ALL),
    ],
)
def test_what_a_changed_file_reruns(
    changes: list[str], reruns: dict[str, int], finished: Workflow, images: Path
) -> None:
    finished.write(experiment())
    for change in changes:
        CHANGES[change][1](images)
    groups = finished.why()
    assert {group["rule"]: group["jobs"] for group in groups} == reruns
    if reruns:
        (reason,) = groups[0]["reasons"]
        assert reason.startswith('the files of data.path: "') and " files, digest " in reason


def test_images_that_are_not_there_are_found_before_anything_runs(finished: Workflow) -> None:
    finished.write(experiment(path="nowhere"))
    said = finished.snakemake("-n", check=False)
    assert said.returncode == 2
    assert "error: data.path: data set 'image_folder': nowhere does not exist: set `path` to where" in said.stdout

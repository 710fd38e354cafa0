"""Each data set's format: what is read is what was published; downloads come from a server of our own."""

import http.server
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from data_sources import SAMPLES, encode, local_cifar100, make_archive, some_images, write_idx, write_shard
from PIL import Image

from infoplane import registry
from infoplane.data import torchvision_shim
from infoplane.data.cifar import load_cifar
from infoplane.data.download import Remote, fetch
from infoplane.data.idx import FILES
from infoplane.data.samples import Samples
from infoplane.errors import UserError


def test_idx_pools_training_and_test_images_in_order(tmp_path: Path) -> None:
    module = registry.load("data set", "fashion_mnist")
    pixels, labels = some_images(SAMPLES, (1, 28, 28), 10)
    write_idx(tmp_path / "FashionMNIST" / "raw", pixels, labels)
    images = module.load(module.Options(), tmp_path)
    assert np.array_equal(images["x"], pixels) and np.array_equal(images["y"], labels)


def test_idx_reads_the_compressed_files_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.load("data set", "mnist")
    pixels, labels = some_images(SAMPLES, (1, 28, 28), 10)
    monkeypatch.setattr(module, "MD5S", write_idx(tmp_path / "MNIST" / "raw", pixels, labels, compress=True))
    images = module.load(module.Options(), tmp_path)
    assert np.array_equal(images["x"], pixels) and np.array_equal(images["y"], labels)


@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_cifar100_has_two_labels(labels: str, tmp_path: Path) -> None:
    module = registry.load("data set", "cifar100")
    local_cifar100(module, tmp_path)
    pixels, coarse = some_images(SAMPLES, (3, 32, 32), 20)
    options = module.Options(labels=labels)
    images = module.load(options, tmp_path)
    assert np.array_equal(images["x"], pixels)
    assert np.array_equal(images["y"], coarse if labels == "coarse" else coarse * 5 + 3)
    assert len(images.names["y"]) == options.fields["y"].classes


def test_cifar_archive_is_read_where_it_lies_without_unpacking(tmp_path: Path) -> None:
    module = registry.load("data set", "cifar10")
    path, md5 = make_archive(module, tmp_path)
    images = load_cifar(tmp_path, "cifar10", replace(module.ARCHIVE, md5=md5))
    pixels, labels = some_images(SAMPLES, (3, 32, 32), 10)
    assert np.array_equal(images["x"], pixels) and np.array_equal(images["y"], labels)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, "unpacked"]


# Downloads, from a server on this machine


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that is served over HTTP, and its address."""
    monkeypatch.setenv("no_proxy", "*")
    root = tmp_path / "published"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(root))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield root, f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


def test_mnist_is_downloaded_once_from_the_first_mirror_that_answers(
    tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, address = server
    module = registry.load("data set", "mnist")
    pixels, labels = some_images(SAMPLES, (1, 28, 28), 10)
    monkeypatch.setattr(module, "MD5S", write_idx(root, pixels, labels, compress=True))
    monkeypatch.setattr(module, "MIRRORS", (f"{address}nowhere/", address))
    images = module.load(module.Options(), tmp_path / "datasets")
    assert np.array_equal(images["x"], pixels) and np.array_equal(images["y"], labels)
    raw = tmp_path / "datasets" / "MNIST" / "raw"
    assert sorted(p.name for p in raw.iterdir()) == sorted(f"{file}.gz" for file in FILES)

    for file in root.iterdir():
        file.unlink()
    again = module.load(module.Options(), tmp_path / "datasets")
    assert np.array_equal(again["x"], pixels)


def test_cifar10_is_downloaded(tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, address = server
    module = registry.load("data set", "cifar10")
    _, md5 = make_archive(module, root)
    monkeypatch.setattr("infoplane.data.cifar.PUBLISHER", address)
    monkeypatch.setattr(module, "ARCHIVE", replace(module.ARCHIVE, md5=md5))
    images = module.load(module.Options(), tmp_path / "datasets")
    assert np.array_equal(images["x"], some_images(SAMPLES, (3, 32, 32), 10)[0])


def test_a_download_that_is_not_the_official_file_is_not_kept(tmp_path: Path, server: tuple[Path, str]) -> None:
    root, address = server
    (root / "data.gz").write_bytes(b"half of it")
    with pytest.raises(UserError, match=r"'some' cannot be downloaded \(.*corrupted"):
        fetch((Remote("data.gz", "0" * 32, (address,)),), tmp_path / "datasets", "some")
    assert not list((tmp_path / "datasets").iterdir())


def test_where_and_what_to_download_is_what_torchvision_knows() -> None:
    datasets = torchvision_shim.import_torchvision("datasets")
    for name, official in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        module = registry.load("data set", name)
        assert official.resources == [(f"{file}.gz", md5) for file, md5 in zip(FILES, module.MD5S, strict=True)]
        assert list(module.MIRRORS) == official.mirrors


# torchvision beside another build of torch


def test_the_shim_declares_an_operator_only_for_exactly_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    declared: list[str] = []
    answers: list[Any] = []

    def importing(name: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return name, answer

    monkeypatch.setattr(torchvision_shim, "importlib", SimpleNamespace(import_module=importing))
    monkeypatch.setattr(torchvision_shim, "_declare", declared.append)

    answers[:] = ["at once"]
    assert torchvision_shim.import_torchvision() == ("torchvision", "at once") and not declared
    for other in (
        RuntimeError("operator torchvision::roi_align does not exist"),
        RuntimeError("operator torchvision::nms does not exist, and more"),
        ImportError("no torchvision"),
    ):
        answers[:] = [other]
        with pytest.raises(type(other), match=str(other)):
            torchvision_shim.import_torchvision()
        assert not declared
    answers[:] = [RuntimeError(f"operator torchvision::{name} does not exist") for name in ("nms", "qnms")] + ["then"]
    assert torchvision_shim.import_torchvision("datasets") == ("torchvision.datasets", "then")
    assert declared == ["nms", "qnms"]


# Encoded images


def load_parquet(**options: Any) -> Samples:
    module = registry.load("data set", "image_parquet")
    return module.load(module.Options(**options), Path("unused"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("column, struct", [("img", True), ("image", True), ("image", False)])
def test_shards_are_read_as_pillow_reads_them(kind: str, column: str, struct: bool, tmp_path: Path) -> None:
    pixels, labels = some_images(1500, (3, 8, 8), 10)
    encoded: list[bytes | None] = [encode(image, kind) for image in pixels]
    for shard, rows in enumerate((slice(0, 1100), slice(1100, 1500))):
        write_shard(tmp_path / f"{shard}.parquet", encoded[rows], labels[rows], column, struct, row_group_size=700)
    images = load_parquet(path=str(tmp_path), side=8)
    rows = np.random.default_rng(0).permutation(1500)[:900]
    expected = [np.asarray(Image.open(io.BytesIO(encoded[row] or b""))).transpose(2, 0, 1) for row in rows]
    assert np.array_equal(images["x"][rows], expected)
    assert np.array_equal(images["y"], labels)
    if kind == "PNG":
        assert np.array_equal(images["x"][rows], pixels[rows])
    assert images.locate(1101) == f"row 1 of {tmp_path / '1.parquet'}"


def test_a_glob_picks_shards(tmp_path: Path) -> None:
    pixels, _ = some_images(4, (3, 8, 8), 2)
    encoded: list[bytes | None] = [encode(image) for image in pixels]
    write_shard(tmp_path / "a" / "train-0.parquet", encoded, [0, 1, 0, 1])
    write_shard(tmp_path / "b" / "train-1.parquet", encoded, [1, 1, 1, 1])
    write_shard(tmp_path / "b" / "test-0.parquet", encoded, [0, 0, 0, 0])
    assert load_parquet(path=f"{tmp_path}/*/train-*.parquet", side=8)["y"].tolist() == [0, 1, 0, 1, 1, 1, 1, 1]
    assert load_parquet(path=f"{tmp_path}/b/test-0.parquet", side=8)["y"].tolist() == [0, 0, 0, 0]


def test_only_the_images_that_are_asked_for_are_decoded(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.parquet", [encode(np.full((3, 8, 8), 9, np.uint8)), b"not an image"], [0, 1])
    images = load_parquet(path=str(tmp_path), side=8)
    assert np.all(images["x"][np.array([0])] == 9)
    with pytest.raises(UserError, match="row 1 of"):
        images["x"][np.array([1])]


def test_class_names_come_from_the_hub_where_it_left_them(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "0.parquet", [encode(some_images(1, (3, 8, 8), 1)[0][0])] * 2, [0, 1])
    assert "y" not in load_parquet(path=str(path), side=8, classes=2).names
    table = pq.read_table(path)
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)
    assert load_parquet(path=str(path), side=8, classes=2).names["y"] == ("cat", "dog")


@pytest.mark.parametrize("stored", ["L", "RGBA", "P", "LA", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_converted_to_grey_or_colour(stored: str, channels: int, tmp_path: Path) -> None:
    encoded = encode(some_images(1, (3, 8, 8), 1)[0][0], "PNG", stored)
    write_shard(tmp_path / "0.parquet", [encoded], [0])
    found = load_parquet(path=str(tmp_path), side=8, channels=channels)["x"][np.array([0])]
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("L" if channels == 1 else "RGB"))
    assert np.array_equal(found[0], expected.reshape(8, 8, channels).transpose(2, 0, 1))


def test_images_are_resized_as_asked(tmp_path: Path) -> None:
    wide = np.zeros((3, 8, 24), np.uint8)
    wide[:, :, 6:18] = 200  # the filter reads a little beyond the middle third
    write_shard(tmp_path / "0.parquet", [encode(wide)], [0])
    cropped = load_parquet(path=str(tmp_path), side=4, resize="crop")["x"][np.array([0])]
    assert cropped.shape == (1, 3, 4, 4) and np.all(cropped == 200)
    stretched = load_parquet(path=str(tmp_path), side=4, resize="stretch")["x"][np.array([0])]
    assert stretched.shape == (1, 3, 4, 4) and stretched.min() < 50 < 150 < stretched.max()


def test_a_folder_s_classes_are_its_sub_folders_by_name(tmp_path: Path) -> None:
    module = registry.load("data set", "image_folder")
    pixels, _ = some_images(4, (3, 8, 8), 1)
    for number, file in enumerate(("b/1.png", "a/deep/2.JPG", "a/1.jpeg", "b/2.PNG")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(encode(pixels[number], "PNG" if "png" in file.lower() else "JPEG"))
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    images = module.load(module.Options(path=str(tmp_path), classes=2, side=8), Path("unused"))
    assert images.names["y"] == ("a", "b") and images["y"].tolist() == [0, 0, 1, 1]
    assert images.locate(1) == str(tmp_path / "a/deep/2.JPG")
    assert np.array_equal(images["x"][np.array([3, 2])], pixels[[3, 0]])

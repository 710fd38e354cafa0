"""Fields: what a data set declares of its samples, and how split files, batches and networks follow it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from data_sources import paths

from infoplane import registry
from infoplane.data.prepare import mean_and_deviation, prepare
from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import Samples, Split, read_split
from infoplane.errors import UserError
from infoplane.models.build import build
from infoplane.options import Field, Fields, NoOptions, image, label, vector
from infoplane.specs import DataSpec, Plugin
from infoplane.storage.tensors import TensorWriter

CPU = torch.device("cpu")
N = 200
FIELDS: Fields = {
    "x": Field((2,), "d", "float32"),
    "y": label(3, ("a", "b", "c")),
    "wave": Field((2, 40), "ct", "float32"),
    "heard": Field((1, 5, 6), "cft", "float32", scale="none"),
    "words": Field((4,), "t", "int64", classes=7),
}


def values() -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "x": (random.normal(size=(N, 2)) * (1, 1e-3) + (0, 5)).astype(np.float32),
        "y": np.arange(N) % 3,
        "wave": random.normal(size=(N, 2, 40)).astype(np.float32),
        "heard": random.exponential(size=(N, 1, 5, 6)).astype(np.float32),
        "words": random.integers(0, 7, (N, 4)),
    }


Splits = Callable[..., dict[str, Split]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Split a data set of these fields and arrays."""

    def splits(fields: Fields, arrays: dict[str, Any], **sizes: Any) -> dict[str, Split]:
        options = type("Options", (NoOptions,), {"fields": fields, "size": None})
        module = SimpleNamespace(Options=options, load=lambda options, folder: Samples(arrays, "made: here."))
        monkeypatch.setattr(registry, "load", lambda role, kind: module)
        wanted = {"held_out": 40, "validation": 30, "train": None, "seed": 0} | sizes
        prepare(DataSpec(Plugin("made"), **wanted), tmp_path, paths(tmp_path))
        return {name: read_split(path) for name, path in paths(tmp_path).items()}

    return splits


def test_every_field_is_stored_as_it_is_given(made: Splits) -> None:
    given = values()
    for split in made(FIELDS, given).values():
        assert split.fields == FIELDS
        for name, array in given.items():
            assert split[name].dtype == array.dtype and np.array_equal(split[name], array[split.index])
        assert np.abs(np.bincount(split["y"]) - len(split) / 3).max() <= 1  # the first field of classes decides


def test_floats_are_scaled_feature_by_feature_and_sound_channel_by_channel(made: Splits) -> None:
    train = made(FIELDS, values())["train"]
    batch = ResidentSplit(train, CPU).batch(slice(None))
    for name, over in (("x", 0), ("wave", (0, 2))):
        seen = batch[name].numpy()
        np.testing.assert_allclose(seen.mean(over), 0, atol=1e-3)
        np.testing.assert_allclose(seen.std(over), 1, rtol=1e-3)
        np.testing.assert_allclose(seen, train.as_read(name), atol=2e-3)
        np.testing.assert_allclose(train.unscaled(name, train.as_read(name)), train[name], atol=1e-6)
    assert np.array_equal(batch["heard"].numpy(), train["heard"])
    assert batch["words"].dtype == torch.int64 and np.array_equal(batch["words"].numpy(), train["words"])


def test_without_classes_samples_are_drawn_evenly(made: Splits) -> None:
    split = made({"x": FIELDS["x"], "y": FIELDS["wave"]}, {"x": values()["x"], "y": values()["wave"]})
    index = np.concatenate([one.index for one in split.values()])
    assert np.array_equal(np.sort(index), np.arange(N)) and len(split["held_out"]) == 40


def test_an_image_of_bytes_is_scaled_by_exact_sums_and_one_of_floats_likewise() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 3, 4, 5), np.uint8)
    exact = mean_and_deviation(pixels, image(3, 4, 5))
    close = mean_and_deviation((pixels / 255).astype(np.float32), Field((3, 4, 5), "chw", "float32"))
    np.testing.assert_allclose(exact, close, rtol=1e-6)
    assert mean_and_deviation(np.full((9, 2), 0.1, np.float32), Field((2,), "d", "float32"))[1] == [1.0, 1.0]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"x": values()["x"]}, "loads x, but declares the fields x, y: make both the same"),
    (
        {"x": values()["x"].astype(np.float64), "y": values()["y"]},
        "x holds float64 of shape (200, 2), expected float32",
    ),
    ({"x": values()["wave"], "y": values()["y"]}, "expected float32 of shape (200, 2): 2 (features), one for each"),
    ({"x": np.where(values()["x"] > 2, np.nan, values()["x"]), "y": values()["y"]}, "has NaN or infinity in 'x'"),
    (
        {"x": values()["x"], "y": values()["y"] + 1},
        "sample 2 has the class 3 in 'y', outside 0..2, and 65 more",
    ),
]


@pytest.mark.parametrize(("arrays", "sentence"), WRONG, ids=["missing", "float64", "shape", "NaN", "class"])
def test_arrays_that_are_not_what_is_declared(made: Splits, arrays: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        made({"x": FIELDS["x"], "y": FIELDS["y"]}, arrays)
    assert sentence in str(caught.value)


def test_a_field_that_no_file_could_hold(made: Splits) -> None:
    with pytest.raises(UserError, match="has a field 'index', which every split file has anyway: rename it"):
        made({"x": FIELDS["x"], "index": FIELDS["y"]}, {"x": values()["x"], "index": values()["y"]})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (((2, 3), "t", "float32"), "axes must name each size"),
        (((2, 3), "tt", "float32"), "axes must name each size"),
        (((2,), "q", "float32"), "one letter of c, h, w, t, f, d, got 'q'"),
        (((0,), "d", "float32"), "every size must be at least 1"),
        (((), "", "int64"), "whole numbers"),
        (((2,), "d", "float32", 3), "whole numbers"),
        (((), "", "int64", 1), "classes must be at least 2"),
    ],
)
def test_a_field_is_checked(values: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Field(*values)


def test_a_field_is_read_back_from_json() -> None:
    for field in FIELDS.values():
        assert Field.from_dict(field.to_dict()) == field


def test_a_split_of_an_earlier_version_is_recognised(tmp_path: Path) -> None:
    about = {"shape": [1, 2, 2], "classes": 2, "class_names": None, "split": "train", "mean": [0.0], "std": [1.0]}
    keys, tensors = {"index": "int64", "label": "int64"}, {"image": ((1, 2, 2), "uint8")}
    with TensorWriter(tmp_path / "train.parquet", keys, tensors, about) as writer:
        writer.write({"index": np.arange(2), "label": np.arange(2)}, {"image": np.zeros((2, 1, 2, 2), np.uint8)})
    with pytest.raises(UserError, match=r"train\.parquet is of an earlier version, which had"):
        read_split(tmp_path / "train.parquet")


# Networks


@pytest.mark.parametrize("shape", [(2,), (1, 40, 11), (3, 8, 8)], ids=str)
def test_a_perceptron_reads_and_answers_any_shape(shape: tuple[int, ...]) -> None:
    field = Field(shape, {1: "d", 3: "cft"}[len(shape)], "float32")
    network = build(Plugin("mlp"), Plugin("identity"), field, field, seed=0)
    assert network(torch.randn(5, *shape)).shape == (5, *shape)


@pytest.mark.parametrize("architecture", ["resnet", "vit", "mixer"])
def test_networks_for_images_refuse_anything_else(architecture: str) -> None:
    options = registry.options_class("architecture", architecture)()
    with pytest.raises(ValueError, match=r"expected channels x height x width, got 1x40 \(channels x time\)"):
        options.check(Field((1, 40), "ct", "float32"), vector(3))
    with pytest.raises(ValueError, match=r"expected features, got 1x8x8"):
        options.check(image(1, 8, 8), image(1, 8, 8))

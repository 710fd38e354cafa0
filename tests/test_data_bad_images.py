"""Bad shards and folders of images: one clear sentence that names the file and row, nothing half-written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import draws
from data_sources import (
    encode,
    local_folder,
    paths,
    refused,
    some_images,
    write_shard,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infoplane import registry
from infoplane.data.prepare import prepare
from infoplane.data.samples import read_split
from infoplane.data.shards import open_shards
from infoplane.errors import UserError
from infoplane.specs import DataSpec, Plugin

# Shards


def good_images(count: int) -> list[bytes | None]:
    return [encode(image) for image in some_images(count, (3, 8, 8), 1)[0]]


def refused_shard(tmp_path: Path, **options: Any) -> str:
    return refused(tmp_path, "image_parquet", {"path": str(tmp_path / "s"), "side": 8, "classes": 2} | options)


def damaged_image(how: str) -> bytes | None:
    good = encode(some_images(1, (3, 8, 8), 1)[0][0], "JPEG")
    deep = encode(np.zeros((1, 8, 8), np.uint16))
    return {"cut": good[:-40], "text": b"<html>", "empty": b"", "null": None, "16 bit": deep}[how]


@pytest.mark.parametrize(
    "how, expected",
    [
        ("cut", "is not a readable image"),
        ("text", "is not a readable image."),
        ("empty", "is not a readable image."),
        ("null", "holds no image bytes."),
        ("16 bit", "expected 8 bits per channel"),
    ],
)
@pytest.mark.parametrize("struct", [True, False])
def test_a_bad_image_is_named_by_shard_and_row(how: str, expected: str, struct: bool, tmp_path: Path) -> None:
    labels = np.arange(20) % 2
    write_shard(tmp_path / "s" / "0.parquet", good_images(20), labels, struct=struct)
    images = good_images(20)
    images[13] = damaged_image(how)
    bad = write_shard(tmp_path / "s" / "1.parquet", images, labels, struct=struct, row_group_size=6)
    message = refused_shard(tmp_path)
    assert message.startswith(f"row 13 of {bad} ") and expected in message


def test_a_null_struct_is_a_missing_image(tmp_path: Path) -> None:
    path = tmp_path / "s" / "0.parquet"
    path.parent.mkdir()
    cells = [None if row == 3 else {"bytes": image, "path": ""} for row, image in enumerate(good_images(8))]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"img": pa.array(cells, kind), "label": pa.array([0, 1] * 4)}), path)
    assert refused_shard(tmp_path) == f"row 3 of {path} holds no image bytes."


def test_an_image_of_another_size_says_what_to_set(tmp_path: Path) -> None:
    images = good_images(8)
    images[5] = encode(np.zeros((3, 6, 9), np.uint8))
    path = write_shard(tmp_path / "s" / "0.parquet", images, [0, 1] * 4)
    assert refused_shard(tmp_path) == f"row 5 of {path} is 6x9 pixels, expected 8x8: set `side`, or `resize`."


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_out_of_range_is_named_by_shard_and_row(label: int, tmp_path: Path) -> None:
    write_shard(tmp_path / "s" / "0.parquet", good_images(8), [0, 1] * 4)
    path = write_shard(tmp_path / "s" / "1.parquet", good_images(4), [0, 1, label, 1])
    assert refused_shard(tmp_path) == f"row 2 of {path} has the class {label} in 'y', outside 0..1."


def test_labels_that_are_missing_or_no_integers(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(4), [0, None, 1, 0])
    assert refused_shard(tmp_path) == f"row 1 of {path} has no label."
    write_shard(path, good_images(4), ["cat", "dog", "cat", "dog"])
    assert refused_shard(tmp_path) == f"column 'label' of {path} is string: expected integer labels."


def test_missing_columns_are_answered_with_those_there_are(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(4), [0, 1, 0, 1], column="picture")
    assert refused_shard(tmp_path) == (
        f"{path} has no column 'image' or 'img': it has 'picture', 'label'; name one with `image`."
    )
    message = refused_shard(tmp_path, image="picture", label="fine_label")
    assert message == f"{path} has no column 'fine_label': it has 'picture', 'label'; name one with `label`."
    assert "column 'label'" in (message := refused_shard(tmp_path, image="label")) and "encoded images" in message


def test_class_names_of_another_number(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(4), [0, 1, 0, 1])
    hub = b'{"info": {"features": {"label": {"names": ["a", "b", "c"]}}}}'
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"huggingface": hub}), path)
    assert "names 3 classes, but `classes` is 2" in refused_shard(tmp_path)


def with_hub(path: Path, described: bytes) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"huggingface": described}), path)


@pytest.mark.parametrize("described", [b"{", b"\xff\xfe", b"[" * 100_000, b"[1]", b'{"info": 3}'])
def test_class_names_that_cannot_be_read_are_left_out(described: bytes, tmp_path: Path) -> None:
    path = write_shard(tmp_path / "0.parquet", good_images(4), [0, 1, 0, 1])
    with_hub(path, described)
    shards = open_shards(str(path), "", "label")
    assert shards.class_names is None and shards.labels.tolist() == [0, 1, 0, 1]
    said = () if described.endswith((b"]", b"}")) else (f"{path} names its classes in a way that cannot be read, so",)
    assert len(shards.notes) == len(said) and all(note.startswith(said) for note in shards.notes)


def test_shards_that_name_their_classes_in_another_order(tmp_path: Path) -> None:
    for number, names in enumerate((["cat", "dog"], ["dog", "cat"])):
        path = write_shard(tmp_path / "s" / f"{number}.parquet", good_images(8), [0, 1] * 4)
        with_hub(path, json.dumps({"info": {"features": {"label": {"names": names}}}}).encode())
    said = refused_shard(tmp_path)
    assert f"{path} names the classes dog, cat, {tmp_path}/s/0.parquet cat, dog: a label does not mean the same" in said


@pytest.mark.parametrize("name", ["label", "image"])
def test_a_column_that_is_there_twice(name: str, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    columns = {"image": pa.array(good_images(4), pa.binary()), "label": pa.array([0, 1, 0, 1])}
    arrays = [*columns.values(), columns[name]]
    pq.write_table(pa.Table.from_arrays(arrays, names=[*columns, name]), tmp_path / "s" / "0.parquet")
    assert f"0.parquet has 2 columns '{name}': which one is meant?" in refused_shard(tmp_path)


def test_a_label_that_is_too_large_for_a_class_is_not_made_smaller(tmp_path: Path) -> None:
    write_shard(tmp_path / "s" / "0.parquet", good_images(4), pa.array([0, 1, 2**64 - 1, 1], pa.uint64()))
    assert "has the class 9223372036854775807 in 'y', outside 0..1" in refused_shard(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, -9])
def test_a_truncated_shard(keep: int, tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(8), [0, 1] * 4)
    path.write_bytes(path.read_bytes()[:keep])
    message = refused_shard(tmp_path)
    assert f"{path} is not a complete Parquet file" in message and "download it again" in message


def test_a_shard_that_is_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(8), [0, 1] * 4)
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(content)
    assert f"{path} is not a complete Parquet file" in refused_shard(tmp_path)


def test_no_shards(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    assert f"{missing} does not exist" in refused_shard(tmp_path, path=missing)
    assert "no file matches" in refused_shard(tmp_path, path=f"{tmp_path}/*.parquet")
    (tmp_path / "s").mkdir()
    assert "no file matches" in refused_shard(tmp_path)


def test_no_samples(tmp_path: Path) -> None:
    write_shard(tmp_path / "s" / "0.parquet", [], pa.array([], pa.int64()))
    assert "holds no samples" in refused_shard(tmp_path)


def test_folders_that_are_not_as_declared(tmp_path: Path) -> None:
    module = registry.load("data set", "image_folder")
    options = local_folder(module, tmp_path)
    root = Path(options["path"])
    message = refused(tmp_path, "image_folder", options | {"classes": 3})
    assert message == f"{root} has 4 sub-folders (kind 0, kind 1, kind 2, kind 3), but `classes` is 3."
    bad = root / "kind 2" / "002.png"
    bad.write_bytes(b"GIF89a")
    assert refused(tmp_path, "image_folder", options, held_out=30, validation=20).startswith(f"{bad} is not a readable")
    (root / "empty").mkdir()
    assert f"{root / 'empty'} holds no .png" in refused(tmp_path, "image_folder", options | {"classes": 5})
    assert "is not a folder" in refused(tmp_path, "image_folder", options | {"path": str(bad)})


def test_an_image_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    path = write_shard(tmp_path / "s" / "0.parquet", good_images(4) * 2, [0, 1] * 4)
    assert f"of {path} is not a readable image" in refused_shard(tmp_path)


LABELS: dict[str, list[Any]] = {
    "good": [0, 1] * 10,
    "null": [0, None] * 10,
    "text": ["a", "b"] * 10,
    "negative": [-1, 0] * 10,
    "one class": [1] * 20,
    "decimal": [0.0, 1.0] * 10,
}
GROUPS: dict[str, Any] = {
    "numbers": pa.array([n // 4 for n in range(20)], pa.uint8()),
    "text": pa.array([f"p{n % 5}" for n in range(20)]).dictionary_encode(),
    "nulls": pa.array([None, 1] * 10),
    "one": pa.array([True] * 20),
    "lists": pa.array([[1]] * 20),
}


DAMAGE = ["cut", "text", "empty", "null", "16 bit"]


@draws(40, 500)
@given(
    label=st.sampled_from(sorted(LABELS)),
    group=st.sampled_from([*sorted(GROUPS), "", "label"]),
    kind=st.sampled_from(["int64", "int8", "uint64"]),
    bad=st.lists(st.tuples(st.integers(0, 19), st.sampled_from(DAMAGE)), max_size=2),
    hub=st.sampled_from([None, b"{", b"\xff", b'{"info": {"features": {"label": {"names": ["a", "b"]}}}}']),
    twice=st.booleans(),
    held_out=st.sampled_from([6, "all"]),
)
def test_every_shard_gives_splits_or_one_sentence(
    label: str, group: str, kind: str, bad: list[tuple[int, str]], hub: bytes | None, twice: bool, held_out: int | str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    tmp_path = tmp_path_factory.mktemp("drawn")
    images = good_images(10) * 2 if twice else good_images(20)
    for row, how in bad:
        images[row] = damaged_image(how)
    whole = label in ("good", "null", "one class") or (label == "negative" and kind != "uint64")
    labels = pa.array(LABELS[label], pa.type_for_alias(kind) if whole else None)
    columns = {"image": pa.array(images, pa.binary()), "label": labels}
    table = pa.table(columns | ({group: GROUPS[group]} if group in GROUPS else {}))
    pq.write_table(table.replace_schema_metadata({b"huggingface": hub} if hub else None), tmp_path / "0.parquet")
    options = {"path": str(tmp_path), "classes": 2, "side": 8, "group": group}
    out = paths(tmp_path / "out")
    try:
        prepare(DataSpec(Plugin("image_parquet", options), held_out, 4, None, 0), tmp_path, out)  # type: ignore[arg-type]
    except UserError as error:
        assert "\n" not in str(error) and not any(path.exists() for path in out.values())
    else:
        split = read_split(out["held_out"])
        assert (split.groups is None) == (group == "")
        assert not twice or any("copies of other images" in note for note in split.metadata["notes"])

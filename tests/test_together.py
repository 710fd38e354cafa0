"""What belongs together, or is the same image, goes to one split; and the measures are told."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_sources import encode, paths, refused

from infoplane.data.prepare import prepare
from infoplane.data.samples import Split, read_split
from infoplane.data.stratify import grouped_split, stratified_split
from infoplane.measures.subject import Subject
from infoplane.specs import DataSpec, Plugin


def shard(path: Path, pictures: list[int], labels: list[int], group: list[Any] | None = None) -> dict[str, Any]:
    """One shard of drawn pictures, equal where their numbers are; the options that read it."""
    encoded = [encode(np.random.default_rng(n).integers(0, 256, (3, 8, 8), np.uint8)) for n in pictures]
    columns: dict[str, Any] = {"image": pa.array(encoded, pa.binary()), "label": labels}
    pq.write_table(pa.table(columns | ({} if group is None else {"patient": group})), path)
    return {"path": str(path), "classes": 2, "side": 8}


def splits(tmp_path: Path, options: dict[str, Any], kind: str = "image_parquet", **sizes: Any) -> dict[str, Split]:
    spec = DataSpec(Plugin(kind, options), **{"held_out": 12, "validation": 8, "train": None, "seed": 0} | sizes)
    prepare(spec, tmp_path, paths(tmp_path / "out"))
    return {name: read_split(path) for name, path in paths(tmp_path / "out").items()}


def places(found: dict[str, Split], of: np.ndarray) -> list[set[str]]:
    """In which splits each number stands."""
    return [{name for name, split in found.items() if number in of[split.index]} for number in np.unique(of)]


@pytest.mark.parametrize("seed", range(10))
def test_whole_groups_are_drawn_and_the_mix_of_classes_is_kept(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 60, 400)
    labels = generator.integers(0, 4, 400)
    counts = {"held_out": 120, "validation": 80, "train": None}
    parts = grouped_split(labels, 4, groups, counts, seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(400))
    for name in ("held_out", "validation"):
        assert counts[name] - 4 <= len(parts[name]) <= counts[name]
        shares = np.bincount(labels[parts[name]], minlength=4) / len(parts[name])
        assert np.abs(shares - np.bincount(labels) / 400).max() < 0.1
    for number in range(60):
        assert sum(number in groups[rows] for rows in parts.values()) <= 1
    smaller = grouped_split(labels, 4, groups, {"held_out": 120, "validation": 10, "train": 50}, seed)
    assert np.array_equal(smaller["held_out"], parts["held_out"])


def test_groups_of_one_are_drawn_as_samples_are() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 300)
    counts = {"held_out": 60, "validation": 30, "train": 210}
    alone = grouped_split(labels, 5, np.arange(300), counts, 3)
    assert {name: len(rows) for name, rows in alone.items()} == counts
    for name, rows in stratified_split(labels, 5, counts, 3).items():
        assert np.array_equal(np.bincount(labels[rows]), np.bincount(labels[alone[name]]))


def test_a_named_group_stays_together_and_the_measures_hear_of_it(tmp_path: Path) -> None:
    group = [f"p{n // 4}" for n in range(60)]
    options = shard(tmp_path / "s.parquet", list(range(60)), [n // 2 % 2 for n in range(60)], group)
    found = splits(tmp_path, options | {"group": "patient"})
    assert all(len(where) == 1 for where in places(found, np.array(group)))
    held_out = found["held_out"]
    assert held_out.groups is not None and len(held_out["y"]) == 12
    assert np.array_equal(np.array(group)[held_out.index], np.unique(group)[held_out.groups])
    groups = Subject(tmp_path / "out" / "held_out.parquet", torch.device("cpu")).targets.groups
    assert groups is not None and len(torch.unique(groups)) == 3
    plain = splits(tmp_path, options)
    assert (
        plain["held_out"].groups is None and "group" not in pq.read_schema(tmp_path / "out" / "held_out.parquet").names
    )
    assert any(len(where) > 1 for where in places(plain, np.array(group)))


def test_a_folder_s_groups_come_from_the_names_of_its_files(tmp_path: Path) -> None:
    for number in range(40):
        path = tmp_path / "own" / ("cat", "dog")[number % 2] / f"film{number // 4}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(np.random.default_rng(number).integers(0, 256, (3, 8, 8), np.uint8)))
    options = {"path": str(tmp_path / "own"), "classes": 2, "side": 8, "group": "^([^/]+)/"}
    found = splits(tmp_path, options, "image_folder")
    films = np.array([int(n) // 4 for n in sorted(range(40), key=lambda n: (n % 2, f"film{n // 4}", f"{n}.png"))])
    assert all(len(where) == 1 for where in places(found, films))
    said = refused(tmp_path / "x", "image_folder", options | {"group": r"^film[2-9]/(\d)"}, held_out=12, validation=8)
    assert "finds no group in 'film0/0.png'" in said
    assert "2 parts in brackets" in refused(tmp_path / "x", "image_folder", options | {"group": "(.)(.)"})


def test_equal_images_share_a_split_and_are_counted(tmp_path: Path) -> None:
    pictures = [n % 30 for n in range(60)]
    labels = [n % 2 for n in pictures]
    labels[31] = 0
    found = splits(tmp_path, shard(tmp_path / "s.parquet", pictures, labels))
    assert all(len(where) == 1 for where in places(found, np.array(pictures)))
    copies, unlike = found["held_out"].metadata["notes"]
    assert Subject(tmp_path / "out" / "held_out.parquet", torch.device("cpu")).image_notes == [copies, unlike]
    assert copies.startswith("copies of other images, to the byte, such as of row 0 of") and "30 of 60" in copies
    assert unlike.startswith("equal images with different labels: 1, such as row 1 of") and "row 31 of" in unlike


def test_groups_and_equal_images_hang_together(tmp_path: Path) -> None:
    """Image 0 is of patients 0 and 1: both go where it goes."""
    group = [n // 4 for n in range(60)]
    pictures = [0 if n in (0, 4) else n for n in range(60)]
    found = splits(
        tmp_path, shard(tmp_path / "s.parquet", pictures, [n % 2 for n in range(60)], group) | {"group": "patient"}
    )
    where = places(found, np.array(group))
    assert where[0] == where[1] and all(len(one) == 1 for one in where)


def test_the_same_picture_stored_in_two_ways_is_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), np.uint8)
    encoded = [encode(one) for one in pixels] + [encode(one, "BMP") for one in pixels]
    table = {"image": pa.array(encoded, pa.binary()), "label": [n % 2 for n in range(60)]}
    pq.write_table(pa.table(table), tmp_path / "s.parquet")
    found = splits(tmp_path, {"path": str(tmp_path / "s.parquet"), "classes": 2, "side": 8})
    (note,) = found["held_out"].metadata["notes"]
    assert note.startswith("held-out samples that are also in training or validation, value by value: ")


def test_classes_that_nothing_is_trained_on_are_said(tmp_path: Path) -> None:
    options = shard(tmp_path / "s.parquet", list(range(60)), [n % 2 for n in range(60)])
    (note,) = splits(tmp_path, options | {"classes": 4})["held_out"].metadata["notes"]
    assert note == "classes without training images: 2 (0 in all), 3 (0 in all)"


def test_groups_that_do_not_fit(tmp_path: Path) -> None:
    options = shard(tmp_path / "s.parquet", list(range(60)), [n % 2 for n in range(60)], [n // 30 for n in range(60)])
    said = refused(tmp_path, "image_parquet", options | {"group": "patient"}, held_out=12, validation=8)
    assert "fits into held_out (12 samples): the 2 groups have 30 to 30 samples and stay whole" in said
    assert "has no column 'doctor'" in refused(tmp_path, "image_parquet", options | {"group": "doctor"})
    assert "expected text or whole numbers" in refused(tmp_path, "image_parquet", options | {"group": "image"})
    options = shard(tmp_path / "s.parquet", list(range(60)), [0, 1] * 30, [n // 5 for n in range(60)])
    (note,) = splits(tmp_path, options | {"group": "patient"}, validation=5)["held_out"].metadata["notes"]
    assert note == "held_out has 10 samples instead of 12, because groups stay whole"

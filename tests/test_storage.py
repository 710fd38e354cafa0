"""The data contract on disk: one tensor at a time, atomically, the same bytes every time, open to other tools."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from infoplane.errors import UserError
from infoplane.storage.atomic import atomic_path, write_text
from infoplane.storage.checkpoints import CheckpointFile, read_tensors, write_tensors
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.storage.tensors import TensorFile, TensorWriter

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 5, 2, 4)).astype(np.float16)  # three row groups of five samples
B = RNG.normal(size=(3, 5, 7)).astype(np.float16)


def write(path: Path, groups: int = 3) -> None:
    tensors = {"a": ((2, 4), "float16"), "b": ((7,), "float16")}
    with TensorWriter(path, {"step": "int32", "sample": "int32"}, tensors, {"who": "test"}) as writer:
        for group in range(groups):
            keys = {"step": np.full(5, 10 * group), "sample": np.arange(5)}
            writer.write(keys, {"a": A[group], "b": B[group]})


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    file = TensorFile(tmp_path / "t.parquet")
    assert file.metadata["who"] == "test" and file.rows == 15 and file.row_groups == 3
    assert np.array_equal(file.tensor("a"), A.reshape(15, 2, 4))
    assert np.array_equal(file.tensor("b", [1]), B[1]) and file.tensor("b", [1]).dtype == np.float16
    assert [file.first_key(group, "step") for group in range(3)] == [0, 10, 20]
    assert file.key("sample", [2]).tolist() == [0, 1, 2, 3, 4]


def test_one_tensor_of_one_group_is_read_without_the_rest(tmp_path: Path) -> None:
    """Overwrite every other column chunk with garbage: the one that is asked for must not notice."""
    path = tmp_path / "t.parquet"
    write(path)
    meta = pq.ParquetFile(path).metadata
    keep = meta.row_group(1).column(meta.schema.names.index("b"))
    start, end = keep.data_page_offset, keep.data_page_offset + keep.total_compressed_size
    raw = bytearray(path.read_bytes())
    footer = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    raw[4:start] = b"\xff" * (start - 4)
    raw[end:footer] = b"\xff" * (footer - end)
    path.write_bytes(raw)
    assert np.array_equal(TensorFile(path).tensor("b", [1]), B[1])
    with pytest.raises(UserError, match="damaged"):
        TensorFile(path).tensor("a", [0])


def test_polars_and_duckdb_open_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    values = pl.scan_parquet(path).filter(pl.col("step") == 10).select("b").collect()["b"]
    assert np.array_equal(np.stack([np.frombuffer(v, np.float16) for v in values]), B[1])
    found = duckdb.sql(f"select a from '{path}' where step = 20 and sample = 3").fetchall()
    assert np.array_equal(np.frombuffer(found[0][0], np.float16).reshape(2, 4), A[2, 3])


def test_same_values_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet")
    write(tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_wrong_shape_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"a: expected samples of shape \(3,\), got \(2,\)"),
        TensorWriter(tmp_path / "t.parquet", {"step": "int32"}, {"a": ((3,), "float32")}, {}) as writer,
    ):
        writer.write({"step": np.zeros(1)}, {"a": np.zeros((1, 2))})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_truncated_parquet_is_one_sentence(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"t\.parquet is not a complete Parquet file"):
        TensorFile(path)


def test_missing_and_foreign_parquet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.parquet is missing"):
        TensorFile(tmp_path / "t.parquet")
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="was not written by infoplane"):
        read_rows(tmp_path / "t.parquet")


# --- atomic writes


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "t.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_a_killed_writer_left_is_swept_but_a_living_one_is_not(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    dead, living = tmp_path / f".t.txt.{child}.part", tmp_path / f".t.txt.{os.getppid()}.part"
    dead.write_text("half")
    living.write_text("half")
    write_text(tmp_path / "t.txt", "whole")
    assert not dead.exists() and living.exists()


def test_what_is_no_writers_is_left_alone(tmp_path: Path) -> None:
    """And what looks like a pattern, or like no process id at all, is a name like any other."""
    others = [tmp_path / f".{name}.part" for name in ("t[1].txt.notes", "t1.txt.999999999", "t[1].txt.1.more")]
    for path in others:
        path.write_text("not yours")
    left = tmp_path / f".t[1].txt.{10**30}.part"
    left.write_text("half")
    write_text(tmp_path / "t[1].txt", "whole")
    assert all(path.exists() for path in others) and not left.exists()


@pytest.mark.parametrize("place", ["x" * 300, "x" * 300 + "/t.txt", "file/t.txt", "folder"])
def test_a_place_where_nothing_can_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*: [A-Z][a-z ]+\.$"):
        write_text(tmp_path / place, "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


# --- checkpoints


def test_tensors_and_metadata_round_trip_with_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"00000003/w": torch.randn(3, 4), "00000003/n": torch.tensor(5), "00000000/w": torch.randn(3, 4)}
    metadata = {"steps": [0, 3], "b": 1, "a": {"z": None}}
    write_tensors(tmp_path / "1.safetensors", tensors, metadata)
    write_tensors(tmp_path / "2.safetensors", dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    found, values = read_tensors(tmp_path / "1.safetensors")
    assert values == metadata and all(torch.equal(found[name], tensors[name]) for name in tensors)
    file = CheckpointFile(tmp_path / "1.safetensors")
    assert set(file.load(3)) == {"w", "n"} and torch.equal(file.load(0)["w"], tensors["00000000/w"])


def test_missing_truncated_and_foreign_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(UserError, match=r"c\.safetensors is missing"):
        CheckpointFile(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is not a complete safetensors file"):
        CheckpointFile(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="was not written by infoplane"):
        CheckpointFile(path)


# --- damage


def rows(path: Path) -> None:
    write_rows(path, pa.table({"value": np.arange(300.0), "note": [f"{i}" for i in range(300)]}), {"who": "test"})


def tensors(path: Path) -> None:
    write_tensors(path, {f"{step:08d}/w": torch.arange(60.0) + step for step in (0, 3)}, {"steps": [0, 3]})


def read_checkpoints(path: Path) -> object:
    file = CheckpointFile(path)
    return file.metadata, [(name, value.tolist()) for step in (0, 3) for name, value in file.load(step).items()]


def read_dump(path: Path) -> object:
    file = TensorFile(path)
    groups = {file.first_key(group, "step"): file.tensor("b", [group]).tolist() for group in range(file.row_groups)}
    return file.metadata, groups, file.tensor("a").tolist(), file.key("sample").tolist()


def read_table(path: Path) -> object:
    table, values = read_rows(path)
    return table.to_pydict(), values


KINDS = [
    ("t.parquet", write, read_dump),
    ("t.parquet", rows, read_table),
    ("t.safetensors", tensors, read_checkpoints),
    ("t.safetensors", tensors, lambda path: str(read_tensors(path))),
]


@pytest.mark.parametrize(("name", "make", "read"), KINDS)
@pytest.mark.parametrize("by", [b"\0" * 200, b"1", b"\xff" * 9])
def test_damage_anywhere_is_one_sentence(
    name: str, make: Callable[[Path], None], read: Callable[[Path], object], by: bytes, tmp_path: Path
) -> None:
    """Never other values: where a few bytes of no meaning are overwritten, the same ones."""
    path = tmp_path / name
    make(path)
    whole, truth, found = path.read_bytes(), read(path), 0
    for start in range(0, len(whole) - len(by), 61):
        path.write_bytes(whole[:start] + by + whole[start + len(by) :])
        try:
            assert read(path) == truth
        except UserError as error:
            assert str(path) in str(error) and re.search(
                "delete it and run the workflow again|not written by infoplane", str(error)
            )
            found += 1
    assert found > len(whole) / 61 / 2


def test_a_file_of_an_older_version_is_one_sentence(tmp_path: Path) -> None:
    old = pa.table({"x": [1]}).replace_schema_metadata({"infoplane": "{}"})
    pq.write_table(old, tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"t\.parquet was written by an older version of infoplane: delete it"):
        read_rows(tmp_path / "t.parquet")
    save_file({"w": torch.zeros(1)}, tmp_path / "t.safetensors", metadata={"infoplane": '{"steps":[]}'})
    with pytest.raises(UserError, match=r"t\.safetensors was written by an older version of infoplane: delete it"):
        CheckpointFile(tmp_path / "t.safetensors")

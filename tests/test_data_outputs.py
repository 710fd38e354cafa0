"""Split files on disk: read back only when whole, written all or not at all, also when killed."""

import errno
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_sources import SAMPLES, local_mnist, paths

from infoplane import registry
from infoplane.data.prepare import prepare
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.specs import DataSpec, Plugin
from infoplane.storage.tensors import TensorWriter

DIGITS = DataSpec(Plugin("digits"), held_out=400, validation=197, train=None, seed=0)


def test_split_files_that_are_missing_truncated_or_foreign(tmp_path: Path) -> None:
    prepare(DIGITS, tmp_path, paths(tmp_path))
    path = tmp_path / "held_out.parquet"
    with pytest.raises(UserError, match=r"nowhere\.parquet is missing"):
        read_split(tmp_path / "nowhere.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"held_out\.parquet is not a complete Parquet file"):
        read_split(path)
    pq.write_table(pa.table({"label": [1]}), path)
    with pytest.raises(UserError, match="not written by infoplane"):
        read_split(path)
    with TensorWriter(path, {"step": "int64"}, {"block1.z": ((4,), "float32")}, {"about": "activations"}) as writer:
        writer.write({"step": np.zeros(2, np.int64)}, {"block1.z": np.zeros((2, 4), np.float32)})
    with pytest.raises(UserError, match=r"not a split of a data set: it holds block1\.z"):
        read_split(path)


def test_a_split_file_with_a_label_out_of_range(tmp_path: Path) -> None:
    prepare(DIGITS, tmp_path, paths(tmp_path))
    split = read_split(tmp_path / "held_out.parquet")
    labels = split["y"].copy()
    labels[3] = 10
    about = {key: value for key, value in split.metadata.items() if key != "tensors"}
    keys = {"index": "int64", "y": "int64"}
    with TensorWriter(tmp_path / "bad.parquet", keys, {"x": ((1, 8, 8), "uint8")}, about) as writer:
        writer.write({"index": split.index, "y": labels}, {"x": split["x"]})
    with pytest.raises(UserError, match=r"row 3 of .*bad\.parquet has the class 10 in 'y', outside 0\.\.9\.$"):
        read_split(tmp_path / "bad.parquet")


# Nothing half-written


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        prepare(DIGITS, tmp_path, paths(tmp_path / "file"))


@pytest.mark.parametrize("method, call", [("write", 1), ("write", 3), ("__exit__", 1), ("__exit__", 2)])
def test_a_full_disk_leaves_nothing(method: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1, 10))
    real = getattr(TensorWriter, method)

    def fails(self: TensorWriter, *args: Any) -> Any:
        if next(calls) == call:
            error = OSError(errno.ENOSPC, "No space left on device")
            if method == "__exit__":
                real(self, OSError, error, None)
            raise error
        return real(self, *args)

    monkeypatch.setattr(TensorWriter, method, fails)
    out = tmp_path / "out"
    with pytest.raises(OSError, match="No space left"):
        prepare(DIGITS, tmp_path, paths(out))
    assert not list(out.iterdir())
    monkeypatch.undo()
    prepare(DIGITS, tmp_path, paths(out))
    assert len(list(out.iterdir())) == 3


@pytest.mark.parametrize("where", ["while writing", "between two files"])
def test_a_kill_leaves_no_output_and_the_next_run_none_of_its_rubbish(where: str, tmp_path: Path) -> None:
    out, other = tmp_path / "out", replace(DIGITS, seed=1)
    prepare(other, tmp_path, paths(out))
    before = {path.name for path in out.iterdir()}
    target = "TensorWriter.write" if where == "while writing" else "os.replace"
    code = f"""
import os, signal, sys
from pathlib import Path
from infoplane.data.samples import SPLITS
from infoplane.data.prepare import prepare
from infoplane.specs import DataSpec
from infoplane.storage.tensors import TensorWriter
real, calls = {target}, []
def deadly(*args):
    calls.append(args)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
{target} = deadly
prepare(DataSpec.from_json(sys.argv[1]), Path("."), {{s: Path(sys.argv[2], s + ".parquet") for s in SPLITS}})
"""
    arguments = [sys.executable, "-c", code, DIGITS.to_json(), str(out)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    whole = {path.name for path in out.glob("[!.]*")}
    if where == "while writing":
        assert whole == before  # still the earlier spec's, all three
    else:
        assert len(whole) == 1  # of the new spec, and none of the old one beside it
    for name in whole:
        assert read_split(out / name).metadata["spec"]["seed"] == (1 if where == "while writing" else 0)
    prepare(DIGITS, tmp_path, paths(out))
    prepare(DIGITS, tmp_path, paths(tmp_path / "undisturbed"))
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "undisturbed").iterdir()
    }


def test_a_folder_of_downloads_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    local_mnist(registry.load("data set", "mnist"), tmp_path / "downloads")
    monkeypatch.setattr(registry.load("data set", "mnist").Options, "size", SAMPLES)
    spec = DataSpec(Plugin("mnist"), held_out=20, validation=10, train=None, seed=0)
    assert prepare(spec, Path("~/downloads"), paths(tmp_path)) == ()
    assert not Path("~").exists()


def test_the_script_ends_with_one_sentence_and_a_status(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "scripts" / "data.py"
    spec = replace(DIGITS, held_out=5000)
    arguments = ["--spec", spec.to_json(), "--folder", str(tmp_path)]
    for split, path in paths(tmp_path).items():
        arguments += [f"--{split.replace('_', '-')}", str(path)]
    ended = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and not list(tmp_path.iterdir())
    assert ended.stderr.startswith("error: data set 'digits' has 1797 samples") and ended.stderr.count("\n") == 1

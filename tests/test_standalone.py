"""Measures without the workflow: functions of arrays, and one command for activations of any framework."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import REPOSITORY

import infoplane.measures
from infoplane.errors import UserError
from infoplane.measures.foreign import ForeignActivations
from infoplane.measures.job import SCHEMA
from infoplane.measures.standalone import measure, measure_file
from infoplane.storage.tensors import TensorWriter

N = 60


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 3, 4)).astype(np.float32), np.arange(N) % 3
    first, last = (x.reshape(N, 12)[:, :6] + s * rng.normal(size=(N, 6)).astype(np.float32) for s in (1.0, 0.1))
    return {"x": x, "y": y, "first": first, "last": last}


def lists(array: np.ndarray) -> pa.Array:
    return pa.array(array.tolist())


@pytest.fixture
def held_out(arrays: dict[str, np.ndarray], tmp_path: Path) -> Path:
    pq.write_table(pa.table({"x": lists(arrays["x"]), "label": arrays["y"]}), tmp_path / "held_out.parquet")
    return tmp_path / "held_out.parquet"


def two_checkpoints(arrays: dict[str, np.ndarray], path: Path, order: np.ndarray, **columns: Any) -> Path:
    """Rows of both checkpoints in the given order, in row groups that end anywhere."""
    z = np.concatenate([arrays["first"], arrays["last"]])
    table = pa.table(
        {
            "step": np.repeat([0, 10], N)[order],
            "sample": np.tile(np.arange(N), 2)[order],
            "encoder": lists(z[order]),
            "head.z": lists(z[order][:, :, None]),
        }
        | columns
    )
    pq.write_table(table, path, row_group_size=35)
    return path


def values(path: Path) -> list[tuple[Any, ...]]:
    return pl.read_parquet(path).select("step", "site", "measure", "value").rows()


def test_a_function_of_arrays_or_tensors(arrays: dict[str, np.ndarray]) -> None:
    zx, zy = measure(arrays["last"], arrays["x"], arrays["y"], family="linear")
    assert (zx.measure, zy.measure) == ("zx", "zy") and zx.value is not None and zx.value < 0.6
    tensors = measure(*(torch.as_tensor(arrays[name]) for name in ("last", "x", "y")), family="linear")
    assert [one.value for one in tensors] == [zx.value, zy.value]
    assert measure(arrays["last"], arrays["x"])[1].note == "one class only"
    assert measure(arrays["last"], y=arrays["y"])[0].note == "constant input"


def test_what_a_function_refuses(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match="unknown measure 'kernl': did you mean 'kernel'"):
        measure(arrays["last"], arrays["x"], family="kernl")
    with pytest.raises(UserError, match="kernel has no option 'fold': did you mean 'folds'"):
        measure(arrays["last"], arrays["x"], fold=3)
    with pytest.raises(UserError, match="kernel: folds must be at least 2, got 1"):
        measure(arrays["last"], arrays["x"], folds=1)
    with pytest.raises(UserError, match="z has 60 samples, x and y have 59 and 60"):
        measure(arrays["last"], arrays["x"][1:], arrays["y"])
    with pytest.raises(UserError, match="measures whole runs"):
        measure(arrays["last"], arrays["x"], family="anatomy")


def test_any_order_of_rows_is_one_result(arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path) -> None:
    plain = two_checkpoints(arrays, tmp_path / "plain.parquet", np.arange(2 * N))
    mixed = two_checkpoints(arrays, tmp_path / "mixed.parquet", np.random.default_rng(1).permutation(2 * N))
    rows = measure_file(plain, held_out, {"linear": {}}, tmp_path / "1.parquet")
    measure_file(mixed, held_out, {"linear": {}}, tmp_path / "2.parquet")
    assert len(rows) == 2 * 2 * 2 and values(tmp_path / "1.parquet") == values(tmp_path / "2.parquet")
    assert pq.read_schema(tmp_path / "1.parquet").remove_metadata() == SCHEMA
    for step, name in ((0, "first"), (10, "last")):
        for one in measure(arrays[name].astype(float), arrays["x"], arrays["y"], family="linear"):  # as lists are
            assert (step, "encoder", one.measure, one.value) in values(tmp_path / "1.parquet")
            assert (step, "head", one.measure, one.value) in values(tmp_path / "1.parquet")


def test_one_checkpoint_in_the_order_of_the_samples(
    arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path
) -> None:
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(arrays["last"].ravel()), 6)
    pq.write_table(pa.table({"a": fixed, "b": arrays["last"][:, 0]}), tmp_path / "a.parquet")
    file = ForeignActivations(tmp_path / "a.parquet")
    assert file.steps == [0] and [(site.column, site.depth, site.shape) for site in file.sites] == [
        ("a", 0, (6,)),
        ("b", 1, (1,)),
    ]
    rows = measure_file(tmp_path / "a.parquet", held_out, {"linear": {}}, tmp_path / "m.parquet")
    assert [row["d"] for row in rows] == [6, 6, 1, 1] and all(row["epoch"] is None for row in rows)


def test_files_of_our_own_are_read_too(arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path) -> None:
    keys, tensors = {"step": "int32", "sample": "int32"}, {"block1.f": ((2, 3), "float16")}
    with TensorWriter(tmp_path / "a.parquet", keys, tensors, {}) as writer:
        rows = {"step": np.zeros(N, np.int32), "sample": np.arange(N, dtype=np.int32)}
        writer.write(rows, {"block1.f": arrays["last"].reshape(N, 2, 3)})
    (site,) = ForeignActivations(tmp_path / "a.parquet").sites
    assert (site.name, site.part, site.shape) == ("block1", "f", (2, 3))
    read = ForeignActivations(tmp_path / "a.parquet").read(0, site)
    assert read.dtype == np.float16 and np.array_equal(read.reshape(N, 6), arrays["last"].astype(np.float16))


def bad_files(arrays: dict[str, np.ndarray]) -> dict[str, tuple[dict[str, Any], str]]:
    ragged = [list(row[: 3 + index % 2]) for index, row in enumerate(arrays["last"])]
    return {
        "ragged": ({"a": ragged}, "lists of different lengths"),
        "missing": ({"a": [None, *arrays["last"][1:].tolist()]}, "1 rows without a value"),
        "words": ({"a": ["word"] * N}, "expected numbers"),
        "bytes": ({"a": pa.array([b"1234"] * N, pa.binary(4))}, "no metadata says of which shape"),
        "half steps": ({"step": np.full(N, 0.5), "a": arrays["last"].tolist()}, "must hold whole numbers"),
        "nothing": ({"step": np.zeros(N, np.int64)}, "holds no site"),
        "grows": ({"step": np.repeat([0, 1], N), "a": [[0.5]] * N + [[0.5, 1.0]] * N}, "a site has one shape"),
        "fewer": ({"a": arrays["last"][1:].tolist()}, "holds 59 samples at step 0, .*; give every step one row"),
    }


@pytest.mark.parametrize("case", ["ragged", "missing", "words", "bytes", "half steps", "nothing", "grows", "fewer"])
def test_a_bad_file_gets_one_sentence(case: str, arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path) -> None:
    columns, sentence = bad_files(arrays)[case]
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    with pytest.raises(UserError, match=sentence):
        measure_file(tmp_path / "bad.parquet", held_out, {"linear": {}}, tmp_path / "m.parquet")
    assert not (tmp_path / "m.parquet").exists()


def test_nobody_is_told_to_run_a_workflow_for_a_file_of_their_own(held_out: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"cut\.parquet is not a complete Parquet file .*: write it again\.$"):
        measure_file(cut, held_out, {"linear": {}}, tmp_path / "m.parquet")
    with pytest.raises(UserError, match=r"none\.parquet is missing: check its name\.$"):
        measure_file(tmp_path / "none.parquet", held_out, {"linear": {}}, tmp_path / "m.parquet")


def test_a_held_out_file_without_the_column_or_a_family_without_activations(
    arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path
) -> None:
    file = two_checkpoints(arrays, tmp_path / "a.parquet", np.arange(2 * N))
    with pytest.raises(UserError, match=r"has no column 'pixels' .*choose from label, x"):
        measure_file(file, held_out, {"linear": {}}, tmp_path / "m.parquet", x="pixels")
    with pytest.raises(UserError, match="neither X nor Y"):
        measure_file(file, held_out, {"linear": {}}, tmp_path / "m.parquet", x=None, y=None)
    with pytest.raises(UserError, match="gradients measures weights"):
        measure_file(file, held_out, {"gradients": {}}, tmp_path / "m.parquet")


def test_the_command(arrays: dict[str, np.ndarray], held_out: Path, tmp_path: Path) -> None:
    file = two_checkpoints(arrays, tmp_path / "a.parquet", np.arange(2 * N))
    command = [
        sys.executable,
        "-m",
        "infoplane.measures",
        file,
        "--held-out",
        held_out,
        "--output",
        tmp_path / "m.parquet",
    ]
    done = subprocess.run(
        [*command, "--family", "linear", "--family", 'kernel={"folds": 4}'], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "16 values" in done.stdout and "encoder" in done.stdout
    assert set(pl.read_parquet(tmp_path / "m.parquet")["family"]) == {"linear", "kernel"}
    done = subprocess.run([*command, "--family", "kernel={folds}"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: --family kernel={folds}")


# The library


@pytest.mark.parametrize("name", dir(infoplane.measures))
def test_every_public_name_exists_and_explains_itself(name: str) -> None:
    assert (getattr(infoplane.measures, name).__doc__ or "").strip()
    assert f"`{name}`" in (REPOSITORY / "docs/own-activations.md").read_text(encoding="utf-8"), "name it in the docs"


def test_public_functions_take_arrays_and_tensors_alike(arrays: dict[str, np.ndarray]) -> None:
    x, z, y = arrays["x"].reshape(N, 12)[:, :2], arrays["last"][:, :2], arrays["y"]
    public = infoplane.measures
    for function, given in (
        (public.ksg_information, (x, z)),
        (public.entropy_information, (x, z)),
        (public.ross_information, (z, y)),
        (public.kde_information, (z, y)),
        (public.regression_coefficient, (x, z)),
        (public.effective_rank, (public.spectrum(z),)),
    ):
        assert function(*given) == function(*map(torch.as_tensor, given)), function.__name__


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(ImportError, match="cannot import name 'ksg3'"):
        exec("from infoplane.measures import ksg3")


def test_importing_the_library_imports_no_estimator() -> None:
    code = "import sys, infoplane.measures; print([m for m in sys.modules if m in ('torch', 'numpy', 'scipy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_examples_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "docs/own-activations.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        exec(block, names)
    (command,) = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    python = Path(sys.executable).parent
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=os.environ | {"PATH": f"{python}:{os.environ['PATH']}"}
    )
    assert done.returncode == 0 and "16 values in measures.parquet" in done.stdout, done.stderr

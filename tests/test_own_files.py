"""Files of activations that other programs write: rows in any order, lists of any kind, columns of any name."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infoplane.errors import UserError
from infoplane.measures.__main__ import main
from infoplane.measures.foreign import ForeignActivations, by_number
from infoplane.measures.standalone import measure, measure_file

N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = np.arange(N) % 3
Z = X[:, :2] + 0.1 * RNG.normal(size=(N, 2))
SHUFFLED = RNG.permutation(N)


def write(path: Path, **columns: Any) -> Path:
    made = {
        name: value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
        for name, value in columns.items()
    }
    pq.write_table(pa.table(made), path)
    return path


def zx(folder: Path, z: dict[str, Any], held_out: dict[str, Any] | None = None, **more: Any) -> float:
    activations = write(folder / "a.parquet", **z)
    held_out_file = write(folder / "p.parquet", **({"x": X, "label": Y} | (held_out or {})))
    return measure_file(activations, held_out_file, {"linear": {}}, folder / "m.parquet", **more)[0]["value"]


EXPECTED = measure(Z, X, Y, family="linear")[0].value


# Rows and the held-out file's samples


@pytest.mark.parametrize("kind", ["uint8", "uint32", "uint64", "int8", "int64", "float64"])
def test_rows_in_any_order_are_matched_whatever_the_type_of_their_places(kind: str, tmp_path: Path) -> None:
    assert zx(tmp_path, {"sample": SHUFFLED.astype(kind), "h": Z[SHUFFLED]}) == EXPECTED
    index = pl.DataFrame({"h": Z.tolist()}).with_row_index("sample")[SHUFFLED.tolist()]
    index.write_parquet(tmp_path / "polars.parquet")
    found = measure_file(tmp_path / "polars.parquet", tmp_path / "p.parquet", {"linear": {}}, tmp_path / "m.parquet")
    assert found[0]["value"] == EXPECTED


def test_rows_are_joined_by_the_ids_of_the_held_out_file(tmp_path: Path) -> None:
    names = np.array([f"recording-{index:03d}" for index in RNG.permutation(N)])
    rows = {"sample": names[SHUFFLED], "h": Z[SHUFFLED]}
    assert zx(tmp_path, rows, {"sample": names}) == EXPECTED
    assert (
        zx(tmp_path, {"sample": 7 * SHUFFLED + 2**40, "h": Z[SHUFFLED]}, {"sample": 7 * np.arange(N) + 2**40})
        == EXPECTED
    )
    for held_out, sentence in (
        ({}, "holds words, such as 'recording-.*give the held-out file a column 'sample'"),
        ({"sample": np.arange(N)}, "holds words, and the held-out file's does not"),
        ({"sample": np.append(names[1:], "other")}, "which the held-out file's column 'sample' lacks"),
        ({"sample": np.repeat(names[:20], 2)}, "holds an id more than once"),
    ):
        with pytest.raises(UserError, match=sentence):
            zx(tmp_path, rows, held_out)


PLACES = {
    "doubled": (np.where(SHUFFLED == 3, 4, SHUFFLED), "0 to 39, once: 4 comes more than once"),
    "from one on": (SHUFFLED + 1, "0 to 39, once: 40 is there"),
    "negative": (SHUFFLED - 1, "0 to 39, once: -1 is there"),
    "missing": (pa.array([None, *SHUFFLED[1:].tolist()]), "1 rows without a value, the first is row 0"),
    "halves": (SHUFFLED / 2, "must hold whole numbers"),
    "beyond": (SHUFFLED.astype(np.uint64) + np.uint64(2**63), "must hold whole numbers"),
}


@pytest.mark.parametrize("case", PLACES)
def test_places_that_are_not_each_sample_once_are_refused(case: str, tmp_path: Path) -> None:
    places, sentence = PLACES[case]
    with pytest.raises(UserError, match=sentence):
        zx(tmp_path, {"sample": places, "h": Z[SHUFFLED]})


def test_places_are_looked_at_in_every_step(tmp_path: Path) -> None:
    two = {"step": np.repeat([0, 1], N), "h": np.concatenate([Z, Z])}
    assert zx(tmp_path, two | {"sample": np.concatenate([np.arange(N), np.arange(N)])}) == EXPECTED
    with pytest.raises(UserError, match="at step 1 must hold each place"):
        zx(tmp_path, two | {"sample": np.concatenate([np.arange(N), np.arange(N) // 2])})


# Cells


def cells(rows: list[Any]) -> list[Any]:
    return rows * (N // len(rows))


RAGGED = {
    "lists": (cells([[1.0, 2.0], [1.0], [1.0, 2.0, 3.0], [1.0, 2.0]]), "different lengths, the first is in row 1"),
    "inner lists": (cells([[[1.0], [2.0]], [[1.0, 2.0], []]]), "different lengths, the first is in row 1"),
    "a null list": (cells([[[1.0], [2.0]], [[1.0], None]]), "missing values, the first is in row 1"),
    "a null number": (cells([[1.0, 2.0], [1.0, None]]), "missing values, the first is in row 1"),
    "a null row": (cells([[1.0, 2.0], None]), "20 rows without a value, the first is row 1"),
    "null in lists of one size": (
        pa.array(cells([[[1.0], [2.0]], [[1.0], None]]), pa.list_(pa.list_(pa.float64(), 1), 2)),
        "missing values, the first is in row 1",
    ),
}


@pytest.mark.parametrize("case", RAGGED)
def test_lists_that_differ_between_samples_are_refused(case: str, tmp_path: Path) -> None:
    column, sentence = RAGGED[case]
    with pytest.raises(UserError, match=rf"a.parquet: column 'h'.*{sentence}"):
        zx(tmp_path, {"h": column})
    with pytest.raises(UserError, match=rf"p.parquet: column 'x'.*{sentence}"):
        zx(tmp_path, {"h": Z}, {"x": column})


def test_cells_of_many_types_are_numbers(tmp_path: Path) -> None:
    fixed = pa.FixedShapeTensorArray.from_numpy_ndarray(Z)
    for column in (
        fixed,
        pa.array(Z.tolist(), pa.large_list(pa.float64())),
        pa.array(Z[:, :, None].tolist(), pa.list_(pa.list_(pa.float64(), 1))),
    ):
        assert zx(tmp_path, {"h": column}) == EXPECTED
    whole = np.abs(Z * 100).astype(np.uint16)
    found = zx(tmp_path, {"h": pa.array(whole.tolist(), pa.list_(pa.uint16()))})
    assert found == measure(whole, X, Y, family="linear")[0].value
    assert zx(tmp_path, {"h": (Z > 0).tolist()}) == measure(Z > 0, X, Y, family="linear")[0].value
    for unread, sentence in (
        (pa.array(["a"] * N), "expected numbers"),
        (pa.array([{"a": 1}] * N), "expected numbers"),
        (pa.nulls(N), "without a value"),
        (pa.array([[]] * N, pa.list_(pa.float64())), "column 'h' holds empty lists"),
    ):
        with pytest.raises(UserError, match=sentence):
            zx(tmp_path, {"h": unread})


def test_values_that_overflow_are_noted_at_their_checkpoint_alone(tmp_path: Path) -> None:
    two = {"step": np.repeat([0, 1], N), "h": np.concatenate([Z, Z * 1e200])}
    zx(tmp_path, two)
    notes = pl.read_parquet(tmp_path / "m.parquet").filter(pl.col("measure") == "zx")["note"].to_list()
    assert notes == ["", "non-finite"]


# Columns


def test_two_columns_of_one_site_or_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"columns 'block1' and 'block1\.z' are the same site"):
        zx(tmp_path, {"block1": Z, "block1.z": Z})
    table = pa.Table.from_arrays([pa.array(Z[:, 0]), pa.array(Z[:, 1])], names=["h", "h"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(UserError, match="more than one column 'h'"):
        ForeignActivations(tmp_path / "twice.parquet")


def test_numbered_columns_that_stand_sorted_as_words_are_read_by_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(f"layer{index}" for index in range(1, 12))
    zx(tmp_path, dict.fromkeys(names, Z))
    file = ForeignActivations(tmp_path / "a.parquet")
    assert [site.name for site in file.sites] == [f"layer{index}" for index in range(1, 12)]
    assert file.renumbered and [site.depth for site in file.sites] == list(range(11))
    assert by_number(["stem", "b1", "b10", "b2", "head"]) == ["stem", "b1", "b2", "b10", "head"]
    for kept in (["b10", "b2", "b1"], ["b1", "b2", "b10"], ["head", "b1", "stem"], ["b9", "b10"]):
        assert by_number(kept) == kept
    held_out = write(tmp_path / "held_out.parquet", x=X, label=Y)
    given = [tmp_path / "a.parquet", "--held-out", held_out, "--family", "linear", "--output", tmp_path / "m.parquet"]
    monkeypatch.setattr(sys, "argv", ["measures", *map(str, given)])
    main()
    assert "stand sorted as words: layer1, layer2" in " ".join(capsys.readouterr().out.split())


def test_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "run[1] {m} *"
    folder.mkdir()
    assert zx(folder, {"step": np.zeros(N, int), "sample": SHUFFLED, "h": Z[SHUFFLED]}) == EXPECTED
    assert measure_file(str(folder / "a.parquet"), str(folder / "p.parquet"), {"linear": {}}, str(folder / "m.parquet"))


# The held-out file


def test_what_held_out_samples_may_hold_as_x_and_y(tmp_path: Path) -> None:
    for label in (
        Y.astype(str),
        Y.astype(np.float64),
        Y.astype(np.uint64),
        np.eye(3)[Y],
        pa.array(Y).dictionary_encode(),
    ):
        assert zx(tmp_path, {"h": Z}, {"label": label}) == EXPECTED
    for label, sentence in (
        (RNG.normal(size=N), "column 'label' holds numbers that are not whole"),
        (np.where(Y == 0, np.nan, Y), "column 'label' holds NaN"),
        (np.arange(N), "40 different labels"),
    ):
        with pytest.raises(UserError, match=sentence):
            zx(tmp_path, {"h": Z}, {"label": label})
    ids = np.arange(N) // 4
    with pytest.raises(UserError, match=r"column 'x' holds one whole number per sample, and linear would.*--amounts"):
        zx(tmp_path, {"h": Z}, {"x": ids})
    assert (
        zx(tmp_path, {"h": Z}, {"x": ids}, amounts=True) == measure(Z, ids, Y, family="linear", amounts=True)[0].value
    )
    write(tmp_path / "p.parquet", x=ids.astype(str), label=Y)
    rows = measure_file(tmp_path / "a.parquet", tmp_path / "p.parquet", {"binned": {}}, tmp_path / "m.parquet")
    assert rows[0]["value"] == measure(Z, ids, Y, family="binned")[0].value


def test_samples_that_belong_together_are_read_from_the_held_out_file(tmp_path: Path) -> None:
    groups = np.arange(N) // 4
    expected = measure(Z, X, Y, family="linear", group=groups)[0].value
    assert zx(tmp_path, {"h": Z}, {"group": groups.astype(str)}) == expected
    assert zx(tmp_path, {"h": Z}, {"speaker": groups}, group="speaker") == expected
    with pytest.raises(UserError, match=r"has no column 'speakr' .*did you mean 'speaker'"):
        zx(tmp_path, {"h": Z}, {"speaker": groups}, group="speakr")


def test_metadata_that_is_no_json_is_a_sentence(tmp_path: Path) -> None:
    for broken in (b"{", b"[1]"):
        table = pa.table({"h": Z.tolist()}).replace_schema_metadata({b"infoplane": broken})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(UserError, match="metadata is no JSON object"):
            ForeignActivations(tmp_path / "a.parquet")

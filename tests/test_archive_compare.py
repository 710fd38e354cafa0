"""Two folders of results, table by table: the same to the bit, the same values, or how far off."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import REPOSITORY

from infoplane.archive import compare, manifest
from infoplane.errors import UserError
from infoplane.storage.parquet import write_rows

ROWS = {
    "site": ["stem", "block1", "logits"],
    "step": [0, 1, 2],
    "value": [0.5, None, float("nan")],
    "blocks": [[0.25, 4.0], [], None],
}
METADATA = {"config": {"data": {"path": "here"}, "seeds": [0]}, "versions": {"torch": "2.13.0"}}


def write(path: Path, changes: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pl.DataFrame(ROWS | (changes or {})).to_arrow(compat_level=pl.CompatLevel.oldest())
    write_rows(path, table, METADATA | (metadata or {}))
    return path


def said(tmp_path: Path, changes: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> str:
    """What comes of a table and one that differs from it, after the name."""
    first, second = write(tmp_path / "a.parquet"), write(tmp_path / "b.parquet", changes, metadata)
    found = compare.table(first, second, "table")
    assert found.same != (found.said == "differs")
    return ": ".join([found.said, *found.detail])


def test_the_same_table_is_the_same_to_the_bit(tmp_path: Path) -> None:
    assert said(tmp_path) == "the same, to the bit"


def test_other_metadata_are_no_difference_but_are_named(tmp_path: Path) -> None:
    other = {"config": {"data": {"path": "there"}, "seeds": [0]}, "versions": {"torch": "2.14.0", "numpy": "2"}}
    told = said(tmp_path, metadata=other)
    assert told == "the same values, to the bit; other metadata: config.data.path, versions.numpy, versions.torch"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"value": [0.5 + 2**-10, None, float("nan")]}, "value: 1 of 3 rows, by up to 0.00098 (largest value 0.5)"),
        ({"value": [0.5, 1.0, float("nan")]}, "value: 1 of 3 rows"),
        ({"value": [0.5, None, 1.0]}, "value: 1 of 3 rows"),
        ({"blocks": [[0.25, 3.0], [], None]}, "blocks: 1 of 3 rows, by up to 1 (largest value 4)"),
        ({"blocks": [[0.25], [], None]}, "blocks: 1 of 3 rows"),
        ({"site": ["stem", "block2", "logits"]}, "site: 1 of 3 rows"),
        ({"step": [0, 1, 5]}, "step: 1 of 3 rows, by up to 3 (largest value 2)"),
        ({"step": [0.0, 1.0, 2.0]}, "step: Int64 became Float64"),
    ],
)
def test_how_far_off_a_column_is(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    assert said(tmp_path, changes) == f"differs: {told}"


def test_every_column_that_differs_is_told(tmp_path: Path) -> None:
    told = said(tmp_path, {"site": ["a", "b", "c"], "step": [0, 2, 2]})
    assert told == "differs: site: 3 of 3 rows: step: 1 of 3 rows, by up to 1 (largest value 1)"


def test_metadata_that_may_be_the_reason_are_told_last(tmp_path: Path) -> None:
    told = said(tmp_path, {"step": [0, 1, 3]}, {"versions": {"torch": "2.14.0"}})
    assert told == "differs: step: 1 of 3 rows, by up to 1 (largest value 2): other metadata: versions.torch"


def test_other_rows_and_other_columns(tmp_path: Path) -> None:
    one = pl.DataFrame(ROWS)
    assert compare.differences(one, one.head(2)) == ["3 rows became 2"]
    (told,) = compare.differences(one, one.drop("step").with_columns(new=1))
    assert "without step, with new" in told
    assert compare.differences(one, one) == []


def test_a_damaged_table_hides_no_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        for name in ("one", "two"):
            write(tmp_path / folder / f"{name}.parquet")
    broken = tmp_path / "b" / "one.parquet"
    broken.write_bytes(broken.read_bytes()[:-20])
    found = compare.folders(tmp_path / "a", tmp_path / "b")
    assert [(one.name, one.same) for one in found] == [("one.parquet", False), ("two.parquet", True)]
    assert found[0].said == f"cannot be compared: {broken} is damaged"


def test_a_table_that_is_not_there_is_a_difference(tmp_path: Path) -> None:
    write(tmp_path / "a" / "tables" / "one.parquet")
    (tmp_path / "b").mkdir()
    (found,) = compare.folders(tmp_path / "a", tmp_path / "b", "results/demo")
    assert (found.name, found.said, found.same) == ("tables/one.parquet", "not in results/demo", False)


def test_tensors_are_compared_as_they_are(tmp_path: Path) -> None:
    about = {"tensors": {"image": {"shape": [1], "dtype": "uint8"}}}
    first = write(tmp_path / "a.parquet", metadata=about)
    second = write(tmp_path / "b.parquet", {"step": [0, 1, 3]}, metadata=about)
    assert compare.table(first, second, "x").said == "differs; it holds tensors, which are not compared further"


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="nowhere is not a folder: name two folders of results"):
        compare.folders(tmp_path / "empty", tmp_path / "nowhere")
    with pytest.raises(UserError, match="empty holds no tables"):
        compare.folders(tmp_path / "empty", tmp_path)


# --- an unpacked archive


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """What an archive leaves behind when it is unpacked, and a rerun that came to the same."""
    folder = tmp_path / "demo"
    write(folder / "archived" / "tables" / "measures.parquet")
    (folder / "Snakefile").write_text("code\n")
    shutil.copytree(folder / "archived", folder / "results" / "demo")
    weights = folder / "results" / "demo" / "train" / "checkpoints.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    names = ("archived/tables/measures.parquet", "Snakefile")
    values = dict.fromkeys(manifest.KEYS) | {
        "experiment": "demo",
        "results": "results/demo",
        "files": manifest.described({name: folder / name for name in names}),
        "left_out": manifest.described({"train/checkpoints.safetensors": weights}),
    }
    (folder / manifest.NAME).write_text(manifest.text(values))
    return folder


def told(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of the command."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "infoplane.archive", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def test_a_rerun_that_came_to_the_same(unpacked: Path) -> None:
    assert told(unpacked) == (
        0,
        "files of the archive     all 2 as they were archived\n"
        "tables/measures.parquet  the same, to the bit\n"
        "train/                   1 of 1 files the same, to the bit\n",
    )


def test_an_archive_that_was_not_rerun(unpacked: Path) -> None:
    shutil.rmtree(unpacked / "results")
    status, text = told(unpacked)
    assert status == 0 and "not made yet: `make run` makes it" in text


def test_an_edited_file_is_named(unpacked: Path) -> None:
    (unpacked / "Snakefile").write_text("other\n")
    write(unpacked / "archived" / "tables" / "measures.parquet", {"step": [0, 1, 7]})
    status, text = told(unpacked)
    assert status == 1
    assert "changed: Snakefile, archived/tables/measures.parquet\n" in text
    assert "tables/measures.parquet  differs\n    step: 1 of 3 rows, by up to 5 (largest value 7)" in text


def test_a_deleted_file_and_other_weights_are_named(unpacked: Path) -> None:
    (unpacked / "Snakefile").unlink()
    (unpacked / "results" / "demo" / "train" / "checkpoints.safetensors").unlink()
    status, text = told(unpacked)
    assert status == 1 and "missing: Snakefile\n" in text
    assert "0 of 1 files the same, to the bit, 1 not there" in text


def test_any_two_folders(unpacked: Path) -> None:
    write(unpacked / "results" / "demo" / "tables" / "measures.parquet", {"site": ["a", "b", "c"]})
    status, text = told(unpacked, "archived", "results/demo")
    assert (status, text) == (1, "tables/measures.parquet  differs\n    site: 3 of 3 rows\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "error: manifest.json is missing: run this in the folder that an archive was unpacked to.\n"),
        ("{", "error: manifest.json cannot be read"),
        (json.dumps({"experiment": "demo"}), "error: manifest.json is not the manifest of an archive"),
    ],
)
def test_what_is_no_archive_is_one_sentence(unpacked: Path, content: str | None, sentence: str) -> None:
    path = unpacked / manifest.NAME
    path.unlink() if content is None else path.write_text(content)
    status, text = told(unpacked)
    assert status == 2 and text.startswith(sentence) and text.count("\n") == 1


def test_one_folder_is_not_two(unpacked: Path) -> None:
    status, text = told(unpacked, "archived")
    assert status == 2 and text.startswith("error: 1 folder given: name two folders of results, or none")


def test_no_program_of_an_archive_runs(unpacked: Path) -> None:
    """Not with -P, whatever it holds; and without it not those that are imported after Python has started."""
    for name in ("argparse", "json", "importlib", "numpy", "polars", "infoplane/__init__"):
        (unpacked / name).parent.mkdir(exist_ok=True)
        (unpacked / f"{name}.py").write_text("open('ran', 'w').close()")
    assert told(unpacked)[0] == 0 and not (unpacked / "ran").exists()
    for name in ("importlib.py", "infoplane/__init__.py"):
        (unpacked / name).unlink()
    (unpacked / "infoplane").rmdir()
    command = [sys.executable, "-m", "infoplane.archive"]
    done = subprocess.run(command, cwd=unpacked, env={"PYTHONPATH": str(REPOSITORY / "src")}, capture_output=True)
    assert done.returncode == 0 and not (unpacked / "ran").exists()


@pytest.mark.parametrize("key", manifest.NAMED)
@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "", "a\0b"])
def test_a_manifest_that_names_files_elsewhere_is_refused(unpacked: Path, key: str, name: str) -> None:
    (unpacked.parent / "secret").write_text("mine")
    path = unpacked / manifest.NAME
    values = json.loads(path.read_text())
    values[key][name] = {"bytes": 4, "sha256": "0" * 64}
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="is not below the archive's folder: do not trust it"):
        compare.unpacked(unpacked)


@pytest.mark.parametrize("results", ["../results", "/", None, 3])
def test_results_of_a_manifest_lie_in_the_archive(unpacked: Path, results: object) -> None:
    path = unpacked / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"results": results}))
    with pytest.raises(UserError, match=r"do not trust it|not the manifest of an archive"):
        compare.unpacked(unpacked)


def test_links_out_of_an_archive_are_not_followed(unpacked: Path) -> None:
    secret = unpacked.parent / "secret"
    secret.write_text("code\n")  # what the archive's own file held
    (unpacked / "Snakefile").unlink()
    (unpacked / "Snakefile").symlink_to(secret)
    assert compare.unpacked(unpacked)[0].said == "missing: Snakefile"
    (unpacked / "archived" / "tables" / "other.parquet").symlink_to(secret)
    with pytest.raises(UserError, match="archived holds links"):
        compare.unpacked(unpacked)


def test_names_reach_the_terminal_as_escapes(unpacked: Path) -> None:
    path = unpacked / manifest.NAME
    values = json.loads(path.read_text())
    values["files"]["\x1b[2J\x9b31m"] = values["files"]["Snakefile"]
    path.write_text(json.dumps(values))
    status, text = told(unpacked)
    assert status == 1 and r"missing: \x1b[2J\x9b31m" in text and "\x1b" not in text

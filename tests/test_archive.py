"""What is in an archive and what it says of itself."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from conftest import REPOSITORY
from data_sources import encode, paths, some_images

from infoplane import checkout
from infoplane.archive import about, manifest, pack
from infoplane.config.complete import complete, portable
from infoplane.config.load import load
from infoplane.data.prepare import prepare
from infoplane.errors import UserError
from infoplane.specs import DataSpec, Plugin
from infoplane.tables import collect
from infoplane.testing import results as synthetic_results

EXPERIMENTS = [REPOSITORY / "config" / "config.yaml", *sorted((REPOSITORY / "config" / "experiments").glob("*.yaml"))]
TABLES = ("tables/measures.parquet", "tables/history.parquet")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of an experiment with both tables and, of one run, checkpoints."""
    folder = tmp_path / "results" / "demo"
    runs = synthetic_results.experiment(tmp_path / "runs")
    collect(runs, synthetic_results.config(), *(folder / table for table in TABLES))
    return folder


def config(**data: Any) -> dict[str, Any]:
    return portable(load({"experiment": "demo", "data": {"kind": "digits"} | data}))


def packed(results: Path, **changes: Any) -> Path:
    output = results / "archive" / "demo.zip"
    shown = [results / table for table in TABLES]
    arguments: dict[str, Any] = {"root": REPOSITORY, "config": config(), "results": results, "shown": shown}
    pack.pack(output, **(arguments | changes))
    return output


# --- the complete configuration


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_a_complete_configuration_is_the_same_plan(path: Path) -> None:
    plan = load(yaml.safe_load(path.read_text()))
    written = yaml.safe_load(yaml.safe_dump(complete(plan), sort_keys=False))
    again = load(written)
    assert complete(again) == complete(plan) == written
    assert replace(again, config=plan.config) == plan
    assert list(written["shortcuts"]) == list(plan.shortcuts)


def test_a_complete_configuration_spells_out_every_default() -> None:
    found = complete(load({"shortcuts": {"half": {"kind": "scaled"}}, "architectures": {"mlp": {"width": 3}}}))
    assert found["shortcuts"] == {"half": {"kind": "scaled", "alpha": 0.5}}
    assert found["architectures"]["mlp"]["width"] == 3 and "blocks" in found["architectures"]["mlp"]
    assert found["phases"]["level"] == 0.95


def test_places_of_this_machine_stay_here() -> None:
    plan = load({"results": "/scratch/results", "data": {"folder": "/scratch/downloads"}})
    found = portable(plan)
    assert (found["results"], found["data"]["folder"]) == ("results", "datasets")
    assert "/scratch" in json.dumps(complete(plan)) and "/scratch" not in json.dumps(found)


# --- the checkout


def copied(tmp_path: Path) -> Path:
    for path in checkout.files(REPOSITORY):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, tmp_path / path)
    return tmp_path


def test_a_checkout_is_what_a_run_needs_and_no_more(tmp_path: Path) -> None:
    root = copied(tmp_path)
    before = checkout.files(root)
    for name in (
        "results/demo/report.html",
        "src/infoplane/__pycache__/x.py",
        "scripts/x.pyc",
        "notes.md",
        "docs/.x.md",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("beside")
    assert checkout.files(root) == before
    assert {Path("Snakefile"), Path("profiles/default/config.yaml"), Path("src/infoplane/checkout.py")} <= {*before}


def test_a_checkout_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / "LICENSE").unlink()
    with pytest.raises(UserError, match="is not a complete checkout: LICENSE is missing"):
        checkout.files(root)


# --- the archive


def test_an_archive_holds_code_configuration_and_results(results: Path, tmp_path: Path) -> None:
    written = tmp_path / "mine.yaml"
    written.write_text("experiment: demo # why\n")
    with zipfile.ZipFile(packed(results, given=[written])) as archive:
        names = archive.namelist()
        files = {name.removeprefix("demo/"): archive.read(name) for name in names}
    assert names == sorted(names) and all(name.startswith("demo/") for name in names)
    assert files["Snakefile"] == (REPOSITORY / "Snakefile").read_bytes()
    assert yaml.safe_load(files["config/config.yaml"]) == config()
    assert files["archived/config/mine.yaml"] == written.read_bytes()
    for table in TABLES:
        assert files[f"archived/{table}"] == (results / table).read_bytes()
    told = json.loads(files["manifest.json"])
    assert set(told["files"]) == set(files) - {"manifest.json"}
    assert all(told["files"][name] == manifest.describe(files[name]) for name in told["files"])
    assert told["measured"]["versions"]["torch"] == "9.8.7" and told["measured"]["runs"]["finished"]
    assert told["made"]["packages"]["polars"]["installed"] == pl.__version__


def test_the_same_contents_are_the_same_bytes(results: Path) -> None:
    first = packed(results).read_bytes()
    for table in TABLES:
        (results / table).touch()
    assert packed(results).read_bytes() == first


def test_several_configuration_files_keep_their_order(results: Path, tmp_path: Path) -> None:
    given = [tmp_path / name / "same.yaml" for name in ("a", "b")]
    for path in given:
        path.parent.mkdir()
        path.write_text(f"# {path.parent.name}\n")
    with zipfile.ZipFile(packed(results, given=given)) as archive:
        assert archive.read("demo/archived/config/1-same.yaml") == b"# a\n"
        assert archive.read("demo/archived/config/2-same.yaml") == b"# b\n"


def test_what_is_left_out_is_named(results: Path) -> None:
    run = results / "train" / "resnet" / "identity" / "seed0" / "checkpoints.safetensors"
    run.parent.mkdir(parents=True)
    run.write_bytes(b"weights")
    template = f"{results}/train/{{architecture}}/{{shortcut}}/seed{{seed}}/checkpoints.safetensors"
    with zipfile.ZipFile(packed(results, left_out=[template])) as archive:
        told, page = json.loads(archive.read("demo/manifest.json")), archive.read("demo/ARCHIVE.md").decode()
    assert told["left_out"] == {run.relative_to(results).as_posix(): manifest.describe(b"weights")}
    assert "| `results/demo/train/` | 1 | 7 bytes |" in page


def test_one_file_of_ones_own_is_named_with_its_digest(results: Path, tmp_path: Path) -> None:
    (tmp_path / "train-0.parquet").write_bytes(b"shard")
    own = {"kind": "image_parquet", "path": str(tmp_path / "train-*.parquet"), "side": 8}
    with zipfile.ZipFile(packed(results, config=config(**own))) as archive:
        told, page = json.loads(archive.read("demo/manifest.json")), archive.read("demo/ARCHIVE.md").decode()
    assert told["data"]["files"] == {str(tmp_path / "train-0.parquet"): manifest.describe(b"shard")}
    assert manifest.describe(b"shard")["sha256"] in page and own["path"] in page


def test_a_folder_of_ones_own_has_the_digest_that_sha256sum_gives(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/1.png", "a/deep/3.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    told = manifest.data({"data": {"kind": "image_folder", "path": str(tmp_path)}}, tmp_path / "no-held_out.parquet")
    listing = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(listing, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told["folder"] == {"files": 3, "bytes": 27, "sha256": said.split()[0]}
    page = about.text(values() | {"data": told})
    assert (
        "3 files, 27 bytes" in page and "it is not known whether they are the same" in page and said.split()[0] in page
    )


def test_it_is_told_what_was_trained_on_and_not_what_lies_there_now(tmp_path: Path) -> None:
    pixels, labels = some_images(20, (1, 8, 8), 2)
    for number, label in enumerate(labels):
        path = tmp_path / "mine" / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(pixels[number]))
    options = {"path": str(tmp_path / "mine"), "classes": 2, "side": 8, "channels": 1}
    prepare(DataSpec(Plugin("image_folder", options), 6, 4, None, 0), tmp_path, paths(tmp_path))
    own = {"data": {"kind": "image_folder", "path": options["path"]}}
    before = manifest.data(own, tmp_path / "held_out.parquet")
    assert "since" not in before and before["folder"]["files"] == 20
    (tmp_path / "mine" / "0" / "0.png").write_bytes(encode(pixels[1]))
    assert manifest.data(own, tmp_path / "held_out.parquet") == before | {"since": manifest.CHANGED}
    shutil.rmtree(tmp_path / "mine")
    gone = manifest.data(own, tmp_path / "held_out.parquet")
    assert gone == before | {"since": manifest.GONE}
    page = about.text(values() | {"data": gone})
    assert before["folder"]["sha256"] in page and "The files were not there any more" in page


def values() -> dict[str, Any]:
    package = {"installed": "2.13.0+cpu", "pinned": "2.13.0"}
    return {
        "experiment": "demo",
        "results": "results/demo",
        "left_out": {},
        "data": {"kind": "digits"},
        "measured": {"versions": {"torch": "2.13.0"}, "devices": ["cuda"], "runs": {"finished": 2, "diverged": 1}},
        "made": {"platform": "Linux", "python": "3.11.7", "packages": {"torch": package}},
    }


def test_the_page_tells_other_versions_and_deleted_results() -> None:
    page = about.text(values())
    assert "had been deleted" in page and "Device: cuda. Runs: 2 finished, 1 diverged." in page
    assert "other versions" not in page
    other = {"numpy": {"installed": "1.0", "pinned": "2.4.6"}}
    assert "other versions: numpy 1.0 (pinned: 2.4.6)" in about.text(
        values() | {"made": values()["made"] | {"packages": other}}
    )


# --- what cannot be archived


def missing(results: Path) -> None:
    (results / TABLES[1]).unlink()


def truncated(results: Path) -> None:
    path = results / TABLES[1]
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing, "history.parquet is missing: run the workflow again"),
        (truncated, "history.parquet is not a complete Parquet file"),
    ],
)
def test_a_damaged_table_is_not_archived(results: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(results)
    with pytest.raises(UserError, match=sentence):
        packed(results)
    assert not list((results / "archive").glob("*"))


def test_a_chart_that_is_missing_is_named(results: Path) -> None:
    shown = [*(results / table for table in TABLES), results / "charts" / "contrast.svg"]
    with pytest.raises(UserError, match=r"contrast\.svg is missing: run the workflow again"):
        packed(results, shown=shown)


def test_without_its_measures_nothing_is_archived(results: Path) -> None:
    with pytest.raises(UserError, match=r"measures\.parquet is not among the archived files"):
        packed(results, shown=[results / TABLES[1]])


def test_data_that_are_gone_are_said_to_be(results: Path, tmp_path: Path) -> None:
    own = {"kind": "image_parquet", "path": str(tmp_path / "nowhere-*.parquet")}
    with pytest.raises(UserError, match=r"data\.path: .*no file matches .*nowhere"):
        packed(results, config=config(**own))


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "table"
    source.write_text("before")
    files = manifest.described({"table": source})
    source.write_text("after!")
    with pytest.raises(UserError, match="table was changed while it was archived"):
        pack.write(tmp_path / "x.zip", "demo", {"table": source}, files)
    assert not list(tmp_path.glob("*.zip")) and not list(tmp_path.glob(".*"))


def test_the_script_says_it_in_one_sentence(results: Path) -> None:
    truncated(results)
    shown = [str(results / table) for table in TABLES]
    arguments = ["--checkout", str(REPOSITORY), "--results", str(results), "--output", str(results / "x.zip")]
    done = subprocess.run(
        [sys.executable, "scripts/archive.py", *arguments, "--config", json.dumps(config()), "--shown", *shown],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {results / TABLES[1]} is not a complete Parquet file")


def test_without_a_checkout_nothing_of_the_archive_is_asked_for() -> None:
    """Its rules are included where there is a checkout only."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow" / "rules").glob("*.smk")}
    own = texts.pop("archived") + texts.pop("archive")
    names = re.findall(r"^(?:def )?(\w+)(?= = |\()", own, re.MULTILINE)
    assert {"ARCHIVE", "archive_given"} <= set(names)
    for name, text in texts.items():
        for line in text.splitlines():
            assert "BASE and " in line or not re.search(rf"\b({'|'.join(names)})\b", line), f"{name}: {line}"

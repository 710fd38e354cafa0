"""Where results come from: date, commit and machine, recorded when a run is trained and shown by the report."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from infoplane import provenance
from infoplane.charts.frames import Tables
from infoplane.report import page as report
from infoplane.report.durations import durations
from infoplane.report.origin import origin
from infoplane.specs import TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.testing import results as synthetic
from infoplane.training.run import train

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *command: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", folder, *names, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with code and notes, all of it committed."""
    folder = tmp_path / "checkout"
    for name in ("src/a.py", "scripts/b.py", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1\n")
    git(tmp_path, "init", "-q", "checkout")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return folder


def code(folder: Path) -> provenance.Code:
    provenance.code.cache_clear()
    return provenance.code(folder)


def test_a_checkout_is_known_by_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert code(checkout) == {"commit": commit, "changed": False}
    (checkout / "notes.txt").write_text("no code\n")
    assert not code(checkout)["changed"]
    (checkout / "src" / "new.py").write_text("a plug-in of one's own\n")
    assert code(checkout) == {"commit": commit, "changed": True}
    (checkout / "src" / "new.py").unlink()
    (checkout / "scripts" / "b.py").write_text("2\n")
    assert code(checkout)["changed"]


def test_a_repository_around_the_code_is_not_the_codes(checkout: Path, tmp_path: Path) -> None:
    assert code(checkout / "src") == code(tmp_path) == {"commit": None, "changed": False}


def test_without_git_no_commit_is_known(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code(checkout) == {"commit": None, "changed": False}


def test_training_records_it_beside_the_history_alone(
    splits: dict[str, Path], train_spec: Callable[..., TrainSpec], tmp_path: Path
) -> None:
    files = tmp_path / "checkpoints.safetensors", tmp_path / "history.parquet"
    train(train_spec(), splits["train"], splits["validation"], *files, tmp_path / "state", torch.device("cpu"))
    made = read_rows(files[1])[1]["made"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["date"]) and made["machine"].endswith("GiB")
    assert set(made) == {"date", "machine", "commit", "changed"}
    assert "made" not in CheckpointFile(files[0]).metadata


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """One architecture, three shortcuts, two seeds."""
    return synthetic.made(tmp_path_factory.mktemp("tables"), architectures=("vit",), checkpoints=4, blocks=2)


def history(folder: Path, run: dict[str, Any], made: dict[str, Any] | None) -> None:
    path = folder / run["architecture"] / run["shortcut"] / f"seed{run['seed']}" / "history.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, pa.table({"step": [0]}), {"made": made} if made else {})


def test_the_report_tells_when_where_and_with_what_runs_were_trained(tables: Tables, tmp_path: Path) -> None:
    made = {"commit": COMMIT, "changed": False, "machine": "A processor, 2 cores, 4 GiB"}
    runs = [run for run in tables.metadata["runs"] if run["status"] != "missing"]
    for index, run in enumerate(runs):
        changed = index == len(runs) - 1
        history(
            tmp_path / "train", run, made | {"date": f"2026-02-0{1 + changed}T10:20:3{index % 10}Z", "changed": changed}
        )
    report.write(tables, [], tmp_path / "report.html", report.Beside(runs=tmp_path / "train"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    told = f"commit 0123456789 ({len(runs) - 1} runs); commit 0123456789, with changes that are not committed (1 run)"
    assert f"<dt>Trained</dt><dd>2026-02-01 10:20 to 2026-02-02 10:20 UTC, with {told}</dd>" in text
    assert "<dt>Machine</dt><dd>A processor, 2 cores, 4 GiB</dd>" in text and "trained <b>2026-02-02</b>" in text
    assert f"<dt>Page</dt><dd>written with {origin(tables, None)['written_with']}</dd>" in text


def test_runs_without_a_record_are_counted(tables: Tables, tmp_path: Path) -> None:
    made = {"commit": COMMIT, "changed": False, "machine": "A processor", "date": "2026-02-01T10:20:30Z"}
    for index, run in enumerate(tables.metadata["runs"][:3]):
        history(tmp_path, run, None if index else made)
    found = origin(tables, tmp_path)
    assert found["dates"] == ["2026-02-01 10:20"]
    assert found["machines"] == ["A processor (1 run)", "not recorded (2 runs)"]
    assert found["trained_with"] == ["commit 0123456789 (1 run)", "not recorded (2 runs)"]


def test_what_was_not_recorded_is_said(tables: Tables, tmp_path: Path) -> None:
    history(tmp_path / "train", tables.metadata["runs"][0], None)
    for folder in (None, tmp_path / "train", tmp_path / "gone"):
        found = origin(tables, folder)
        assert (found["dates"], found["machines"], found["trained_with"]) == ([], [], [])
    report.write(tables, [], tmp_path / "report.html")
    assert "<dt>Trained</dt><dd>date not recorded</dd>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_is_the_same_when_it_is_written_again(tables: Tables, tmp_path: Path) -> None:
    """Jobs that the page does not show, itself among them, are not counted: they have run by the second time."""
    for name in ("tables", "train/a/b/seed0"):
        (tmp_path / "times" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "times" / f"{name}.tsv").write_text("s\tmax_rss\n2.5\t10\n")
    beside = report.Beside(benchmarks=tmp_path / "times")
    report.write(tables, [], tmp_path / "once.html", beside)
    for name in ("report", "animation", "summary", "archive", "accuracy"):
        (tmp_path / "times" / f"{name}.tsv").write_text("s\tmax_rss\n7.5\t10\n")
    report.write(tables, [], tmp_path / "again.html", beside)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "once.html").read_bytes()
    found = durations(tmp_path / "times")
    assert found is not None and found["total"] == 5.0

"""Two runs at once, a lock that was left, a folder that cannot be written to: a sentence each, and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from workflow import Workflow, tiny

from infoplane.config.workplace import _is_snakemake, other_run, require_writable
from infoplane.errors import UserError


def lock(folder: Path, *paths: str) -> None:
    locks = folder / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("\n".join(paths) + "\n")


def test_a_lock_that_nobody_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert other_run("results/demo") is None
    lock(tmp_path, "results/demo/report.html")
    said = other_run("results/demo")
    assert said is not None and "was killed" in said and "snakemake --unlock" in said
    assert other_run("results/dem") is None and other_run("results/other") is None


def test_a_lock_whose_jobs_go_on_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have outlived their Snakemake; those of other results are not meant."""
    monkeypatch.chdir(tmp_path)
    lock(tmp_path, "results/demo/report.html")
    words = "import time; time.sleep(60)", "--output"
    orphans = []
    try:
        for name in ("demo", "other"):
            # A process in between that ends at once: the job is nobody's child.
            job = [sys.executable, "-c", *words, f"results/{name}/x"]
            starts = f"import subprocess as s; print(s.Popen({job!r}, stdout=s.DEVNULL).pid)"
            done = subprocess.run([sys.executable, "-c", starts], text=True, stdout=subprocess.PIPE, check=True)
            orphans.append(int(done.stdout))
        said = other_run("results/demo") or ""
        assert f"some of its jobs still run on this machine (process {orphans[0]})" in said
        assert str(orphans[1]) not in said
        assert f"kill {orphans[0]}; then say snakemake --unlock" in said and "another machine" not in said
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        (["python3", "-m", "snakemake", "-n"], True),
        (["/opt/bin/python3.12", "/opt/bin/snakemake", "--cores", "2"], True),
        (["snakemake"], True),
        (["grep", "snakemake"], False),
        (["sh", "-c", "snakemake --cores 2"], False),
        ([], False),
    ],
)
def test_what_is_a_snakemake(command: list[str], is_one: bool) -> None:
    assert _is_snakemake(command) == is_one


def test_a_file_where_results_should_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    require_writable("results/demo")
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to results/demo: .*results is a file"):
        require_writable("results/demo")


def test_a_folder_that_one_may_not_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    forbidden = tmp_path / "shared"
    forbidden.mkdir()
    access = os.access  # which lets root write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != forbidden and access(path, mode))
    with pytest.raises(UserError, match=r"you may not write to .*shared; set another `results`"):
        require_writable(f"{forbidden}/results/demo")


def test_the_workflow_says_so_before_it_runs(tmp_path: Path) -> None:
    workflow = Workflow.copy_to(tmp_path / "copy", tiny())
    (workflow.root / "results").write_text("mine")
    done = workflow.snakemake(check=False)
    assert done.returncode != 0 and "error: the results cannot be written to results/tiny" in done.stdout
    assert (workflow.root / "results").read_text() == "mine"


def test_two_at_once_and_a_run_that_was_killed(tmp_path: Path) -> None:
    """The second is told who works there and spoils nothing; after kill -9 one sentence says how to go on."""
    workflow = Workflow.copy_to(tmp_path / "copy", tiny())
    first = workflow.start()
    locks = workflow.root / ".snakemake" / "locks"
    deadline = time.monotonic() + 300
    while not list(locks.glob("*.output.lock")) and time.monotonic() < deadline:
        time.sleep(0.01)
    second = workflow.snakemake(check=False)
    assert second.returncode != 0
    assert f"note: another run works on results/tiny (process {first.pid}, since " in second.stdout
    for child in psutil.Process(first.pid).children(recursive=True):
        child.kill()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    third = workflow.snakemake(check=False)
    assert third.returncode != 0 and "note: a run that was killed has left its lock on results/tiny" in third.stdout
    workflow.snakemake("--unlock")
    workflow.snakemake("--until", "data")
    assert (workflow.results / "data" / "held_out.parquet").stat().st_size > 0

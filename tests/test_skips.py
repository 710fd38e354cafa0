"""Tests that skip without a word test nothing: what a machine is said to have has to be there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

TEST = "import pytest\n@pytest.mark.skipif(True, reason='no Chromium on this machine')\ndef test_it(): pass\n"


@pytest.mark.parametrize(("required", "outcome"), [("slurm", "1 skipped"), ("slurm,chromium", "1 error")])
def test_a_skip_is_an_error_where_what_it_lacks_is_required(tmp_path: Path, required: str, outcome: str) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    for name in ("conftest.py", "fitting.py"):
        (tmp_path / name).write_text((REPOSITORY / "tests" / name).read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"INFOPLANE_REQUIRES": required, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
    )
    assert outcome in done.stdout and (done.returncode == 0) == (outcome == "1 skipped"), done.stdout


def test_every_word_that_is_required_stands_in_a_reason() -> None:
    """`.ci/run` requires things by a word of the reason that the tests give."""
    named = re.findall(r"INFOPLANE_REQUIRES=([\w,]+)", (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8"))
    files = ("slurm_cluster", "test_explorer_browser", "test_module", "test_object_storage")
    reasons = " ".join((REPOSITORY / "tests" / f"{name}.py").read_text(encoding="utf-8") for name in files)
    for word in set(",".join(named).split(",")):
        assert re.search(rf'(reason=|return )f?"[^"]*\b{word}\b', reasons, flags=re.IGNORECASE), word

"""Old names are answered by one sentence that gives the new one; nothing of the old name is left."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infoplane import renamed
from infoplane.archive import compare
from infoplane.config.load import load
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.measures.standalone import measure_file

CONFIG: dict[str, Any] = {
    "data": {"kind": "digits"},
    "architectures": {"mlp": None},
    "shortcuts": {"none": None},
    "seeds": [0],
    "measures": {"linear": None},
}


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ({"data": {"kind": "digits", "probe": 256}}, "data.probe", "data.held_out"),
        ({"data": {"probe": "all", "held_out": 3}}, "data.probe", "data.held_out"),
        ({"activations": {"probe_noise": 0.1}}, "activations.probe_noise", "activations.image_noise"),
        ({"measures": {"variational": {"held_out": 0.3}}}, "measures.variational.held_out", "left_out"),
        ({"measures": {"nce": {"kind": "variational", "held_out": 0.3}}}, "measures.nce.held_out", "left_out"),
    ],
)
def test_an_old_key_is_answered_by_the_new_one(change: dict[str, Any], old: str, new: str) -> None:
    load(CONFIG)
    with pytest.raises(UserError, match=rf"^'{re.escape(old)}' is called '.*{re.escape(new)}' since version 0\.2\.0"):
        load(CONFIG | change)


def given(folder: Path) -> tuple[Path, Path]:
    """Activations of twelve samples, and the file with their X and Y."""
    x = np.random.default_rng(0).normal(size=(12, 2))
    pq.write_table(pa.table({"layer": x.tolist()}), folder / "a.parquet")
    pq.write_table(pa.table({"x": x.tolist(), "label": [0, 1] * 6}), folder / "h.parquet")
    return folder / "a.parquet", folder / "h.parquet"


def test_an_old_argument_is_answered_by_the_new_one(tmp_path: Path) -> None:
    activations, held_out = given(tmp_path)
    output = tmp_path / "m.parquet"
    assert measure_file(activations, held_out=held_out, families={"linear": {}}, output=output)
    with pytest.raises(UserError, match=r"^measure_file: 'probe' is called 'held_out' since"):
        measure_file(activations, probe=held_out, families={"linear": {}}, output=output)  # type: ignore[call-arg]
    command = [sys.executable, "-m", "infoplane.measures", activations, "--probe", held_out, "--output", output]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: '--probe' is called '--held-out' since version 0.2.0")


def test_an_old_result_is_answered_by_the_new_name(tmp_path: Path) -> None:
    (tmp_path / "probe.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"held_out\.parquet is missing: 'probe\.parquet' beside it is of version 0\.1"):
        read_split(tmp_path / "held_out.parquet")


def test_an_old_archive_is_answered_by_the_new_name(tmp_path: Path) -> None:
    for name, file in (("old", "probe.parquet"), ("new", "held_out.parquet")):
        (tmp_path / name / "data").mkdir(parents=True)
        pq.write_table(pa.table({"label": [0]}), tmp_path / name / "data" / file)
    (found,) = compare.folders(tmp_path / "old", tmp_path / "new", "results/new")
    assert found.said == "not in results/new, where it is called data/held_out.parquet since version 0.2.0"


def test_nothing_of_the_old_name_is_left() -> None:
    """A probe, in this field, is a classifier that is trained on activations."""
    root = Path(renamed.__file__).parents[2]
    speak_of_it = {"renamed.py", "samples.py", "glossary.md", "test_renamed.py", "__main__.py", "standalone.py"}
    left = [
        path
        for folder in ("src", "scripts", "workflow", "config", "docs", "bench", "tests")
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", ".smk", ".md", ".yaml", ".json", ".j2", ".svg"} and path.name not in speak_of_it
        if re.search("probe", path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert left == []

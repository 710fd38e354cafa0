"""The script that pages draw with: made once, kept by version, and made each time where nothing can be kept."""

from pathlib import Path

import pytest
import vl_convert

from infoplane.charts import vega


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty cache folder, and a maker of short scripts that counts."""
    made: list[str] = []

    def make(vl_version: str) -> str:
        made.append(vl_version)
        return f"// {vl_version} é"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(vl_convert, "javascript_bundle", make)
    return made


def test_it_is_made_once(calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vega.bundle() == vega.bundle() == f"// {vega.VEGA_LITE} é"
    assert len(calls) == 1 and len(list((tmp_path / "cache").rglob("*.js"))) == 1
    monkeypatch.setattr(vega, "version", lambda package: "another")
    assert vega.bundle() and len(calls) == 2, "another version's script is not taken for it"


def test_without_a_folder_to_keep_it_in(calls: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    assert vega.bundle() == vega.bundle() and len(calls) == 2


def test_what_is_no_text_is_made_anew(calls: list[str], tmp_path: Path) -> None:
    vega.bundle()
    (kept,) = (tmp_path / "cache").rglob("*.js")
    kept.write_bytes(b"\xff\xfe")
    assert vega.bundle() == f"// {vega.VEGA_LITE} é" and kept.read_bytes() != b"\xff\xfe"

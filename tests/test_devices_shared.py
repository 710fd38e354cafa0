"""The GPU lease on a machine of several users: none may take another's files, or wait for another's folder."""

import os
from pathlib import Path

import pytest

from infoplane import devices
from infoplane.devices import lease
from infoplane.errors import UserError


def test_every_user_has_a_lease_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("INFOPLANE_LEASES", raising=False)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    mine = devices.lease_folder()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert devices.lease_folder() != mine and mine.parent == devices.lease_folder().parent == tmp_path


@pytest.mark.parametrize("whose", ["another user's", "a link to mine, of another user", "open to all"])
def test_no_lease_is_kept_where_others_may_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whose: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("INFOPLANE_LEASES", str(tmp_path / "leases"))
    folder = tmp_path / "leases"
    if whose == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    elif whose == "another user's":
        folder.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    else:
        (tmp_path / "mine").mkdir()
        folder.symlink_to(tmp_path / "mine")
        owned = Path.lstat
        monkeypatch.setattr(
            Path, "lstat", lambda path: os.stat_result((0o777, *owned(path)[1:4], os.getuid() + 1, *owned(path)[5:]))
        )
    with pytest.raises(UserError, match="belongs to another user or may be written by all"), lease("cuda", works=bool):
        pass
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["guard", "gpu-0.slot0.lock"])
def test_a_link_in_place_of_a_lock_leaves_what_it_leads_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("INFOPLANE_LEASES", str(tmp_path / "leases"))
    precious, folder = tmp_path / "thesis.tex", tmp_path / "leases"
    precious.write_text("years of work")
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(precious)
    with pytest.raises(UserError, match="cannot keep GPU leases"), lease("cuda", works=bool):
        pass
    assert precious.read_text() == "years of work"

"""Files of public data sets: verified where they lie, downloaded where they do not."""

import contextlib
import errno
import hashlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infoplane.data.torchvision_shim import import_torchvision
from infoplane.errors import UserError
from infoplane.storage.atomic import atomic_path

PATIENCE = 60.0
"""Seconds without an answer after which a server counts as unreachable."""


@dataclass(frozen=True)
class Remote:
    """A file with the MD5 that its publisher states."""

    file: str
    md5: str
    mirrors: tuple[str, ...]
    """Folders on the web, tried in turn; each ends with a slash."""


def fetch(remotes: tuple[Remote, ...], folder: Path, name: str) -> list[Path]:
    """The files in ``folder``, those that are missing downloaded first; raises `UserError` where that fails.

    Nothing that a killed download left behind is ever taken for the file. ``name`` is the data set's.
    """
    missing = [remote for remote in remotes if not _present(remote, folder)]
    for remote in missing:
        problems = []
        for mirror in remote.mirrors:
            try:
                _download(mirror + remote.file, folder / remote.file, remote.md5)
                break
            except (OSError, RuntimeError, ImportError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                problems.append(str(error) or type(error).__name__)
        else:
            wanted = ", ".join(r.file for r in missing if not (folder / r.file).is_file())
            raise UserError(
                f"data set '{name}' cannot be downloaded ({'; '.join(dict.fromkeys(problems))}): on a machine with a "
                f"network get {wanted} from {' or '.join(remote.mirrors)}, copy to {folder} and run again."
            )
    return [folder / remote.file for remote in remotes]


def _present(remote: Remote, folder: Path) -> bool:
    path = folder / remote.file
    if not path.is_file():
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != remote.md5:
        raise UserError(
            f"{path} is damaged or not the official file (MD5 {found}, expected {remote.md5}): delete it and run again."
        )
    return True


def _download(url: str, target: Path, md5: str) -> None:
    with atomic_path(target) as temporary, _impatient():
        utils = import_torchvision("datasets.utils")
        utils.download_url(url, temporary.parent, temporary.name, md5)


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

"""Write files whole or not at all: write beside the target, then rename.

The file is on the disk before it is renamed, and the new name afterwards (fsync of the file and of its folder). So a
power cut leaves the old file or the new one, whole, and never an empty one.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from infoplane.errors import NO_SPACE, UserError

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES)
"""What a file system says that cannot bring a folder to the disk."""


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; on success it becomes the target, on failure it is removed.

    The name holds the process id and is not the target's, so that a killed writer never passes for a finished
    one, and what it left is removed by the next writer of the same target. Raises `UserError` where no file of that
    name can be written.
    """
    target = Path(target)
    new = [folder for folder in (target.parent, *target.parent.parents) if not _there(folder)]
    temporary = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        temporary.touch()  # whether it can be, before anything is worked out
        temporary.unlink()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UserError(f"cannot write {target}: {error.strerror}.") from None
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        for folder in (target.parent, *(folder.parent for folder in new)):
            _sync(folder)
    except OSError as error:
        if error.errno in NO_SPACE:
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _there(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:  # a name that is too long, or a folder that may not be looked into: `mkdir` says so
        return False


def _sweep(target: Path) -> None:
    """Remove the temporary files of dead writers of this target, and no other file."""
    left = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.part")
    for path in target.parent.iterdir():
        found = left.fullmatch(path.name)
        if found and not _alive(int(found[1])):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk; a full disk may show only now."""
    try:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if path.is_dir() and error.errno in NO_SYNC:
            return
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file (UTF-8) atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")

"""Nothing half-written is ever left behind: write beside the target, then rename."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from infoplane.errors import UserError


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; on success it becomes the target, on failure it is removed.

    The name holds the process id and is not the target's, so that a killed writer never passes for a finished
    one, and what it left is removed by the next writer of the same target.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise UserError(f"cannot write {target}: {error.strerror}.") from None
    for stale in target.parent.glob(f".{target.name}.*.part"):
        if not _alive(int(stale.name.rsplit(".", 2)[1])):
            stale.unlink(missing_ok=True)
    temporary = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_text(target: Path, text: str) -> None:
    """Write a text file (UTF-8) atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")

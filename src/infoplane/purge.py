"""Remove activations that have been measured: the largest files of an experiment, made again when needed.

Charts, tables and reports do without them. What asks for a new measure reads them anew from the checkpoints, which
trains nothing, and the measures that are there already are taken from the shelf (`infoplane.reuse`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from infoplane.quantities import number, size
from infoplane.reuse import Shelf


@dataclass(frozen=True)
class Dump:
    """The activations of one run, and what is made from them."""

    path: Path
    readers: tuple[Path, ...]

    @property
    def done(self) -> bool:
        """Tell whether all results that read the activations are newer than they are; false where there are none."""
        made = self.path.stat().st_mtime_ns
        return bool(self.readers) and all(
            reader.exists() and reader.stat().st_mtime_ns >= made for reader in self.readers
        )


@dataclass
class Purged:
    """What was removed, and what was left because it is still to be read."""

    removed: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    freed: int = 0
    """Bytes of activations."""
    unheld: int = 0
    """Bytes of finished results that no experiment has any more."""

    def __str__(self) -> str:
        lines = ["there are no activations to remove"]
        if self.removed:
            lines = [f"removed the activations of {number(len(self.removed), 'run')}: {size(self.freed)}"]
        if self.unheld:
            lines.append(f"removed shared results that no experiment uses any more: {size(self.unheld)}")
        if self.left:
            left = number(len(self.left), "run")
            lines.append(f"left those of {left} not measured yet, such as {self.left[0]}")
        return "\n".join(lines)


def purge(dumps: Iterable[Dump], shelf: Shelf) -> Purged:
    """Remove activations that have been measured, and shared results that no experiment uses."""
    purged = Purged()
    for dump in dumps:
        if not dump.path.exists():
            continue
        if not dump.done:
            purged.left.append(dump.path)
            continue
        purged.freed += dump.path.stat().st_size
        dump.path.unlink()
        purged.removed.append(dump.path)
    purged.unheld = shelf.clear()
    return purged

"""What a checkout is made of: the files that a run needs, and those that tell a person how to run it.

Named here, and not asked of git: a checkout may itself have come out of an archive. Other files beside these, such as
results, environments, other experiments and notes, do not belong to it.
"""

from collections.abc import Iterator
from pathlib import Path

from infoplane.errors import UserError

PARTS = (
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "Snakefile",
    "bench/results/accuracy.json",  # the report reads it
    "config/default.yaml",
    "config/schema.json",
    "constraints.txt",
    "docs/*.md",
    "envs",
    "profiles",
    "pyproject.toml",
    "scripts",
    "src/infoplane",
    "workflow",
)
"""Files, folders with all that is in them, and patterns, below the root of a checkout."""


def files(root: Path) -> list[Path]:
    """All of them, relative to the root and sorted, without caches and hidden files.

    Raises `UserError` for a part that is not there.
    """
    found: set[Path] = set()
    for part in PARTS:
        of_part = {path.relative_to(root) for path in _of(root, part) if path.is_file()}
        if not of_part:
            raise UserError(
                f"{root} is not a complete checkout: {part} is missing; get it from where you got the rest."
            )
        found |= of_part
    return sorted(path for path in found if _kept(path))


def below(folder: Path) -> list[Path]:
    """The files below a folder, relative to it and sorted, without caches and hidden files."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if _kept(path))


def _of(root: Path, part: str) -> Iterator[Path]:
    folder = root / part
    return folder.rglob("*") if folder.is_dir() else root.glob(part)


def _kept(path: Path) -> bool:
    return path.suffix != ".pyc" and not any(name == "__pycache__" or name.startswith(".") for name in path.parts)

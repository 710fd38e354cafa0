"""Which files, with which content, were behind the code digest that a result was made with.

Snakemake keeps the digest alone. The files are written down beside the logs when a run ends, so that a later one can
name those that were edited since.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from infoplane.storage.atomic import write_text

Files = Mapping[str, str]
"""File -> digest of its content; see `infoplane.sources.manifest`."""


def keep(folder: Path, codes: Mapping[str, Files]) -> None:
    """Write ``<digest>.json`` for every code that is not there yet."""
    for digest, files in codes.items():
        if not (folder / f"{digest}.json").exists():
            write_text(folder / f"{digest}.json", json.dumps(files, indent=1) + "\n")


def recall(folder: Path, digest: str) -> Files | None:
    """The files behind a digest; None where they were not written down, or cannot be read."""
    try:
        found = json.loads((folder / f"{digest}.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None


def edited(before: Files, now: Files) -> dict[str, str]:
    """File -> what became of it: edited, added or removed."""
    words = dict.fromkeys(before.keys() - now.keys(), "removed")
    words |= dict.fromkeys(now.keys() - before.keys(), "added")
    words |= {name: "edited" for name in before.keys() & now.keys() if before[name] != now[name]}
    return dict(sorted(words.items()))

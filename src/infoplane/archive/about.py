"""Write ``ARCHIVE.md``, which describes an archive to a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from infoplane.quantities import size

NAME = "ARCHIVE.md"

PAGE = """\
# {experiment}

An experiment of infoplane, to open and to rerun: its tables, charts and report, the code that made them, and its
complete configuration.

## Open it

`archived/report.html` is one page that works offline: open it in a browser. `archived/charts/` has every chart as a
page, as SVG, PDF and PNG, and as data; `archived/tables/` has every number as Parquet, `archived/phases/` and, where
the experiment makes claims, `archived/verdicts/` what was made of them. `docs/how-it-works.md` explains the columns.

## Rerun it

This archive holds programs, and a rerun runs them: rerun only what comes from someone you trust. To look at results and
to check whether files were changed, no program of it is needed: `python -P -m infoplane.archive`, with an infoplane of
your own, runs none of them (`-P`: nothing is imported from this folder).

```sh
make run                                   # installs into .venv, trains, measures, draws
.venv/bin/python -P -m infoplane.archive   # compares, table by table: the same to the bit, or how far off
```

It needs Python 3.11 or newer, a C compiler and make. The rerun writes to `{results}/`, beside `archived/`, and
touches nothing in there. `config/config.yaml` is the complete configuration, every default spelled out;
`archived/config/` has it as it was written. The second command also tells which files were changed since they were
archived.

With the same versions on the same machine, expect the same bits. On another processor or a GPU the last places of
the numbers differ, and after long training more than those.

## What is not in it

{data}

{left_out}

Tests, benchmarks and the pictures of the documentation are not here either.

## Versions

{measured}

{made}

`make run` installs what `constraints.txt` pins.{differing} `manifest.json` has all of this for programs, with the
SHA-256 of every file.
"""

PUBLIC = """\
**The data set**, `{kind}`: it comes with a package or is downloaded into `datasets/`; where it is not available, the
rerun says what to do."""

OWN = """\
**The data set**, `{kind}`, read from files of the person who made this archive: put them where `data.path` in
`config/config.yaml` says, `{path}`, or change that line."""

FOLDER = """\
The folder held {files} files, {size}; the SHA-256 of what `sha256sum` prints for them, sorted by name, is
`{sha256}`."""

NAMED = "**Larger results**, which the rerun makes again. `manifest.json` has the SHA-256 of each, to compare with:"

DELETED = "**Larger results** had been deleted when the archive was made, so there is nothing to compare with."


def text(values: Mapping[str, Any]) -> str:
    """The page; values: those of the manifest, but for the archive's own files."""
    differing = [
        f"{name} {found['installed']} (pinned: {found['pinned']})"
        for name, found in values["made"]["packages"].items()
        if found["installed"].partition("+")[0] != found["pinned"]
    ]
    return PAGE.format(
        experiment=values["experiment"],
        results=values["results"],
        data=_data(values["data"]),
        left_out=_left_out(values["left_out"], values["results"]),
        measured=_measured(values["measured"]),
        made=_made(values["made"]),
        differing=f" The archive was made with other versions: {', '.join(differing)}." if differing else "",
    )


def _data(data: Mapping[str, Any]) -> str:
    if "path" not in data:
        return PUBLIC.format(kind=data["kind"])
    start = OWN.format(kind=data["kind"], path=data["path"])
    start += f" The files were {data['since']}." if "since" in data else ""
    if folder := data.get("folder"):
        return start + " " + FOLDER.format(files=folder["files"], size=size(folder["bytes"]), sha256=folder["sha256"])
    rows = [(f"`{name}`", size(about["bytes"]), f"`{about['sha256']}`") for name, about in data["files"].items()]
    return f"{start} They were:\n\n{_table(('file', 'size', 'SHA-256'), rows)}"


def _left_out(files: Mapping[str, Any], results: str) -> str:
    if not files:
        return DELETED
    count: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, about in files.items():
        count[name.split("/")[0]] += 1
        total[name.split("/")[0]] += about["bytes"]
    rows = [(f"`{results}/{folder}/`", str(count[folder]), size(total[folder])) for folder in sorted(count)]
    return f"{NAMED}\n\n{_table(('folder', 'files', 'size'), rows)}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *rows))


def _measured(measured: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in (measured["versions"] or {}).items()) or "not recorded"
    runs = ", ".join(f"{count} {state}" for state, count in measured["runs"].items()) or "none"
    devices = " and ".join(measured["devices"] or []) or "not recorded"
    return f"Measured with: {versions}. Device: {devices}. Runs: {runs}."


def _made(made: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {found['installed']}" for name, found in made["packages"].items())
    return f"Archived on: {made['platform']}, Python {made['python']}, with {packages}."

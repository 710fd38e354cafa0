"""Check an archive: whether its files are unchanged, and how far its rerun is from it.

python -P -m infoplane.archive                         in the folder that an archive was unpacked to
python -P -m infoplane.archive archived results/demo   any two folders of results, table by table

An archive holds programs. With -P, Python imports nothing from the folder that it is started in, so that none of them
runs. The exit status is 1 where anything differs.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # without -P, at least nothing more is imported from here

import argparse
from pathlib import Path

from infoplane.errors import UserError, printable, run_script


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -P -m infoplane.archive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="*", help="two folders of results; none: the archive in this one")
    args = parser.parse_args()
    if len(args.folders) not in (0, 2):
        raise UserError(
            f"{len(args.folders)} folder given: name two folders of results, or none in an unpacked archive."
        )

    from infoplane.archive import compare

    found = compare.folders(*args.folders) if args.folders else compare.unpacked(Path())
    width = max(len(finding.name) for finding in found)
    for finding in found:
        print(printable(f"{finding.name:<{width}}  {finding.said}"))
        for line in finding.detail:
            print(printable(f"    {line}"))
    if not all(finding.same for finding in found):
        raise SystemExit(1)


if __name__ == "__main__":
    run_script(main)

"""Remove the activations of every run whose measures are done, and shared results that no experiment has any more."""

import argparse
import json
from pathlib import Path

from infoplane.errors import run_script
from infoplane.purge import Dump, purge
from infoplane.reuse import Shelf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", required=True, help="architectures, shortcuts and seeds, JSON")
    parser.add_argument("--activations", required=True, help="path of a run's, with {architecture} and so on")
    parser.add_argument("--readers", nargs="*", default=[], help="paths of what is made of them, for every run")
    parser.add_argument("--pictures", nargs="*", default=[], help="the same, for the first seed only")
    parser.add_argument("--shared", type=Path, nargs="?", help="folder of results that all experiments share")
    args = parser.parse_args()
    grid = json.loads(args.grid)
    dumps = []
    for architecture in grid["architectures"]:
        for shortcut in grid["shortcuts"]:
            for index, seed in enumerate(grid["seeds"]):
                run = {"architecture": architecture, "shortcut": shortcut, "seed": seed}
                readers = [*args.readers, *(args.pictures if index == 0 else [])]
                dumps.append(
                    Dump(Path(args.activations.format(**run)), tuple(Path(path.format(**run)) for path in readers))
                )
    print(purge(dumps, Shelf(args.shared)))


if __name__ == "__main__":
    run_script(main)

"""Draw the pictures of the workflow and of the data contract from what the code says they are.

python docs/pictures.py docs/images
"""

import argparse
from pathlib import Path

import contract_picture
import dag_picture

from infoplane.errors import run_script
from infoplane.storage.atomic import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where workflow.svg and data-contract.svg go")
    args = parser.parse_args()
    write_text(args.folder / "workflow.svg", dag_picture.draw())
    write_text(args.folder / "data-contract.svg", contract_picture.draw())


if __name__ == "__main__":
    run_script(main)

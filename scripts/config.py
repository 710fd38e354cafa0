"""Write the configuration's schema and commented default anew, after a change of models or plug-ins."""

import argparse
from pathlib import Path

from infoplane.config.template import default_text, schema_text
from infoplane.errors import run_script
from infoplane.storage.atomic import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", type=Path, default=Path("config/schema.json"))
    parser.add_argument("--default", type=Path, default=Path("config/default.yaml"))
    args = parser.parse_args()
    write_text(args.schema, schema_text())
    write_text(args.default, default_text())


if __name__ == "__main__":
    run_script(main)

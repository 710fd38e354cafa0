"""Judge the claims that the experiment states."""

import argparse
import json
from pathlib import Path

from infoplane.errors import UserError, run_script
from infoplane.phases import verdicts
from infoplane.phases.claims import judge
from infoplane.phases.results import Phases
from infoplane.phases.targets import read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", default="{}", help="label -> claim with nothing left open, JSON")
    parser.add_argument("--measures", type=Path, required=True, help="the experiment's measures, Parquet")
    parser.add_argument("--phases", type=Path, nargs="+", required=True, help="all tables of the phases, Parquet")
    parser.add_argument("--table", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--markdown", type=Path, required=True, help="output: the same, to paste")
    args = parser.parse_args()
    try:
        claims = dict(json.loads(args.claims))
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise UserError(f"--claims is not a JSON object: {error}.") from None
    measures, metadata = read(args.measures)
    phases = Phases.read(args.phases)
    found = judge(claims, measures, phases, metadata)
    verdicts.write(found, phases.metadata, args.table, args.markdown)


if __name__ == "__main__":
    run_script(main)

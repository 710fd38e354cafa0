"""Collect every run's measures and history into the experiment's two tables."""

import argparse
import json
from pathlib import Path

from infoplane.errors import UserError, run_script
from infoplane.tables import collect, expected_runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", required=True, help="architectures, shortcuts, seeds and families, JSON")
    parser.add_argument("--run-history", required=True, help="path of a run's history, with {architecture} and so on")
    parser.add_argument("--run-measures", required=True, help="path of a run's measures, with {family} too")
    parser.add_argument("--config", default="null", help="the experiment's configuration, JSON")
    parser.add_argument("--specs", default="null", help="what runs and measures must be made by, JSON; null: anything")
    parser.add_argument("--measures", type=Path, required=True, help="output, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="output, Parquet")
    args = parser.parse_args()
    try:
        config, specs = json.loads(args.config), json.loads(args.specs)
    except json.JSONDecodeError as error:
        raise UserError(f"--config or --specs is not JSON: {error}.") from None
    runs = expected_runs(args.grid, args.run_history, args.run_measures)
    summary = collect(runs, config, args.measures, args.history, specs)
    for run in summary["runs"]:
        parts = {"training": run["status"], **run["measures"]}
        if odd := [f"{part} {status}" for part, status in parts.items() if status != "finished"]:
            print(f"{run['architecture']}/{run['shortcut']}/seed{run['seed']}: {', '.join(odd)}")


if __name__ == "__main__":
    run_script(main)

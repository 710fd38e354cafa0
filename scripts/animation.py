"""Draw the information plane as a moving picture, GIF or MP4, from the experiment's two tables."""

import argparse
import json
from pathlib import Path

from infoplane.errors import UserError, run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--options", default="{}", help="of the chart information_plane, JSON")
    parser.add_argument("--measures", type=Path, required=True, help="measures table, Parquet")
    parser.add_argument("--history", type=Path, required=True, help="history table, Parquet")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long it takes")
    parser.add_argument("--output", type=Path, required=True, help="output; its ending says which kind, .gif or .mp4")
    args = parser.parse_args()
    try:
        options = json.loads(args.options)
    except json.JSONDecodeError as error:
        raise UserError(f"--options is not JSON: {error}.") from None

    from infoplane.charts import animation
    from infoplane.charts.frames import Tables

    animation.write(Tables.read(args.measures, args.history), options, args.seconds, args.output)


if __name__ == "__main__":
    run_script(main)

"""What a finished experiment cost: wall time, the share that is not work, and peak memory per stage.

    rm -rf results/demo && python bench/demo.py --cores 2 [--configfile config/experiments/smoke.yaml]

Runs Snakemake on the configuration, then adds up the seconds that training, reading activations and measuring report
in their logs. The rest of cores x wall time is process start, imports, the DAG, tables, charts, report and idling.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import yaml
from hardware import hardware

from infoplane.timings import timing

WORK = {"train": "training", "activations": "reading activations", "measures": "measuring"}
STAGES = {f"{stage}{stack}": word for stage, word in WORK.items() for stack in ("", "_stack")}


def worked(logs: Path) -> dict[str, float]:
    """Stage -> seconds of work, from the logs."""
    found: dict[str, float] = {}
    for stage, word in STAGES.items():
        text = "\n".join(path.read_text() for path in (logs / stage).rglob("*.log"))
        if not text:
            continue
        found[stage] = sum(float(seconds) for seconds in re.findall(rf"^{word} took ([\d.]+) s$", text, re.MULTILINE))
    return found


def peaks(benchmarks: Path) -> dict[str, float]:
    """Stage -> the largest resident memory of any of its jobs, MB."""
    found: dict[str, float] = defaultdict(float)
    for path in benchmarks.rglob("*.tsv"):
        stage = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        if job := timing(path):
            found[stage] = max(found[stage], job.memory)
    return dict(sorted(found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--configfile", default="config/config.yaml")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    config = yaml.safe_load(Path(args.configfile).read_text())
    results = Path(config.get("results", "results"), config["experiment"])
    if (results / "report.html").exists():
        sys.exit(f"{results} is finished already: remove it first, so that there is something to time")
    command = [sys.executable, "-m", "snakemake", "--cores", str(args.cores), "--configfile", args.configfile]
    command += ["--config", "reuse=false"]  # nothing is taken from what other experiments have finished
    started = time.perf_counter()
    subprocess.run(command, check=True)
    wall = time.perf_counter() - started
    started = time.perf_counter()
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    work = worked(results / "logs")
    record = {
        "hardware": hardware(),
        "experiment": config["experiment"],
        "cores": args.cores,
        "threads_per_job": 1,
        "wall_s": wall,
        "work_s": work,
        "share_not_work": 1 - sum(work.values()) / (args.cores * wall),
        "second_run_s": time.perf_counter() - started,
        "second_run_has_nothing_to_do": "Nothing to be done" in again.stderr + again.stdout,
        "peak_memory_mb": peaks(results / "benchmarks"),
        "activations_bytes": sum(path.stat().st_size for path in (results / "activations").rglob("*.parquet")),
    }
    output = args.output or Path("bench/results", f"experiment-{config['experiment']}.json")
    output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()

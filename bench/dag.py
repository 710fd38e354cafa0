"""What the DAG costs: seconds and memory of a dry run and of a run with nothing to do, for experiments of many jobs.

    python bench/dag.py [--jobs 1000 2500 5000 10000]

Each experiment is synthetic (one small architecture, two shortcuts, two measure families, as many seeds as it takes);
nothing is computed: in the run before the one with nothing to do, a shell function in the place of Python makes empty
files, so that its time is what Snakemake and the shell take of every job.
Beside each stands Snakemake's own share: a bare workflow of as many jobs in as many levels, with one input, one output
and a command each. The Snakefile's own time is that of a start that ends before any DAG is built, less that of an
empty Snakefile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hardware import hardware

REPOSITORY = Path(__file__).parent.parent
HOLLOW = Path(__file__).parent / "hollow.sh"
JOBS_PER_SEED = 8
"""Two shortcuts, each with training, reading and two measures."""


BARE = """
rule all:
    input: expand("bare/{{i}}/{{k}}.measures", i=range({runs}), k="ab")
rule train:
    output: "bare/{{i}}.train"
    shell: "true"
rule activations:
    input: "bare/{{i}}.train"
    output: "bare/{{i}}.activations"
    shell: "true"
rule measures:
    input: "bare/{{i}}.activations"
    output: "bare/{{i}}/{{k}}.measures"
    shell: "true"
"""


def experiment(jobs: int) -> dict[str, Any]:
    """An experiment of about this many jobs."""
    return {
        "experiment": f"dag{jobs}",
        "architectures": {"mlp": None},
        "shortcuts": {"identity": None, "none": None},
        "seeds": list(range(jobs // JOBS_PER_SEED)),
        "measures": {"linear": None, "kernel": None},
        "charts": {"information_plane": None},
        "device": "cpu",
    }


class Took(NamedTuple):
    """What one call of Snakemake took: ``processor`` seconds do not grow where other work runs beside it."""

    seconds: float
    processor: float
    memory: float
    """Peak, MB."""
    said: str


def timed(folder: Path, *arguments: str, snakefile: Path = REPOSITORY / "Snakefile") -> Took:
    """Run Snakemake on a configuration in this folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2", *arguments]
    command += ["--workflow-profile", str(REPOSITORY / "profiles" / "default")]
    with (folder / "said").open("w+") as said:
        started = time.perf_counter()
        environment = os.environ | {"BASH_ENV": str(HOLLOW)}
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(running.pid, 0)
        taken = time.perf_counter() - started
        text = Path(said.name).read_text()
    if os.waitstatus_to_exitcode(status):
        sys.exit(text[-3000:])
    return Took(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def measure(jobs: int, folder: Path, run_it: bool) -> dict[str, Any]:
    """One row of the record."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(experiment(jobs)))
    configured = "--configfile", "config.yaml"
    fresh = timed(folder, "-n", "--quiet", "rules", *configured)
    planned = int(fresh.said.split("\ntotal")[1].split()[0])
    bare_file = folder / "bare.smk"
    bare_file.write_text(BARE.format(runs=planned // 4))
    bare = timed(folder, "-n", "--quiet", "rules", snakefile=bare_file)
    calls = {"dry_run": fresh, "bare_dry_run": bare}
    if run_it:
        calls |= {"run": timed(folder, "--quiet", "all", *configured), "nothing_to_do": timed(folder, *configured)}
    figures = {
        f"{name}_{what}": value
        for name, took in calls.items()
        for what, value in (("s", took.seconds), ("processor_s", took.processor), ("mb", took.memory))
    }
    row = {"jobs": planned, **figures}
    if run_it:
        row["had_nothing_to_do"] = "Nothing to be done" in calls["nothing_to_do"].said
        row["run_ms_per_job"] = 1000 * (calls["run"].seconds - fresh.seconds) / planned
    return row


def own_parse_seconds(folder: Path, repeats: int = 5) -> float:
    """Processor time of our Snakefile beyond an empty one's: the best of the repeats of each, in turns."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(experiment(JOBS_PER_SEED)))
    empty = folder / "Snakefile"
    empty.write_text('rule all:\n    shell: "true"\n')
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(timed(folder, "--list-rules", "--configfile", "config.yaml").processor)
        theirs.append(timed(folder, "--list-rules", snakefile=empty).processor)
    return min(ours) - min(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 2500, 5000, 10000])
    parser.add_argument("--run-up-to", type=int, default=10000, help="larger experiments are planned only")
    parser.add_argument("--output", type=Path, default=Path("bench/results/dag.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        parse = own_parse_seconds(Path(name, "parse"))
        print(f"the Snakefile's own time: {parse:.2f} s")
        print("| jobs | dry run: s, processor s, MB | of a bare workflow | nothing to do | ms per empty job |")
        print("| --- | --- | --- | --- | --- |")
        rows = []
        for jobs in args.jobs:
            row = measure(jobs, Path(name, str(jobs)), jobs <= args.run_up_to)
            rows.append(row)
            cells = [
                f"{row[f'{call}_s']:.1f}, {row[f'{call}_processor_s']:.1f}, {row[f'{call}_mb']:.0f}"
                for call in ("dry_run", "bare_dry_run", "nothing_to_do")
                if f"{call}_s" in row
            ]
            if "run_ms_per_job" in row:
                cells[-1] += "" if row["had_nothing_to_do"] else " (had something to do)"
                cells.append(f"{row['run_ms_per_job']:.0f}")
            print(f"| {row['jobs']} | {' | '.join(cells)} |", flush=True)
    record = {"hardware": hardware(), "own_parse_s": parse, "experiments": rows}
    args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

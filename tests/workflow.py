"""A copy of the workflow in a folder of its own, to run and to mutate."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from conftest import REPOSITORY

from infoplane.meaning import KEPT

PARTS = ("Snakefile", "workflow", "scripts", "src", "config", "profiles", "envs", "bench/results/accuracy.json")
GARBAGE = shutil.ignore_patterns("__pycache__", "*.egg-info")


TABLES = ("measures.parquet", "history.parquet")

HOLLOW = REPOSITORY / "bench" / "hollow.sh"

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


@dataclass(frozen=True)
class Workflow:
    """A checkout and one experiment in it."""

    root: Path
    config: Path

    @classmethod
    def copy_to(cls, root: Path, config: dict[str, Any]) -> "Workflow":
        """Copy what a run needs, and write the experiment's configuration."""
        for part in PARTS:
            source = REPOSITORY / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=GARBAGE)
            else:
                (root / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, root / part)
        if KEPT.is_file():  # what the checkout's code means is known; a copy need not parse it again
            kept = root / KEPT.relative_to(REPOSITORY)
            kept.parent.mkdir()
            shutil.copy(KEPT, kept)
        made = cls(root, root / "experiment.yaml")
        made.write(config)
        return made

    def read(self) -> dict[str, Any]:
        return yaml.safe_load(self.config.read_text())  # type: ignore[no-any-return]

    def write(self, config: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    @property
    def results(self) -> Path:
        return self.root / "results" / str(self.read()["experiment"])

    def command(self, *arguments: str) -> list[str]:
        return [*SNAKEMAKE, *arguments, "--cores", "2", "--configfile", "experiment.yaml"]

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own, to be killed; nobody hears what it says."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy; stdout and stderr together as ``stdout``."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def hollow(self) -> None:
        """Run it all with empty files for results: enough to ask what would run next, and done in seconds."""
        environment = self.environment() | {"BASH_ENV": str(HOLLOW)}
        subprocess.run(self.command("--quiet", "all"), cwd=self.root, env=environment, check=True)

    def tables(self) -> dict[str, bytes]:
        """The experiment's two tables, to the byte."""
        return {name: (self.results / "tables" / name).read_bytes() for name in TABLES}

    def processes(self, script: str) -> list[int]:
        """Process ids of running jobs of a script that belong to this copy."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.fsencode(self.root / "scripts" / f"{script}.py") in arguments:
                found.append(int(folder.name))
        return found

    def why(self, *targets: str) -> list[dict[str, Any]]:
        """Rule, number of jobs and reasons of what a run would start now."""
        config = json.dumps(self.read())
        command = [sys.executable, str(self.root / "scripts" / "why.py"), "--json", "--config", config, *targets]
        environment = self.environment() | {"PYTHONPATH": str(self.root / "src")}
        done = subprocess.run(command, cwd=self.root, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def pending(self, *arguments: str) -> dict[str, int]:
        """Rule -> jobs that a run would start now; the targets themselves are left out."""
        said = self.snakemake("-n", *arguments).stdout
        if "Nothing to be done" in said:
            return {}
        return {name: count for name, count in job_counts(said).items() if name not in ("all", "partial", "total")}


def job_counts(said: str) -> dict[str, int]:
    """Rule -> jobs, from what a dry run says."""
    table = said.split("Job stats:")[1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def tiny() -> dict[str, Any]:
    """Two architectures x two shortcuts x one seed, a few steps each."""
    return {
        "experiment": "tiny",
        "data": {"kind": "digits", "train": 120, "held_out": 50, "validation": 40},
        "architectures": {"mlp": {"width": 8, "blocks": 1}, "resnet": {"width": 2, "blocks": 1}},
        "shortcuts": {"identity": None, "projection": None},
        "seeds": [0],
        "training": {"steps": 6, "batch_size": 32, "checkpoints": {"log": 2, "log_until": 3, "linear": 1}},
        "measures": {"linear": None, "kernel": None},
        "charts": {"information_plane": None, "dynamics": None},
        "animation": {"format": "none"},
        "device": "cpu",
    }

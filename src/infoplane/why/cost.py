"""What a plan would cost: core-hours, GPU-hours and bytes, from what such jobs took before.

A job is compared with finished ones of its kind, the nearest first (the same labels in this experiment; the same
plug-ins anywhere; the same rule), and scaled by how much larger it is, as `infoplane.config.demand` estimates.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from infoplane.config.demand import OF_A_RUN, of_one_run, work_seconds
from infoplane.config.disk import dump_bytes
from infoplane.config.load import load
from infoplane.config.plan import Plan
from infoplane.errors import UserError
from infoplane.storage.parquet import metadata, open_parquet
from infoplane.timings import timing
from infoplane.why.pending import Pending

START_SECONDS = 2.0
"""Of a job's time, what does not grow with it: Python and its imports (1.2 to 2.5 s on an AMD EPYC)."""
UNKNOWN_SECONDS = 10.0
"""For a job of a rule that has never run here and whose growth with size is not known; ours."""
ENOUGH = 20
"""Finished jobs of one kind in one experiment that are looked at."""
TAKEN = "taken from there"
"""What the log says of a job that computed nothing."""

Kind = tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """Of a whole plan."""

    jobs: int
    seconds: float
    """Of one core."""
    gpu_seconds: float
    """Of jobs that hold a GPU, or a share of one, where there is one."""
    written: float
    """Bytes."""
    compared: int
    """Finished jobs that were looked at."""
    rough: int
    """Jobs whose time had no finished one to compare with."""
    unsized: int
    """Jobs of whose results the size is not known."""
    each: tuple[float, ...] = ()
    """Seconds of one core of every job, in the order in which they were given."""


@dataclass(frozen=True)
class Done:
    """A finished job: how many times longer it took than estimated, or its seconds, and the bytes that it wrote."""

    kinds: list[Kind]
    pace: float
    written: float


def estimate(jobs: Iterable[Pending], plan: Plan) -> Cost:
    """The cost of these jobs; the results of past ones are looked for below the plan's results folder."""
    wanted = list(jobs)
    paces, sizes, compared = _past({job.rule for job in wanted}, plan)
    gpu_seconds = written = 0.0
    each: list[float] = []
    rough = unsized = 0
    for job in wanted:
        near = _kinds(job.rule, job.wildcards, plan, plan.config.experiment)
        reckoned = _reckoned(plan, job.rule, job.wildcards)
        pace = _nearest(paces, near)
        took = UNKNOWN_SECONDS if reckoned is None else START_SECONDS + reckoned
        if pace is None:
            rough += 1
        else:
            took = pace if reckoned is None else START_SECONDS + pace * reckoned
        each.append(took * job.threads)
        gpu_seconds += took if job.gpu else 0.0
        if of_one_run(job.rule) == "activations":
            runs = 1 if "seed" in job.wildcards else len(plan.config.seeds)
            written += runs * dump_bytes(plan, job.wildcards["architecture"], job.wildcards["shortcut"])
        elif (size := _nearest(sizes, near)) is not None:
            written += size
        else:
            unsized += 1
    return Cost(len(wanted), sum(each), gpu_seconds / plan.config.slots, written, compared, rough, unsized, tuple(each))


def duration_at_once(jobs: Sequence[Pending], each: Sequence[float], places: int) -> float:
    """Seconds that the jobs take together, ``places`` of them at a time and one rule after the other.

    each: seconds of one core of every job. A rule takes at least as long as its longest job.
    """
    stages: dict[str, list[float]] = defaultdict(list)
    for job, seconds in zip(jobs, each, strict=True):
        stages[job.rule].append(seconds)
    return sum(max(sum(stage) / places, max(stage)) for stage in stages.values())


def _kinds(rule: str, wildcards: Any, plan: Plan, experiment: str) -> list[Kind]:
    """What a job may be compared with, the nearest first."""
    architecture, family = wildcards.get("architecture", ""), wildcards.get("family", "")
    network = plan.architectures[architecture].kind if architecture in plan.architectures else ""
    measure = plan.measures[family].family.kind if family in plan.measures else ""
    own = (rule, experiment, architecture, family, wildcards.get("chart", ""))
    return [own, (rule, network, measure), (rule, measure), (rule,)]


def _reckoned(plan: Plan, rule: str, wildcards: Any) -> float | None:
    """Seconds by the size of the job alone; None where nothing is known of how it grows."""
    architecture = wildcards.get("architecture")
    if rule not in OF_A_RUN or architecture not in plan.architectures:
        return None
    return work_seconds(plan, rule, architecture)


def _nearest(found: dict[Kind, list[float]], kinds: list[Kind]) -> float | None:
    return next((median(found[kind]) for kind in kinds if kind in found), None)


def _past(rules: set[str], plan: Plan) -> tuple[dict[Kind, list[float]], dict[Kind, list[float]], int]:
    """By kind: paces and sizes of finished jobs of these rules; and how many jobs were looked at."""
    paces: dict[Kind, list[float]] = defaultdict(list)
    sizes: dict[Kind, list[float]] = defaultdict(list)
    compared = 0
    for folder in sorted(Path(plan.config.results).glob("*/benchmarks")):
        for done in _finished(folder.parent, rules):
            compared += 1
            for kind in done.kinds:
                paces[kind].append(done.pace)
                if done.written:
                    sizes[kind].append(done.written)
    return paces, sizes, compared


def _finished(results: Path, rules: set[str]) -> Iterator[Done]:
    """Finished jobs of one experiment, a few of each kind; none where its tables do not tell its configuration."""
    table = results / "tables" / "measures.parquet"
    try:
        plan = load(metadata(open_parquet(table), table)["config"])
    except (UserError, KeyError, TypeError):
        return
    seen: dict[Kind, int] = defaultdict(int)
    for rule in sorted(rules):
        for path in _timings(results / "benchmarks", rule):
            wildcards = _wildcards(rule, path.relative_to(results / "benchmarks").with_suffix("").parts[1:])
            kinds = _kinds(rule, wildcards, plan, results.name)
            if seen[kinds[0]] >= ENOUGH or _computed_nothing(results, path):
                continue
            took = timing(path)
            if took is None:
                continue
            seen[kinds[0]] += 1
            reckoned = _reckoned(plan, rule, wildcards)
            pace = took.seconds if reckoned is None else max(took.seconds - START_SECONDS, 0.1) / reckoned
            yield Done(kinds, pace, _written(results, path))


def _timings(folder: Path, rule: str) -> list[Path]:
    return sorted(folder.glob(f"{rule}.tsv")) + sorted((folder / rule).rglob("*.tsv"))


def _wildcards(rule: str, parts: tuple[str, ...]) -> dict[str, str]:
    """The labels in a job's path: chart; or architecture, shortcut, seed, family, as many as there are."""
    names = ["chart"] if rule == "charts" else ["architecture", "shortcut", "seed", "family"]
    if rule != of_one_run(rule):
        names.remove("seed")
    return dict(zip(names, parts, strict=False))


def _computed_nothing(results: Path, path: Path) -> bool:
    log = results / "logs" / path.relative_to(results / "benchmarks").with_suffix(".log")
    return log.is_file() and TAKEN in log.read_text(errors="replace")


def _written(results: Path, path: Path) -> float:
    """Bytes of what a job made, by the name that its timing has: a file, a folder, or files of several kinds."""
    place = results / path.relative_to(results / "benchmarks").with_suffix("")
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in place.parent.glob(f"{place.name}.*"))

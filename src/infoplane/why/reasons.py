"""Explain why each pending job would run, by the keys of the configuration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infoplane.config.demand import of_one_run
from infoplane.config.plan import Plan
from infoplane.quantities import number
from infoplane.why import code_record
from infoplane.why.code_record import Files
from infoplane.why.config_keys import changes, code_digest
from infoplane.why.pending import Pending

FOLLOWS = "it reads what will be made anew by {rules}"
NOT_YET = "it has not been made yet"
TRAINED = "train/*/*/seed*"


@dataclass(frozen=True)
class Group:
    """Pending jobs of one rule that would run for the same reasons."""

    rule: str
    reasons: tuple[str, ...]
    jobs: tuple[Pending, ...]


@dataclass(frozen=True)
class Surroundings:
    """What reasons are told from, beside the jobs themselves."""

    plan: Plan
    results: Path
    """The experiment's folder."""
    code: Mapping[str, Files]
    """Digest -> files, of the code as it is now."""

    @property
    def code_records(self) -> Path:
        return self.results / "logs" / "code"


def grouped(jobs: Iterable[Pending], around: Surroundings) -> list[Group]:
    """The jobs by rule and reasons, in the order in which they are given."""
    found: dict[tuple[str, tuple[str, ...]], list[Pending]] = {}
    for job in jobs:
        found.setdefault((job.rule, tuple(reasons(job, around))), []).append(job)
    return [Group(rule, why, tuple(group)) for (rule, why), group in found.items()]


def reasons(job: Pending, around: Surroundings) -> list[str]:
    """At least one sentence: what of its own has changed, or else which jobs it follows."""
    told: list[str] = []
    if job.forced:
        told.append("it was asked for by --force or --forcerun")
    if job.incomplete:
        told.append("it was interrupted")
    elif job.missing:
        told.append(_gone(job.missing) if job.made_before else _new(job, around))
    wildcards, plan = job.wildcards, around.plan
    told += map(str, changes(job.rule, wildcards, job.params_before, job.params_now, plan))
    told += _edited(job, around)
    told += [f"{path} has changed" for path in job.new_inputs]
    if job.command_changed:
        told.append(f"the rule's command was edited (rule {job.rule} in workflow/rules/)")
    if (job.inputs_before or job.inputs_now) and not told:
        told.append(_other_inputs(job))
    if job.upstream and not told:
        told.append(FOLLOWS.format(rules=", ".join(job.upstream)))
    return told or ["Snakemake gives a reason that is not known here: see snakemake -n"]


def _gone(missing: Sequence[str]) -> str:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{missing[0]}{more} was made before, is gone, and is needed"


def _new(job: Pending, around: Surroundings) -> str:
    """Which label is new; or that it has not come to it yet, with what the last attempt said."""
    log = Path(job.log) if job.log else None
    if log and log.is_file():
        said = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("error: ")]
        if said:
            return f"the last attempt failed: {said[-1].removeprefix('error: ')}"
    for section, label, place in _labels(job):
        if not _holds(around.results, place):
            return f"{section}: {label} is new" if _holds(around.results, TRAINED) else NOT_YET
    return NOT_YET


@cache
def _holds(results: Path, pattern: str) -> bool:
    return any(results.glob(pattern))


def _labels(job: Pending) -> Iterator[tuple[str, str, str]]:
    """Section of the configuration, label, and a pattern of the results that there are where the label is not new."""
    places = {
        "architecture": ("architectures", "train/{}/*/seed*"),
        "shortcut": ("shortcuts", "train/*/{}/seed*"),
        "seed": ("seeds", "train/*/*/seed{}"),
        "chart": ("charts", "charts/{}.*"),
    }
    if of_one_run(job.rule) == "measures":
        places["family"] = ("measures", "measures/*/*/*/{}.parquet")
    for wildcard, (section, place) in places.items():
        if wildcard in job.wildcards:
            label = job.wildcards[wildcard]
            yield section, label, place.format(label)


def _edited(job: Pending, around: Surroundings) -> list[str]:
    """The source files that differ from those that the job's results were made with."""
    before, now = code_digest(job.params_before), code_digest(job.params_now)
    if before is None or now is None:
        return []
    files, current = code_record.recall(around.code_records, before), around.code.get(now)
    if files is None or current is None:
        return ["source files of it were edited (which ones is not recorded)"]
    return [f"{name} was {became}" for name, became in code_record.edited(files, current).items()]


def _other_inputs(job: Pending) -> str:
    more, fewer = len(set(job.inputs_now)), len(set(job.inputs_before))
    both = (more, "that it did not read before"), (fewer, "fewer")
    return "it reads " + " and ".join(f"{number(count, 'file')} {word}" for count, word in both if count)

"""Predict how much disk the activations of an experiment will take, and refuse too much before anything runs.

Only ``activations/<run>.parquet`` are counted, usually the largest results by far. Checkpoints are not counted: the
number of weights is not known before the network is built.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, prod
from pathlib import Path

from infoplane import quantities, registry
from infoplane.config.demand import size
from infoplane.config.plan import Plan, Run
from infoplane.errors import UserError
from infoplane.specs import CheckpointSpec

GB = 10**9

VALUE_BYTES = {"float16": 2, "float32": 4}
KEY_BYTES = 8
"""Of a row: its step and its sample."""
ROWS = 512
"""Of a row group, at most; where rows are so large that there are fewer, what a group adds is nothing beside them."""

FILE_BYTES = 2550
"""What Parquet and the metadata add: to a file, for each site in it, for each checkpoint, for each row group, and for
each site in each of these. Measured with pyarrow 26, which keeps the metadata twice, once in base64."""
SITE_BYTES = 590
CHECKPOINT_BYTES = 52
GROUP_BYTES = 282
COLUMN_BYTES = 84

CLOSE = 0.03
"""A file that is smaller than predicted by no more than this share is taken for whole."""

WORTH_SAYING = 0.05
"""A setting that saves a smaller share than this is not named."""
PROJECTIONS = (2048, 1024, 512)
SIDES = (8, 4, 2)
SHARES = {"three quarters": 0.75, "half": 0.5, "a quarter": 0.25}
"""What is tried in place of the held-out images and of the checkpoints."""


def dump_bytes(plan: Plan, architecture: str, shortcut: str) -> int:
    """Bytes of the activations of one run with these labels, whatever its seed.

    The tensors are counted exactly, what the file adds is estimated: together within 2% of the file, within 0.1% where
    it is larger than 1 MB. A run that diverges writes less. Where every image is measured and only
    reading the data set would tell how many there are, this is a guess.
    """
    stored, sized = plan.stored(architecture, shortcut), size(plan, architecture)
    values = sum(map(prod, stored.values()))
    tensors = sized.checkpoints * sized.held_out * (KEY_BYTES + values * VALUE_BYTES[plan.activations.dtype])
    groups = sized.checkpoints * ceil(sized.held_out / ROWS)
    described = FILE_BYTES + SITE_BYTES * len(stored) + CHECKPOINT_BYTES * sized.checkpoints
    return tensors + described + groups * (GROUP_BYTES + COLUMN_BYTES * len(stored))


def experiment_bytes(plan: Plan) -> int:
    """Bytes of the activations of all runs together, as `dump_bytes` tells them."""
    return sum(_by_run(plan).values())


def dumped(plan: Plan) -> list[Run]:
    """The runs whose activations are needed: all, or those that are shown in pictures, or none."""
    if any("activations" in registry.reads("measure", spec.family.kind) for spec in plan.measures.values()):
        return plan.runs
    return plan.shown if plan.reconstructions or plan.histograms else []


def require_disk(plan: Plan, folder: Path | None, read: Callable[[Run], bool]) -> None:
    """Raise `UserError` where activations are still to be written, and all are more than the budget or than is free.

    folder: where they go, there or not; a file of the predicted size counts as written. None: the folder is not on a
    disk of this machine, so what is there and what is free is not known. A guess is not checked. read: whether
    everything has been made of a run's activations; where they are gone then, they have been purged.
    """
    budget = plan.config.disk.budget
    if budget == "none" or (plan.data.held_out == "all" and plan.samples is None):
        return
    runs = _by_run(plan)
    total = sum(runs.values())
    missing = sum(_missing(folder, run, whole, read) for run, whole in runs.items())
    many = quantities.number(len(runs), "run")
    said = f"the activations of {many} would take {quantities.size(total)}{_largest(runs)}"
    if isinstance(budget, float) and missing and total > budget * GB:
        instead = _instead(plan, total, budget * GB)
        raise UserError(f"{said}, over the budget of {budget:g} GB (disk.budget): raise it{instead}.")
    free = None if folder is None else _free(folder)
    if free is not None and missing > free:
        rest = "" if missing == total else f", {quantities.size(missing)} of it still to be written"
        instead = _instead(plan, total, total - missing + free)
        raise UserError(
            f"{said}{rest}, and there is {quantities.size(free)} free for {folder}: make room, set disk.budget to none "
            f"to continue anyway{instead}."
        )


def _by_run(plan: Plan) -> dict[Run, int]:
    runs = dumped(plan)
    pairs = {(run.architecture, run.shortcut) for run in runs}
    sizes = {pair: dump_bytes(plan, *pair) for pair in pairs}
    return {run: sizes[run.architecture, run.shortcut] for run in runs}


def _missing(folder: Path | None, run: Run, whole: int, read: Callable[[Run], bool]) -> int:
    """Bytes that are still to be written of a run."""
    path = folder and folder / f"{run.path}.parquet"
    there = path.stat().st_size if path and path.is_file() else 0
    purged = not there and read(run)
    return 0 if purged or there >= (1 - CLOSE) * whole else whole - there


def _free(folder: Path) -> int:
    """Bytes that this user may still write where the folder is or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free


def _largest(runs: dict[Run, int]) -> str:
    """Name the three architectures that take most, where there are several."""
    taken: Counter[str] = Counter()
    for run, whole in runs.items():
        taken[run.architecture] += whole
    named = ", ".join(f"{label} {quantities.size(whole)}" for label, whole in taken.most_common(3))
    return f" ({named})" if len(taken) > 1 else ""


Choices = Iterator[tuple[str, Plan]]
"""What to write, and the plan with it, from mild to strong."""


def _instead(plan: Plan, total: int, room: float) -> str:
    """Name every setting that would help, no stronger than needed, and the total size with that setting alone."""
    found = []
    for choices in (_sites(plan), _dtype(plan), _projected(plan), _pooled(plan), _held_out(plan), _checkpoints(plan)):
        sized = [(experiment_bytes(changed), name) for name, changed in choices]
        helping = [one for one in sized if one[0] <= (1 - WORTH_SAYING) * total]
        if helping:
            found.append(next((one for one in helping if one[0] <= room), helping[-1]))
    named = ", ".join(f"{name} ({quantities.size(whole)})" for whole, name in sorted(found))
    return f", or take less, by any of {named}" if named else ""


def _sites(plan: Plan) -> Choices:
    yield "activations.sites ['*.z']", _reading(plan, sites=["*.z"])


def _dtype(plan: Plan) -> Choices:
    yield "activations.dtype float16", _reading(plan, dtype="float16")


def _projected(plan: Plan) -> Choices:
    for dimensions in PROJECTIONS:
        yield f"activations.project {{'*': {dimensions}}}", _reading(plan, project={"*": dimensions})


def _pooled(plan: Plan) -> Choices:
    for side in SIDES:
        yield f"activations.pool {{'*': {side}}}", _reading(plan, pool={"*": side})


def _reading(plan: Plan, **changes: object) -> Plan:
    return replace(plan, activations=replace(plan.activations, **changes))  # type: ignore[arg-type]


def _held_out(plan: Plan) -> Choices:
    before = plan.samples if plan.data.held_out == "all" else plan.data.held_out
    for share in SHARES.values():
        fewer = max(2, int((before or 0) * share))
        yield f"data.held_out {fewer}", replace(plan, data=replace(plan.data, held_out=fewer))


def _checkpoints(plan: Plan) -> Choices:
    for name, share in SHARES.items():
        training = {
            label: replace(one, checkpoints=_fewer(one.checkpoints, share)) for label, one in plan.training.items()
        }
        yield f"training.checkpoints {name} as many", replace(plan, training=training)


def _fewer(spec: CheckpointSpec, share: float) -> CheckpointSpec:
    stages = spec.stages and [[until, ceil(every / share)] for until, every in spec.stages]
    return replace(spec, log=ceil(spec.log * share), linear=ceil(spec.linear * share), stages=stages)

"""What a job asks of a cluster, memory and time, from the size of the experiment; nothing here changes a result.

Rough on purpose: a few constants, compared with what the benchmarks measured (`bench/results`, one thread of an AMD
EPYC), with room for slower machines and other plug-ins. A job that needs more is killed, and asks for more in its
next attempt. On a single machine nothing is asked for, and these figures have no effect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod

from infoplane.config.plan import Plan
from infoplane.options import Addition

MB = 1_000_000

PROCESS_MB = 1000
"""Python and PyTorch; 300 to 400 MB were measured."""
CUDA_MB = 3000
"""More where a GPU may be used; CUDA's libraries, not measured here."""
SAMPLES_WHERE_UNKNOWN = 60_000
"""Assumed for a data set whose size is not known before it is read."""

START_MINUTES = 10
"""For what does not grow: a busy file system, imports, the two Snakemakes that every job on a cluster starts."""
ROOM = {"train": 4, "activations": 4, "measures": 10, "truths": 10}
"""How much slower than measured a machine may be; measures may be slower than the one that was timed (kernel), too."""

STEP_SECONDS = 0.005
VALUES_PER_SECOND = 3e7
"""In training: values of the widest site x additions x batch; 8.6 s measured for 480 steps of the demo, 8.7 s here."""
READ_PER_SECOND = 6e7
"""The same where activations are only read."""
MEASURE_SECONDS = 0.1
PRODUCTS_PER_SECOND = 4e9
LANDMARKS = 1000
"""Samples against which kernels are computed, at most."""


@dataclass(frozen=True)
class Demand:
    """memory in MB, time in minutes, of the first attempt."""

    memory: int
    minutes: int


@dataclass(frozen=True)
class Size:
    """How large one architecture's jobs are."""

    values: int
    """Of all fields of one sample."""
    stored_bytes: int
    """That these take."""
    train: int
    held_out: int
    additions: int
    widest: int
    """Values of the largest place, of one sample."""
    stored: int
    """The same, of what is kept of the largest that is kept."""
    sites: int
    """That are kept, with the shortcut that has most."""
    checkpoints: int


def demand(plan: Plan, stage: str, architecture: str | None = None) -> Demand:
    """What a job of this stage asks for; ``architecture``, a label, where the stage has one."""
    if architecture is None:
        memory, seconds = ALONE[stage](plan)
    else:
        memory, seconds = OF_A_RUN[stage](plan, architecture, size(plan, architecture))
    seconds *= ROOM.get(of_one_run(stage), 1)
    process = PROCESS_MB + (0 if plan.config.device == "cpu" else CUDA_MB)
    return Demand(process + ceil(memory / MB), START_MINUTES + ceil(seconds / 60))


def work_seconds(plan: Plan, stage: str, architecture: str) -> float:
    """Seconds that such a job would have worked where the constants were measured; stages: those of `OF_A_RUN`."""
    return OF_A_RUN[stage](plan, architecture, size(plan, architecture))[1]


def size(plan: Plan, architecture: str) -> Size:
    """Of the jobs of one architecture, given its label."""
    values, stored_bytes, samples = _samples(plan)
    set_aside = plan.config.data.validation + (0 if plan.data.held_out == "all" else plan.data.held_out)
    places, training = plan.places[architecture], plan.training[architecture]
    stored = [plan.stored(architecture, shortcut).values() for shortcut in plan.shortcuts]
    return Size(
        values=values,
        stored_bytes=stored_bytes,
        train=plan.data.train or samples - set_aside,
        held_out=samples if plan.data.held_out == "all" else plan.data.held_out,
        additions=sum(isinstance(shape, Addition) for shape in places.values()),
        widest=max(map(prod, places.values())),
        stored=max(prod(shape) for shapes in stored for shape in shapes),
        sites=max(map(len, stored)),
        checkpoints=len(training.checkpoints.taken(training.steps)),
    )


def _samples(plan: Plan) -> tuple[int, int, int]:
    """Values and bytes of all fields of one sample, and how many samples there are."""
    fields = plan.fields.values()
    return sum(one.values for one in fields), sum(one.bytes for one in fields), plan.samples or SAMPLES_WHERE_UNKNOWN


def _data(plan: Plan) -> tuple[float, float]:
    _, stored_bytes, samples = _samples(plan)
    return 10.0 * stored_bytes * samples, 3600  # most of the hour is for a download


def _truths(plan: Plan) -> tuple[float, float]:
    largest = max(max(spec.samples) for spec in plan.truths.values())
    draws = max(max(spec.seeds, spec.coverage_draws) * len(spec.samples) for spec in plan.truths.values())
    return 64.0 * largest**2, 60.0 * draws


def of_one_run(stage: str) -> str:
    """The stage that does of one run what this one does of all seeds of a network; itself where there is none."""
    return stage.removesuffix("_stack")


def _held(size: Size) -> float:
    """Bytes that a job holds of each training sample: stored in the file and on the device, and as floats."""
    return 2.0 * size.stored_bytes + 10.0 * size.values


def _train(plan: Plan, architecture: str, size: Size, members: int = 1) -> tuple[float, float]:
    training = plan.training[architecture]
    batch = training.batch_size * size.additions * size.widest
    seconds = training.steps * (STEP_SECONDS + batch / VALUES_PER_SECOND)
    return size.train * _held(size) + 32.0 * members * batch, members * seconds


def _train_stack(plan: Plan, architecture: str, size: Size) -> tuple[float, float]:
    return _train(plan, architecture, size, len(plan.config.seeds))


def _activations(plan: Plan, architecture: str, size: Size) -> tuple[float, float]:
    images = size.held_out + plan.activations.recalibration
    seconds = size.checkpoints * images * size.additions * size.widest / READ_PER_SECOND
    return size.train * _held(size) + 16.0 * size.sites * size.held_out * size.stored, seconds


def _measures(plan: Plan, architecture: str, size: Size) -> tuple[float, float]:
    dimensions = max(size.stored, size.values)
    products = size.held_out * min(size.held_out, LANDMARKS) * dimensions
    seconds = size.checkpoints * size.sites * (MEASURE_SECONDS + products / PRODUCTS_PER_SECOND)
    seconds *= 1 + len(plan.config.targets)
    return 16.0 * size.held_out * dimensions + 64.0 * size.held_out**2, seconds


def _activations_stack(plan: Plan, architecture: str, size: Size) -> tuple[float, float]:
    memory, seconds = _activations(plan, architecture, size)
    return memory, len(plan.config.seeds) * seconds


def _measures_stack(plan: Plan, architecture: str, size: Size) -> tuple[float, float]:
    memory, seconds = _measures(plan, architecture, size)
    return memory, len(plan.config.seeds) * seconds


ALONE: dict[str, Callable[[Plan], tuple[float, float]]] = {"data": _data, "truths": _truths}
OF_A_RUN: dict[str, Callable[[Plan, str, Size], tuple[float, float]]] = {
    "train": _train,
    "train_stack": _train_stack,
    "activations": _activations,
    "activations_stack": _activations_stack,
    "measures": _measures,
    "measures_stack": _measures_stack,
}
"""Stage -> bytes and seconds, beside what every process takes."""

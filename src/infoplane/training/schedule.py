"""When a network is saved, and how fast it learns at a step."""

import math

import numpy as np

from infoplane.specs import CheckpointSpec, TrainingSpec


def checkpoint_steps(spec: CheckpointSpec, steps: int) -> list[int]:
    """Step 0, ``log`` log-spaced steps in [1, log_until], ``linear`` even steps after it, and the last step.

    With ``stages``: step 0, the multiples of each stage's ``every`` after the stage before it, and the last step.
    Steps beyond the last are dropped; rounding may merge neighbours, so there may be fewer than asked for.
    """
    if spec.stages is not None:
        starts = [0, *(until for until, _ in spec.stages)]
        multiples = (
            range(start // every * every + every, min(until, steps) + 1, every)
            for start, (until, every) in zip(starts, spec.stages, strict=False)
        )
        return sorted({0, steps}.union(*multiples))
    until = min(spec.log_until, steps)
    log = np.geomspace(1, until, spec.log) if spec.log > 1 else np.full(spec.log, until)
    linear = np.linspace(until, steps, spec.linear + 1)[1:]
    return sorted({0, steps} | {round(float(step)) for step in (*log, *linear)})


def learning_rate(spec: TrainingSpec, step: int) -> float:
    """The learning rate of the update from ``step`` to ``step + 1``: linear warm-up, then constant or half a cosine."""
    if step < spec.warmup:
        return spec.learning_rate * (step + 1) / spec.warmup
    if spec.schedule == "constant":
        return spec.learning_rate
    progress = (step - spec.warmup) / (spec.steps - spec.warmup)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

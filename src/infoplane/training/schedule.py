"""How fast a network learns at a step."""

import math

from infoplane.specs import TrainingSpec


def learning_rate(spec: TrainingSpec, step: int) -> float:
    """The learning rate of the update from ``step`` to ``step + 1``: linear warm-up, then constant or half a cosine."""
    if step < spec.warmup:
        return spec.learning_rate * (step + 1) / spec.warmup
    if spec.schedule == "constant":
        return spec.learning_rate
    progress = (step - spec.warmup) / (spec.steps - spec.warmup)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

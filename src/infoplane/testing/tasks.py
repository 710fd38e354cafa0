"""What is asked of a task."""

from collections.abc import Iterator

import torch
from torch.func import vmap

from infoplane.errors import UserError
from infoplane.options import Field, Fields, image, label
from infoplane.task import Task
from infoplane.testing.candidate import Candidate, Rule

POINTS = Field((2,), "d", "float32")
PICTURES = Field((1, 16, 16), "chw", "float32", scale="none")
DATA: tuple[Fields, ...] = (
    {"x": POINTS, "y": label(3)},
    {"x": POINTS, "y": POINTS},
    {"x": image(3, 8, 8), "y": label(5)},
    {"x": PICTURES, "y": PICTURES},
    {"x": Field((1, 64), "ct", "float32"), "y": Field((2, 64), "ct", "float32")},
)
"""Data that tasks are tried on: points, pictures and sound, each with what may be learned of it."""
SAMPLES = 12


def fitting(candidate: Candidate) -> Iterator[Task]:
    """The task on each of `DATA` that it accepts."""
    for fields in DATA:
        try:
            yield Task(candidate.plugin, fields)
        except UserError:
            continue


def drawn(fields: Fields) -> dict[str, torch.Tensor]:
    """`SAMPLES` random samples."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randint(one.classes, (SAMPLES, *one.shape), generator=generator)
        if one.classes
        else torch.rand(SAMPLES, *one.shape, generator=generator)
        for name, one in fields.items()
    }


def fits_some_data(candidate: Candidate) -> None:
    """Options.check accepts data that it can learn from, and names its metrics."""
    found = list(fitting(candidate))
    assert found, "Options.check refuses points, pictures and sound alike, with classes and with numbers to learn"
    for task in found:
        names = [metric.name for metric in task.metrics]
        assert names and len(set(names)) == len(names), "metrics gives one Metric or more, each of another name"


def judges_each_sample_alone(candidate: Candidate) -> None:
    """losses and scores give one finite number for a sample, whichever other samples are there."""
    for task in fitting(candidate):
        batch = drawn(task.data)
        output = torch.randn(SAMPLES, *task.output.shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        losses, scores = task.losses(output, batch), task.scores(output, batch)
        assert losses.shape == (SAMPLES,), f"losses gives shape {tuple(losses.shape)}: expected ({SAMPLES},)"
        assert torch.isfinite(losses).all()
        losses.sum().backward()
        assert output.grad is not None and torch.isfinite(output.grad).all(), "losses has no finite gradient"
        assert list(scores) == [metric.name for metric in task.metrics], "scores names the metrics, in their order"
        assert all(value.shape == (SAMPLES,) for value in scores.values())
        half = {name: values[:5] for name, values in batch.items()}
        assert torch.allclose(task.losses(output[:5], half), losses[:5], atol=1e-6), "a loss depends on other samples"
        for name, values in task.scores(output[:5], half).items():
            assert torch.allclose(values, scores[name][:5], atol=1e-6), f"{name} depends on other samples"


def learns_in_a_stack(candidate: Candidate) -> None:
    """Several networks learn by one call of losses through torch.func.vmap, each as if alone."""
    for task in fitting(candidate):
        batch = drawn(task.data)
        outputs = torch.randn(3, SAMPLES, *task.output.shape, generator=torch.Generator().manual_seed(2))
        together = vmap(lambda output, task=task, batch=batch: task.losses(output, batch))(outputs)
        for output, losses in zip(outputs, together, strict=True):
            assert torch.allclose(task.losses(output, batch), losses, atol=1e-5)


def has_a_trivial_answer(candidate: Candidate) -> None:
    """trivial answers every sample in the output's shape, and can be judged."""
    for task in fitting(candidate):
        train, batch = drawn(task.data), drawn(task.data)
        answer = task.trivial(train, batch)
        assert answer.shape == (SAMPLES, *task.output.shape), f"trivial gives shape {tuple(answer.shape)}"
        for metric in task.metrics:
            value = float(task.scores(answer, batch)[metric.name].mean())
            low = -torch.inf if metric.low is None else metric.low
            high = torch.inf if metric.high is None else metric.high
            assert low <= value <= high, f"{metric.name} of the trivial answer is {value}: beyond its bounds"


RULES: tuple[Rule, ...] = (fits_some_data, judges_each_sample_alone, learns_in_a_stack, has_a_trivial_answer)

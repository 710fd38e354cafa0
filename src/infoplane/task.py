"""A task plug-in, its options and the fields of the data: all that training and measures ask of what is learned."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from infoplane import registry
from infoplane.errors import UserError
from infoplane.metrics import Metric
from infoplane.options import Field, Fields, TaskOptions
from infoplane.specs import Plugin

Batch = Mapping[str, Tensor]
"""Field -> its values for some samples, (n, *shape), as networks are given them."""


class Task:
    """Functions of answers (n, *shape of the output) and of what belongs to them, one number for each sample."""

    def __init__(self, plugin: Plugin, data: Fields) -> None:
        """Raises `UserError` where the data have not what the task needs."""
        self._module = registry.load("task", plugin.kind)
        self.data = data
        try:
            self.options: TaskOptions = self._module.Options(**plugin.options)
            self.options.check(data)
        except (TypeError, ValueError) as error:
            raise UserError(f"task '{plugin.kind}': {error}.") from None
        self.x, self.y = self.options.x, self.options.y
        self.input: Field = data[self.x]
        self.output: Field = self.options.output(data)
        self.metrics: tuple[Metric, ...] = self.options.metrics(data)

    def losses(self, output: Tensor, batch: Batch) -> Tensor:
        """What is minimised, shape (n,)."""
        return self._module.losses(output, batch, self.options)

    def scores(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Metric -> shape (n,)."""
        return self._module.scores(output, batch, self.options)

    def trivial(self, train: Batch, batch: Batch) -> Tensor:
        """The answer of a network that has learned nothing, at most the training samples' statistics."""
        return self._module.trivial(train, batch, self.options)

    def taught(self, train: Batch, seed: int) -> dict[str, Tensor]:
        """The fields that a network learns from changed, such as noisy labels: name -> all training samples' values."""
        change = getattr(self._module, "taught", None) if self.options.changed else None
        return change(train, self.data, self.options, seed) if change else {}

    def described(self) -> dict[str, Any]:
        """What a reader of a history needs to know, as JSON values."""
        classes = self.data[self.y].classes
        return {
            "input": self.input.to_dict(),
            "output": self.output.to_dict(),
            "classes": classes,
            "metrics": [asdict(metric) for metric in self.metrics],
            "loss_unit": self.options.loss_unit,
        }

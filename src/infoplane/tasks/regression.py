"""Regression: numbers for every sample; mean squared error."""

from dataclasses import dataclass

from torch import Tensor

from infoplane.metrics import Metric
from infoplane.options import Field, Fields, TaskOptions, require


@dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    """Beside its fields there is nothing to choose."""

    def check(self, data: Fields) -> None:
        super().check(data)
        require(data[self.y].classes is None, f"'{self.y}' holds classes: a regression needs numbers")

    def output(self, data: Fields) -> Field:
        return data[self.y]

    def metrics(self, data: Fields) -> tuple[Metric, ...]:
        return (Metric("mse", "mean squared error", "1", better=-1, margin=0.05, low=0.0, relative=True),)


def losses(output: Tensor, batch: dict[str, Tensor], options: Options) -> Tensor:
    """Mean over the numbers of a sample of the squared error, in the scale in which networks read the field; (n,)."""
    return (output.float() - batch[options.y]).square().flatten(1).mean(1)


def scores(output: Tensor, batch: dict[str, Tensor], options: Options) -> dict[str, Tensor]:
    """The same, by its name."""
    return {"mse": losses(output, batch, options).double()}


def trivial(train: dict[str, Tensor], batch: dict[str, Tensor], options: Options) -> Tensor:
    """The mean of the training samples."""
    return train[options.y].mean(0).expand_as(batch[options.y])

"""Ridge regression (Z-X) and multinomial logistic regression (Z-Y) on standardised activations."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from infoplane.measures.decoding.decode import Kernel, Kernels, decode
from infoplane.measures.decoding.gram import Gram, centred_eigenbasis
from infoplane.measures.decoding.ridge import choose_ridge, decades
from infoplane.measures.estimate import Estimate
from infoplane.measures.targets import Targets
from infoplane.options import require


@dataclass(frozen=True)
class Options:
    folds: Annotated[int, "cross-validation folds of Z-Y (Z-X is leave-one-out)"] = 5
    weakest_ridge: Annotated[float, "lower end of the ridge grid, in units of the mean squared norm of a probe"] = 1e-8
    strongest_ridge: Annotated[float, "upper end of the ridge grid; beyond it lies the constant predictor"] = 1e3
    seed: Annotated[int, "of the folds"] = 0

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"folds must be at least 2, got {self.folds}")
        require(
            0 < self.weakest_ridge < self.strongest_ridge,
            f"ridges must rise from above 0, got {self.weakest_ridge} to {self.strongest_ridge}",
        )


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """Z-X and Z-Y of activations of shape (n, ...); the Gram matrix ZZ' makes D < n and D > n one case."""
    ridges = decades(options.weakest_ridge, options.strongest_ridge)

    def choose(gram: Gram) -> Kernels:
        kernel = Kernel(centred_eigenbasis(gram.products))
        return Kernels(kernel, choose_ridge(kernel.basis, targets.inputs, ridges), kernel)

    return decode(z, targets, choose, ridges, options.folds, options.seed)

"""A variational lower bound of I(X;Z) in nats: InfoNCE, by a critic tested on samples that it was not trained on."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.compression import compress, compress_once
from infoplane.measures.information.coordinates import varying
from infoplane.measures.information.neighbours import Information
from infoplane.measures.information.reported import in_nats
from infoplane.measures.information.variational import Critic, infonce
from infoplane.measures.targets import Targets
from infoplane.options import require, require_positive
from infoplane.specs import canonical

ABOUT = {"ixz_lower": "x of numbers"}


@dataclass(frozen=True)
class Options:
    dimensions: Annotated[int, "largest number of principal components of X and of Z that the critic reads"] = 64
    hidden: Annotated[int, "units of the critic's hidden layer, for X and for Z"] = 128
    width: Annotated[int, "outputs of the critic, for X and for Z; their inner product is the score"] = 32
    batch: Annotated[int, "pairs in a training step"] = 128
    steps: Annotated[int, "largest number of training steps"] = 1000
    learning_rate: Annotated[float, "learning rate of Adam"] = 1e-3
    left_out: Annotated[
        float, "share of the samples on which the bound is evaluated; it cannot exceed the logarithm of their number"
    ] = 0.4
    seed: Annotated[int, "random seed of the split, the critic and its batches"] = 0

    def __post_init__(self) -> None:
        require_positive(self, "dimensions", "hidden", "width", "steps")
        require(self.batch >= 2, f"batch must be at least 2, got {self.batch}")
        require(self.learning_rate > 0, f"learning_rate must be above 0, got {self.learning_rate}")
        require(0 < self.left_out < 0.9, f"left_out must be between 0 and 0.9, got {self.left_out}")


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """A lower bound of I(X;Z) in nats of activations of shape (n, ...)."""
    flat = z.flatten(1)
    n, d = flat.shape

    if not bool(torch.isfinite(flat).all()):
        return [in_nats("ixz_lower", n, d, None, "non-finite")]
    if not varying(flat).shape[1]:
        return [in_nats("ixz_lower", n, d, Information(0.0, 0.0), "constant")]
    x = compress_once(targets.x_numbers.given, options.dimensions, "pca", options.seed)
    code = compress(flat, options.dimensions, "pca", options.seed)
    critic = Critic(
        hidden=options.hidden,
        width=options.width,
        batch=options.batch,
        steps=options.steps,
        learning_rate=options.learning_rate,
        left_out=options.left_out,
    )
    try:
        found = infonce(x.code, code.code, critic, options.seed, targets.groups)
    except UserError as error:
        return [in_nats("ixz_lower", n, d, None, str(error))]
    return [in_nats("ixz_lower", n, d, found, found.note, canonical({"kept_x": x.kept, "kept_z": code.kept}))]

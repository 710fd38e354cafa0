"""One name for every neighbour estimator, so that a family and its calibration ask for the same one."""

from typing import Literal

from torch import Tensor

from infoplane.measures.information.differential import entropy_class_information, entropy_information
from infoplane.measures.information.neighbours import Information, ksg_information, ross_information

Estimator = Literal["ksg1", "ksg2", "kl", "weighted_kl"]
ClassEstimator = Literal["ross", "kl", "weighted_kl"]

NEIGHBOURS: dict[Estimator, int] = {"ksg1": 1, "ksg2": 1, "kl": 3, "weighted_kl": 20}
"""The k at which each did best on data of known information (docs: accuracy)."""


def mutual_information(x: Tensor, z: Tensor, estimator: Estimator = "weighted_kl", k: int = 20) -> Information:
    """I(X;Z) in nats, samples of shape (n,) or (n, d), margins made nearly normal first.

    Raises `UserError` as `ksg_information` and `entropy_information` do.
    """
    if estimator == "ksg1" or estimator == "ksg2":
        return ksg_information(x, z, k, estimator)
    return entropy_information(x, z, k, weighted=estimator == "weighted_kl")


def class_information(z: Tensor, labels: Tensor, estimator: ClassEstimator = "ross", k: int = 3) -> Information:
    """I(Z;Y) in nats, samples of shape (n,) or (n, d), labels int64, shape (n,).

    By neighbours within the class (ross), or by an entropy per class (kl, weighted_kl). Raises `UserError` as
    `ross_information` and `entropy_class_information` do.
    """
    if estimator == "ross":
        return ross_information(z, labels, k)
    return entropy_class_information(z, labels, k, weighted=estimator == "weighted_kl")

"""What every measure family returns: values with the diagnostics that let a reader trust or doubt them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One measured value of one activation (a site at a checkpoint).

    value: None where nothing can be measured (the note says why). reference: the value of a decoder that knows
    nothing. stderr: over samples, decoder and hyperparameters held fixed. edge: hyperparameters chosen at an end of
    their grid, such as ``ridge:low,bandwidth:high``. ridge: ``inf`` when the constant predictor won. folds: parts
    of the cross-validation; n for leave-one-out.
    """

    measure: str
    unit: str
    value: float | None
    reference: float | None
    n: int
    d: int
    stderr: float | None = None
    edge: str = ""
    ridge: float | None = None
    bandwidth: float | None = None
    folds: int | None = None
    constant_features: int = 0
    note: str = ""

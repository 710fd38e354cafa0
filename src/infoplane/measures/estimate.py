"""Hold what every measure family returns: a value and its diagnostics."""

from dataclasses import dataclass

BLOCKS = 20
"""Parts of the samples on which a value is also given, so that intervals know how checkpoints vary together."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One measured value of one activation (a site at a checkpoint).

    value: None where nothing can be measured (the note says why). unit: ``nmse``, ``nats``, ``bits``, ``share`` (of
    1), or ``1`` for other pure numbers. reference: the value of a representation without information. stderr: over
    samples, decoder and hyperparameters held fixed, or over repeats. extrapolated: the value at unlimited n, from a
    learning curve. calibration: what the same estimator is off by on data of known value, in the same unit. edge:
    hyperparameters chosen at an end of their grid, such as ``ridge:low,bandwidth:high``. ridge: ``inf`` when the
    constant predictor won. folds: parts of the cross-validation; n for leave-one-out. detail: what else the family
    has to tell, as one canonical JSON object. blocks: the value on each of `BLOCKS` fixed parts of the samples (sample
    i, or group i, is in part i modulo `BLOCKS`, the same at every checkpoint of every run), whose plain mean is the
    value; None for what is no mean over samples, for no value, and for fewer judged samples than parts.
    """

    measure: str
    unit: str
    value: float | None
    reference: float | None
    n: int
    d: int
    stderr: float | None = None
    extrapolated: float | None = None
    calibration: float | None = None
    edge: str = ""
    ridge: float | None = None
    bandwidth: float | None = None
    folds: int | None = None
    constant_features: int = 0
    note: str = ""
    detail: str = ""
    blocks: tuple[float, ...] | None = None

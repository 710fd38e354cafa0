"""Mutual information by nearest neighbours, in nats: I(X;Z) and I(Z;Y) after compression, each calibrated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.calibration import Setting, calibrate
from infoplane.measures.information.compression import Compressed, compress, compress_once
from infoplane.measures.information.coordinates import add_noise, normal_columns, of_values, varying
from infoplane.measures.information.intervals import SURE
from infoplane.measures.information.mutual import (
    NEIGHBOURS,
    class_information,
    mutual_information,
)
from infoplane.measures.information.nearest import intrinsic_dimension
from infoplane.measures.information.neighbours import Information
from infoplane.measures.information.reported import in_nats
from infoplane.measures.targets import Targets
from infoplane.options import require
from infoplane.specs import canonical

GROUPS = "ignored"
ABOUT = {"ixz": "x of numbers", "izy": "y of classes"}

TRUSTED = 8
"""Joint dimension up to which errors at n = 1,000 stayed within some tenths of a nat on data of known information."""

FILLED = 0.65
"""Intrinsic dimension per column below which samples are said to lie on a surface (normals in 4: 0.85 and more)."""

OFF = 0.2
"""Share of a value by which it must be off on data of known information, beyond its interval, for a note."""

LEAST_OFF = 0.1
"""The same in nats: smaller errors get no note."""


@dataclass(frozen=True)
class Options:
    estimator: Annotated[
        Literal["ksg1", "ksg2", "kl", "weighted_kl"],
        "estimator of I(X;Z): Kraskov et al.'s first or second, or Kozachenko-Leonenko entropies, plain or weighted",
    ] = "weighted_kl"
    k: Annotated[
        int,
        "number of neighbours, at most a tenth of the samples; 0: 20 for weighted_kl, 3 for kl, 1 for ksg1 and ksg2",
    ] = 0
    classes: Annotated[
        Literal["ross", "kl", "weighted_kl"],
        "estimator of I(Z;Y): neighbours within the class, or an entropy per class",
    ] = "ross"
    class_k: Annotated[int, "number of neighbours within a class"] = 3
    compress: Annotated[
        Literal["none", "pca", "autoencoder"],
        "how X and Z are compressed where they have more dimensions than the option dimensions",
    ] = "pca"
    dimensions: Annotated[int, "dimensions of X and of Z after compression"] = 4
    noise: Annotated[
        float,
        "normal noise on Z for I(X;Z), which is infinite for a deterministic layer; relative to the deviation in every "
        "direction, and none where values of Z repeat",
    ] = 1e-3
    jitter: Annotated[float, "the same noise on X, added also where its values repeat; 0: none"] = 0.0
    calibrate: Annotated[bool, "also estimate data of known information, once per process and setting"] = True
    seed: Annotated[int, "random seed of noise, compression and calibration"] = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("estimator", ("ksg1", "ksg2", "kl", "weighted_kl")),
            ("classes", ("ross", "kl", "weighted_kl")),
            ("compress", ("none", "pca", "autoencoder")),
        ):
            found = getattr(self, name)
            require(found in known, f"{name} must be one of {', '.join(known)}, got {found}")
        require(self.k >= 0, f"k must be 0 (the estimator's own) or more, got {self.k}")
        require(self.class_k >= 1, f"class_k must be at least 1, got {self.class_k}")
        require(self.dimensions >= 1, f"dimensions must be at least 1, got {self.dimensions}")
        require(
            self.noise >= 0 and self.jitter >= 0, f"noise and jitter must be 0 or more, got {self.noise}, {self.jitter}"
        )


def estimate(z: Tensor, targets: Targets, options: Options) -> list[Estimate]:
    """I(X;Z) and I(Z;Y) in nats of activations of shape (n, ...)."""
    flat = z.flatten(1)
    n, d = flat.shape
    if not bool(torch.isfinite(flat).all()):
        return [in_nats(name, n, d, None, "non-finite") for name in ("ixz", "izy")]
    if not varying(flat).shape[1]:
        return [in_nats(name, n, d, Information(0.0, 0.0), "constant") for name in ("ixz", "izy")]
    x = compress_once(targets.x_numbers.given, options.dimensions, options.compress, options.seed)
    code = compress(flat, options.dimensions, options.compress, options.seed)
    return [_inputs(x, code, (targets.x_numbers.given[0].numel(), d), options), _labels(code, targets, d, options)]


def _inputs(given: Compressed, code: Compressed, wide: tuple[int, int], options: Options) -> Estimate:
    x, z, n = varying(given.code), varying(code.code), len(code.code)
    k = max(1, min(options.k or NEIGHBOURS[options.estimator], n // 10))
    detail: dict[str, object] = {"estimator": options.estimator, "k": k, "kept_x": given.kept, "kept_z": code.kept}
    known = Setting(options.estimator, k, options.compress, options.dimensions, n, wide, seed=options.seed)
    if options.jitter and x.shape[1]:
        x = add_noise(normal_columns(x), options.jitter, options.seed, "X")
    try:
        found = mutual_information(x, z, options.estimator, k, options.noise, options.seed)
    except UserError as error:
        found = Information(math.nan, math.nan, str(error))
    if not x.shape[1] or of_values(x) or of_values(z):
        return _told("ixz", found, None, n, wide, detail, options)
    notes = [_fewer("X", x), _fewer("Z", z)]
    if (joint := x.shape[1] + z.shape[1]) > TRUSTED:
        notes.append(f"joint dimension {joint}: not trusted beyond {TRUSTED}")
    return _told("ixz", found, known, n, wide, detail, options, notes)


def _fewer(name: str, columns: Tensor) -> str:
    """A note where samples fill fewer dimensions than they have, so that they have no density there."""
    found = intrinsic_dimension(normal_columns(columns)) if columns.shape[1] > 1 else None
    if found is None or found > FILLED * columns.shape[1]:
        return ""
    return f"{name} fills about {found:.1f} of its {columns.shape[1]} dimensions: compress to as many"


def _labels(code: Compressed, targets: Targets, d: int, options: Options) -> Estimate:
    detail: dict[str, object] = {"estimator": options.classes, "k": options.class_k, "kept_z": code.kept}
    try:
        found = class_information(code.code, targets.y_classes.labels, options.classes, options.class_k)
    except UserError as error:
        found = Information(math.nan, math.nan, str(error))
    setting = Setting(
        options.classes,
        options.class_k,
        options.compress,
        options.dimensions,
        targets.n,
        (d,),
        classes=targets.y_classes.count,
        seed=options.seed,
    )
    known = setting if found.note != "one class" else None
    return _told("izy", found, known, targets.n, (d,), detail, options, most=targets.y.entropy)


def _told(
    measure: str,
    found: Information,
    known: Setting | None,
    n: int,
    wide: tuple[int, ...],
    detail: dict[str, object],
    options: Options,
    notes: Sequence[str] = (),
    most: float = math.inf,
) -> Estimate:
    """The estimate, calibrated where ``known`` says how it was made, and what was done to Z and X in its note."""
    detail = detail | dict(found.about) | {"compress": options.compress, "dimensions": options.dimensions}
    off, notes = None, [found.note, *notes]
    tried = calibrate(known, found.value) if known and options.calibrate and math.isfinite(found.value) else None
    if tried is not None:
        off = tried.off
        detail |= {"calibrated_at": tried.truth}
        # where I(X;Z) may be all of H(X), the value is not saturated
        if tried.beyond and found.value + SURE * found.stderr < most:
            notes.append(f"saturated: more than this estimator can measure with {n} samples")
        elif abs(off) > max(SURE * found.stderr, OFF * abs(found.value), LEAST_OFF):
            notes.append(f"off by {off:+.2g} nats on data of known information ({tried.truth:.3g} nats)")
    if max(wide) > options.dimensions and options.compress != "none":
        notes.append(f"of at most {options.dimensions} dimensions each ({options.compress})")
    told = found if math.isfinite(found.value) else None
    return in_nats(measure, n, wide[-1], told, "; ".join(filter(None, notes)), canonical(detail), off)

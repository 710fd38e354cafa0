"""Mutual information by nearest neighbours, in nats: I(X;Z) and I(Z;Y) after compression, each calibrated."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.information.calibration import Setting, calibrate
from infoplane.measures.information.compression import Compressed, compress, compress_once
from infoplane.measures.information.coordinates import smooth_scores, varying
from infoplane.measures.information.mutual import NEIGHBOURS, class_information, mutual_information
from infoplane.measures.information.nearest import intrinsic_dimension
from infoplane.measures.information.neighbours import Information
from infoplane.measures.information.reported import in_nats
from infoplane.measures.targets import Targets
from infoplane.options import require
from infoplane.specs import canonical

TRUSTED = 8
"""Joint dimension up to which errors at n = 1,000 stayed within some tenths of a nat on data of known information."""

FILLED = 0.65
"""Intrinsic dimension per column below which samples are said to lie on a surface (normals in 4: 0.85 and more)."""


@dataclass(frozen=True)
class Options:
    estimator: Annotated[
        Literal["ksg1", "ksg2", "kl", "weighted_kl"],
        "of I(X;Z): Kraskov et al.'s first or second, or Kozachenko-Leonenko entropies, plain or weighted",
    ] = "weighted_kl"
    k: Annotated[
        int, "neighbours; 0: 20 for weighted_kl, 3 for kl, 1 for ksg1 and ksg2; never more than a tenth of the probes"
    ] = 0
    classes: Annotated[
        Literal["ross", "kl", "weighted_kl"],
        "estimator of I(Z;Y): neighbours within the class, or an entropy per class",
    ] = "ross"
    class_k: Annotated[int, "neighbours within a class"] = 3
    compress: Annotated[
        Literal["none", "pca", "autoencoder"], "what X and Z go through where they have more dimensions than these"
    ] = "pca"
    dimensions: Annotated[int, "of X and of Z after compression"] = 4
    noise: Annotated[
        float,
        "normal noise on Z, relative to its root mean square deviation: a deterministic layer's I(X;Z) is infinite",
    ] = 1e-3
    jitter: Annotated[float, "the same on X, for inputs that come several times; 0: none"] = 0.0
    calibrate: Annotated[bool, "estimate data of known information too, once per process and setting"] = True
    seed: Annotated[int, "of noise, compression and calibration"] = 0

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
    x = compress_once(targets.given, options.dimensions, options.compress, options.seed, options.jitter)
    code = compress(flat, options.dimensions, options.compress, options.seed, options.noise)
    wide = (targets.given[0].numel(), d)
    return [_inputs(x, code, wide, options), _labels(code, targets, d, options)]


def _inputs(x: Compressed, z: Compressed, wide: tuple[int, int], options: Options) -> Estimate:
    n, joint = len(z.code), x.code.shape[1] + z.code.shape[1]
    k = max(1, min(options.k or NEIGHBOURS[options.estimator], n // 10))
    setting = Setting(options.estimator, k, options.compress, options.dimensions, n, wide, seed=options.seed)
    try:
        found: Information | None = mutual_information(x.code, z.code, options.estimator, k)
        notes = [f"joint dimension {joint}: not trusted beyond {TRUSTED}"] if joint > TRUSTED else []
    except UserError as error:
        found, notes = None, [str(error)]
    notes += [_fewer(name, side.code) for name, side in (("X", x), ("Z", z))]
    detail: dict[str, object] = {"estimator": options.estimator, "k": k, "kept_x": x.kept, "kept_z": z.kept}
    return _finished("ixz", found, notes, setting, wide[1], detail, options)


def _fewer(name: str, code: Tensor) -> str:
    """A note where samples fill fewer dimensions than they have, so that they have no density there."""
    columns = varying(code)
    found = intrinsic_dimension(smooth_scores(columns).contiguous()) if columns.shape[1] > 1 else None
    if found is None or found > FILLED * columns.shape[1]:
        return ""
    return f"{name} fills about {found:.1f} of its {columns.shape[1]} dimensions: compress to as many"


def _labels(z: Compressed, targets: Targets, d: int, options: Options) -> Estimate:
    setting = Setting(
        options.classes,
        options.class_k,
        options.compress,
        options.dimensions,
        targets.n,
        (d,),
        classes=targets.classes,
        seed=options.seed,
    )
    try:
        found: Information | None = class_information(z.code, targets.labels, options.classes, options.class_k)
        notes = []
    except UserError as error:
        found, notes = None, [str(error)]
    detail: dict[str, object] = {"estimator": options.classes, "k": options.class_k, "kept_z": z.kept}
    return _finished("izy", found, notes, setting, d, detail, options)


def _finished(
    measure: str,
    found: Information | None,
    notes: list[str],
    setting: Setting,
    d: int,
    detail: dict[str, object],
    options: Options,
) -> Estimate:
    """The estimate with its calibration, and what was done to Z and X in its note."""
    detail |= {"compress": options.compress, "dimensions": options.dimensions, "noise": options.noise}
    off = None
    if found is not None:
        notes += [found.note] if found.note else []
        calibration = calibrate(setting, found.value) if options.calibrate and found.note != "one class" else None
        if calibration is not None:
            off = calibration.off
            detail |= {"calibrated_at": calibration.truth}
            if calibration.beyond:
                notes.append(f"saturated: more than this estimator can tell from {setting.n} probes")
    if max(setting.wide) > options.dimensions and options.compress != "none":
        notes.append(f"of at most {options.dimensions} dimensions each ({options.compress})")
    if options.noise:
        notes.append(f"noise {options.noise:g} added to Z")
    return in_nats(measure, setting.n, d, found, "; ".join(filter(None, notes)), canonical(detail), off)

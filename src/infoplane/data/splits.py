"""Which samples go to which split: what belongs together, or is the same image, stays together."""

from collections.abc import Iterator, Mapping

import numpy as np

from infoplane.data.samples import Samples
from infoplane.data.stratify import grouped_split, stratified_split
from infoplane.errors import UserError
from infoplane.options import Fields
from infoplane.specs import DataSpec

SHOWN = 5
"""Names that are listed before the rest is counted."""

Rows = dict[str, np.ndarray]
"""Split -> positions of its samples in the source, int64, in random order."""


def draw(samples: Samples, fields: Fields, spec: DataSpec) -> tuple[Rows, list[str]]:
    """The splits, and a sentence for each thing about them that a reader of the results should know.

    They have the same mix of the classes of the first field of classes; where there is none, all samples are alike.
    Raises `UserError` for splits that are larger than the data, and for one that no group is small enough for.
    """
    chosen = next((name for name, one in fields.items() if one.is_class), None)
    labels = np.zeros(len(samples), np.int64) if chosen is None else np.asarray(samples[chosen])
    classes = (fields[chosen].classes if chosen else None) or 1
    counts = _counts(spec, len(labels))
    together = _together(samples)
    if together is None:
        rows = stratified_split(labels, classes, counts, spec.seed)
    else:
        wanted = {name: None if name == "train" and spec.train is None else count for name, count in counts.items()}
        rows = grouped_split(labels, classes, together, wanted, spec.seed)
    notes = [*_equal(samples, labels), *_fewer(rows, counts, together)]
    if spec.held_out == "all":
        rows |= stratified_split(labels, classes, {"held_out": len(labels)}, spec.seed)
    names = fields[chosen].names if chosen else None
    return rows, [*notes, *_untrained(labels, classes, names, rows["train"])]


def _counts(spec: DataSpec, samples: int) -> dict[str, int]:
    """Part -> size, in the order in which they are drawn, so that the held-out images depend on their own number alone.

    Where all samples are measured, they are not a part: the others are drawn as if there were none.
    """
    least = 1 if spec.train is None else spec.train
    set_aside = {} if spec.held_out == "all" else {"held_out": spec.held_out}
    set_aside["validation"] = spec.validation
    for name, count in (set_aside | {"train": least}).items():
        if count < 1:
            raise UserError(f"data: {name} must be at least 1 sample, got {count}.")
    wanted = sum(set_aside.values()) + least
    if wanted > samples:
        train = "at least 1" if spec.train is None else str(spec.train)
        named = [f"{name} ({count})" for name, count in set_aside.items()]
        raise UserError(
            f"data set '{spec.source.kind}' has {samples} samples, but {' + '.join([*named, f'train ({train})'])} "
            f"is {wanted}: ask for {wanted - samples} fewer."
        )
    return set_aside | {"train": samples - sum(set_aside.values()) if spec.train is None else spec.train}


def _together(samples: Samples) -> np.ndarray | None:
    """int64, shape (samples,): samples of one number stay together; None where each stands alone."""
    given = [numbers for numbers in (samples.groups, samples.copies) if numbers is not None]
    several = [numbers for numbers in given if len(np.unique(numbers)) < len(numbers)]
    if len(several) < 2:
        return several[0] if several else None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # A group and an image are joined where a sample is of both: what hangs together stays together.
    groups, copies = several
    first = int(groups.max()) + 1
    joined = coo_array((np.ones(len(groups)), (groups, first + copies)), shape=(first + int(copies.max()) + 1,) * 2)
    return connected_components(joined, directed=False)[1][groups].astype(np.int64)


def _equal(samples: Samples, labels: np.ndarray) -> Iterator[str]:
    """Count the images that are there more than once, and those of them with several labels."""
    if samples.copies is None:
        return
    _, first, number, sizes = np.unique(samples.copies, return_index=True, return_inverse=True, return_counts=True)
    if more := int((sizes - 1).sum()):
        where = samples.locate(int(first[sizes > 1].min()))
        yield f"copies of other images, to the byte, such as of {where}: {more} of {len(number)}; they share a split"
    unlike = np.flatnonzero(labels != labels[first[number]])
    if len(unlike):
        other = int(unlike[0])
        pair = f"{samples.locate(int(first[number[other]]))} and {samples.locate(other)}"
        yield f"equal images with different labels: {len(np.unique(number[unlike]))}, such as {pair}"


def _fewer(rows: Rows, counts: Mapping[str, int], together: np.ndarray | None) -> Iterator[str]:
    """Note the splits that whole groups do not fill; raises `UserError` for an empty split."""
    for name, count in counts.items():
        found = len(rows[name])
        if not found and together is not None:
            _, sizes = np.unique(together, return_counts=True)
            raise UserError(
                f"data: no group is left that fits into {name} ({count} samples): the {len(sizes)} groups have "
                f"{sizes.min()} to {sizes.max()} samples and stay whole, so ask for more, or for fewer elsewhere."
            )
        if found < count:
            yield f"{name} has {found} samples instead of {count}, because groups stay whole"


def _untrained(labels: np.ndarray, classes: int, names: tuple[str, ...] | None, train: np.ndarray) -> Iterator[str]:
    """Note the classes that no network is trained on."""
    missing = np.flatnonzero(np.bincount(labels[train], minlength=classes) == 0)
    if len(missing):
        counts = np.bincount(labels, minlength=classes)
        told = ", ".join(f"{(names or range(classes))[number]} ({counts[number]} in all)" for number in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield f"classes without training images: {told}{more}"

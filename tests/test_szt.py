"""The szt data: a label that rotations do not change, its entropy, the authors' own file, all samples measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sources import paths, refused
from scipy.io import savemat
from scipy.special import eval_legendre

from infoplane.data.prepare import prepare
from infoplane.data.samples import Split, read_split
from infoplane.data.sets import szt
from infoplane.specs import DataSpec, Plugin

PATTERNS = np.arange(4096)[:, None] >> np.arange(12) & 1
PUBLISHED = [0, 0, 0, 0, 0, 60 / 792, 532 / 924, 732 / 792, 1, 1, 1, 1, 1]
"""Share of y = 1 in the authors' file by number of ones, as the documentation of deep-bottleneck tells it."""


def labels() -> np.ndarray:
    return szt.load(szt.Options(), Path("unused"))["y"]


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def permutation(turn: np.ndarray) -> np.ndarray:
    """Where a rotation takes each of the 12 corners."""
    cosines = (szt.corners() @ turn.T) @ szt.corners().T
    found = cosines.argmax(1)
    assert np.allclose(cosines.max(1), 1) and len(set(found.tolist())) == 12
    return found


def rotations() -> set[tuple[int, ...]]:
    """The group that a fifth of a turn about one corner and a third about one face generate."""
    corners = szt.corners()
    near = np.argsort(-(corners @ corners[0]))[1:6]
    second = next(j for j in near if np.isclose(corners[j] @ corners[near[0]], 5**-0.5))
    fifth = permutation(rotation(corners[0], 2 * np.pi / 5))
    third = permutation(rotation(corners[0] + corners[near[0]] + corners[second], 2 * np.pi / 3))
    group, new = {tuple(range(12))}, {tuple(range(12))}
    while new:
        new = {tuple(np.array(g)[turn].tolist()) for g in new for turn in (fifth, third)} - group
        group |= new
    return group


def test_the_label_is_the_same_for_every_rotation() -> None:
    group, label = rotations(), labels()
    assert len(group) == 60
    for permuted in group:
        rotated = PATTERNS[:, list(permuted)] @ (1 << np.arange(12))
        assert np.array_equal(label[rotated], label)


def test_the_label_is_not_the_same_for_every_permutation() -> None:
    swapped = PATTERNS[:, [1, 0, *range(2, 12)]] @ (1 << np.arange(12))
    assert not np.array_equal(labels()[swapped], labels())


def test_the_function_is_a_combination_of_powers_of_spherical_harmonics() -> None:
    """Power of degree l = sum over pairs of P_l(cos angle), by the addition theorem; four angles fix degrees 0 to 3."""
    cosines = szt.corners() @ szt.corners().T
    powers = np.stack(
        [np.einsum("ni,ij,nj->n", PATTERNS, eval_legendre(degree, cosines), PATTERNS) for degree in range(4)], axis=1
    )
    value = szt.symmetric_function(PATTERNS)
    weights = np.linalg.lstsq(powers, value, rcond=None)[0]
    np.testing.assert_allclose(powers @ weights, value, atol=1e-9)
    assert (abs(weights) > 0.1).all()


def test_shares_mean_and_entropy_are_those_of_the_published_data() -> None:
    label, ones = labels(), PATTERNS.sum(1)
    np.testing.assert_allclose([label[ones == count].mean() for count in range(13)], PUBLISHED, atol=1e-12)
    p = label.mean()
    assert p == pytest.approx(0.517, abs=5e-4)
    assert -p * np.log2(p) - (1 - p) * np.log2(1 - p) == pytest.approx(0.999, abs=5e-4)


# All samples are measured


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    folder = tmp_path_factory.mktemp("szt")
    prepare(DataSpec(Plugin("szt"), "all", 820, None, 0), folder, paths(folder))
    return {split: read_split(path) for split, path in paths(folder).items()}


def test_every_pattern_is_measured_and_four_fifths_are_learned_from(splits: dict[str, Split]) -> None:
    assert {name: len(split["y"]) for name, split in splits.items()} == {
        "train": 3276, "validation": 820, "held_out": 4096,
    }  # fmt: skip
    index = {name: set(split.index.tolist()) for name, split in splits.items()}
    assert index["held_out"] == set(range(4096)) == index["train"] | index["validation"]
    assert not index["train"] & index["validation"]
    assert splits["held_out"].index.tolist() != list(range(4096))
    assert splits["held_out"].metadata["spec"]["held_out"] == "all"
    for split in splits.values():
        assert np.array_equal(split["x"].reshape(-1, 12) // 255, PATTERNS[split.index])
        assert np.array_equal(split["y"], labels()[split.index])


def test_networks_see_plus_and_minus_one(splits: dict[str, Split]) -> None:
    held_out = splits["held_out"]
    assert set(np.unique(held_out["x"])) == {0, 255}
    seen = (np.array([0.0, 1.0]) - held_out.mean("x").item()) / held_out.std("x").item()
    np.testing.assert_allclose(seen, [-1, 1], atol=0.02)


def test_the_other_splits_are_those_without_held_out_images(tmp_path: Path) -> None:
    """All samples are drawn beside the others, and depend on none of them."""
    for to, validation in (("a", 100), ("b", 200)):
        prepare(DataSpec(Plugin("digits"), "all", validation, 300, 1), tmp_path, paths(tmp_path / to))
    a, b = ({s: read_split(p).index.tolist() for s, p in paths(tmp_path / to).items()} for to in ("a", "b"))
    assert a["held_out"] == b["held_out"] and sorted(a["held_out"]) == list(range(1797))
    assert len(a["train"]) == 300 and a["train"] != b["train"]


def test_too_many_are_refused_without_counting_the_held_out_images(tmp_path: Path) -> None:
    said = refused(tmp_path, "digits", held_out="all", validation=1000, train=800)
    assert said.startswith("data set 'digits' has 1797 samples, but validation (1000) + train (800) is 1800: ask for 3")


# The authors' own file


def written(path: Path, **changes: Any) -> str:
    values = {"F": PATTERNS.astype(np.float64), "y": labels()[None]} | changes
    savemat(path, {name: value for name, value in values.items() if value is not None})
    return str(path)


@pytest.mark.parametrize("low", [0, -1])
def test_the_file_gives_its_own_patterns_and_labels(low: int, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(4096)
    bits, label = PATTERNS[order], 1 - labels()[order]
    path = written(tmp_path / "var_u.mat", F=np.where(bits, 1, low), y=label[None])
    found = szt.load(szt.Options(path), tmp_path)
    assert np.array_equal(found["x"].reshape(-1, 12), 255 * bits) and np.array_equal(found["y"], label)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"F": None}, "has no variable 'F': it holds y"),
        ({"y": None}, "has no variable 'y': it holds F"),
        ({"F": PATTERNS[:, :11]}, "holds F of shape (4096, 11) and 4096 labels y: expected one row of 12 bits"),
        ({"y": labels()[None, :50]}, "holds F of shape (4096, 12) and 50 labels"),
        ({"F": PATTERNS * 3}, "holds other values than 0 and 1 (or, in F, -1 and 1)"),
        ({"y": labels()[None] + 1}, "holds other values than 0 and 1"),
        ({"F": PATTERNS[:99], "y": labels()[None, :99]}, "has 99 samples instead of 4096"),
    ],
    ids=["no F", "no y", "11 bits", "few labels", "threes", "twos", "few"],
)
def test_another_file_is_one_sentence(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = written(tmp_path / "var_u.mat", **changes)
    assert sentence in refused(tmp_path, "szt", {"path": path})


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file", None, "truncated"])
def test_a_damaged_or_missing_file_is_one_sentence(content: bytes | str | None, tmp_path: Path) -> None:
    path = tmp_path / "var_u.mat"
    if content == "truncated":
        path.write_bytes(Path(written(path)).read_bytes()[:500])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    said = refused(tmp_path, "szt", {"path": str(path)})
    assert ("does not exist" if content is None else "is not a complete MATLAB file") in said

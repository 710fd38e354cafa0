"""Arrays that people have: each is read as what it holds, or refused in one sentence, by every public function."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from drawn_inputs import CHEAP, OF_ARRAYS

import infoplane.measures
from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures import binned_information, kde_information, ksg_information, measure, range_bins
from infoplane.measures.arrays import as_inputs, as_labels, as_samples
from infoplane.measures.targets import prepare

N = 40
CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = np.arange(N) % 3
Z = X[:, :2] + 0.1 * RNG.normal(size=(N, 2))


class Frame:
    """A table of another library."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values


def values(z: Any, x: Any, y: Any, family: str = "linear", **more: Any) -> list[float | None]:
    return [one.value for one in measure(z, x, y, family=family, **CHEAP.get(family, {}), **more)]


ALIKE = {
    "a tensor with a graph": lambda a: torch.tensor(a, requires_grad=True) * 1.0,
    "negative strides": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "in Fortran's order": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes()).reshape(a.shape),
    "objects": lambda a: a.astype(object),
    "masked nowhere": lambda a: np.ma.masked_greater(a, 1e9),
    "lists": lambda a: a.tolist(),
    "a list of tensors": lambda a: [torch.tensor(row, requires_grad=True) for row in a],
    "another library's": lambda a: Frame(a),
    "sparse": lambda a: torch.tensor(a).to_sparse(),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_the_same_numbers_in_another_array_are_the_same_value(kind: str) -> None:
    made = ALIKE[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Sparse")
        assert values(made(Z), made(X), Y) == values(Z, X, Y)
        assert values(made(Z), made(X), Y, "binned") == values(Z, X, Y, "binned")


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float16", "float32", "float8_e5m2", "int8", "uint16", "uint32", "uint64"]
)
def test_every_type_of_number_is_read_as_z_x_and_y(dtype: str) -> None:
    kind = getattr(torch, dtype)
    z, x = ((torch.tensor(a) * 20).clamp(min=0).to(torch.float32).to(kind) for a in (Z, X))
    assert values(z, x, torch.tensor(Y)) == pytest.approx(values(z.double(), x.double(), Y), rel=1e-6)
    if "int" in dtype:
        assert values(z.numpy(), x.numpy(), Y.astype(dtype)) == values(z.double(), x.double(), Y)


REFUSED = {
    "masked": (np.ma.masked_greater(Z, 1), "masked values"),
    "no features": (Z[:, :0], r"shape \(40, 0\), so no values"),
    "no samples": (Z[:0], "no sample"),
    "one number": (3.0, "one value"),
    "complex": (Z + 1j, "complex numbers"),
    "complex tensor": (torch.tensor(Z) * 1j, "complex numbers"),
    "dates": (np.arange(N).astype("datetime64[s]"), "dates"),
    "ragged": ([[1.0], [1.0, 2.0]] * 20, "cannot be read as an array"),
    "batches": ([torch.zeros(30, 2), torch.zeros(10, 2)], "tensors of different shapes"),
    "missing": ([*Z[1:, 0], None], "missing values"),
    "objects": ([object()] * N, "Python objects"),
    "a dictionary": ({"a": 1}, "Python objects"),
    "nothing": (None, "is None"),
    "a meta tensor": (torch.zeros(N, 2, device="meta"), "no values"),
    "records": (np.zeros(N, [("a", float)]), "records"),
    "huge": (Z * 1e200, "too large to be squared"),
    "tiny": (Z * 1e-200, "stays below"),
    "whole and huge": (np.arange(N) + 2**60, "beyond 2"),
    "words": (np.full((N, 2), "a"), "text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_representation_gets_one_sentence_from_every_family(case: str) -> None:
    z, sentence = REFUSED[case]
    for family in OF_ARRAYS:
        with pytest.raises(UserError, match=sentence):
            measure(z, X, Y, family=family, **CHEAP.get(family, {}))
    with pytest.raises(UserError, match=sentence):
        ksg_information(X, z)


@pytest.mark.parametrize("family", OF_ARRAYS)
def test_one_number_per_sample_or_none_as_x_and_far_values_of_x(family: str) -> None:
    inputs = (X[:, 0], X[:, :1], None, X * 1e200, X * 1e-300, X + 1e9, (X * 100).astype(np.int64).tolist())
    if family in ("local", "neural"):  # the others take an eighth of their time
        inputs = inputs[:3]
    found = [values(Z, x, Y, family) for x in inputs]
    assert found[0] == found[1]
    for x in (np.where(X > 1, np.nan, X), np.where(X > 1, np.inf, X)):
        with pytest.raises(UserError, match="x holds NaN or infinity"):
            values(Z, x, Y, family)


# X: its unit, its offset, its identity


def spread(family: str, x: Any, **more: Any) -> float:
    return measure(Z, x, Y, family=family, **CHEAP.get(family, {}), **more)[0].value or 0.0


@pytest.mark.parametrize("family", OF_ARRAYS)
def test_no_value_depends_on_the_unit_or_the_offset_of_x(family: str) -> None:
    at_hand = spread(family, X)
    for unit in (2.0**66, 2.0**-90):
        assert spread(family, X * unit) == at_hand
    exact = np.round(X * 2**20) / 2**20  # an offset then loses no digit
    rounded = 0.1 if family in ("local", "variational") else 1e-6  # which rounding alone sends other ways
    for x in (exact + 1e9, exact * 1e20, exact * 1e-27):
        assert spread(family, x) == pytest.approx(spread(family, exact), rel=rounded)


def test_ids_and_times_far_from_0_stay_different_inputs() -> None:
    z = np.repeat(np.arange(8.0), 50)
    for first, step in ((0, 1), (20_000_000, 1), (1_700_000_000, 3), (2**62, 1)):
        ids = first + step * np.arange(400)
        assert measure(z, ids, family="binned")[0].value == pytest.approx(3, abs=1e-12)
    noise = np.repeat(np.random.default_rng(1).normal(size=128), 2)
    found = measure(noise, 1e8 + noise, family="binned", binning="quantile", bins=128)
    assert found[0].value == pytest.approx(7, abs=0.01)


def test_an_offset_of_z_hides_nothing_where_float64_tells_it_apart() -> None:
    exact = np.round(Z * 2**20) / 2**20
    for family in ("kernel", "linear", "conditional", "variational"):
        expected = values(exact, X, Y, family)
        assert values(exact + 1e8, X, Y, family) == pytest.approx(expected, rel=1e-4), family
    assert measure(np.full((N, 2), 0.1) + 1e-18, X, Y, family="linear")[0].note == "constant"
    assert measure((exact + 1e8).astype(np.float32), X, Y, family="linear")[0].note == "constant"


def test_what_x_is_once_prepared() -> None:
    images = RNG.normal(size=(N, 1, 2, 2))
    assert torch.equal(prepare(images, Y, CPU).x.given, torch.tensor(images))  # as it is: pictures are made of it
    far = prepare(1e8 + np.arange(N) * 2.0**-20, Y, CPU).x.given
    assert far.shape == (N, 1) and torch.equal(far[:, 0] - far[0, 0], torch.arange(N) * 2.0**-20)
    constant = prepare(np.full((N, 3), 0.1), Y, CPU)
    assert not constant.x_numbers.values.any()
    with pytest.raises(UserError, match="sizes too unlike"):
        prepare(np.stack([np.arange(N) * 1e200, np.arange(N) * 1e-200], 1), Y, CPU)


# Whole numbers as X


def test_ids_are_regressed_only_where_they_are_said_to_be_amounts() -> None:
    ids, renamed = np.arange(N) // 4, (np.arange(N) // 4 * 7) % 10
    words = np.array(list("abcdefghij"))[ids]
    for family in OF_ARRAYS:
        if registry.regresses(family):
            for x in (ids, ids[:, None], ids.astype(float), ids.astype(np.uint8).tolist()):
                with pytest.raises(UserError, match=f"one whole number per sample, and {family} would regress it"):
                    values(Z, x, Y, family)
            with pytest.raises(UserError, match=f"one word per sample, and {family} would regress it"):
                values(Z, words, Y, family)
            values(Z, ids, Y, family, amounts=True)
        else:
            assert values(Z, ids, Y, family) == values(Z, renamed, Y, family) == values(Z, words, Y, family)
    with pytest.raises(UserError, match="words, which are no amounts"):
        values(Z, words, Y, amounts=True)


def test_two_values_vectors_and_images_of_whole_numbers_are_amounts() -> None:
    two = np.arange(N) % 2
    assert values(Z, two, Y) == pytest.approx(values(Z, np.array(["b", "a"])[two], Y), rel=1e-9)
    whole = (X * 9).astype(np.int64)
    assert values(Z, whole, Y) == values(Z, whole.astype(float), Y)
    assert as_inputs(whole.reshape(N, 3, 1), "x", False, ["linear"], "").shape == (N, 3, 1)


def test_which_families_take_inputs_for_what_they_are() -> None:
    assert [name for name in registry.names("measure") if not registry.regresses(name)] == [
        "binned",
        "conditional",
        "kde",
    ]


# Y


def test_labels_of_any_kind_are_classes() -> None:
    expected = values(Z, X, Y)
    one_hot = np.eye(3)[Y]
    for y in (Y[:, None], Y.astype(float), Y.astype(str), Y.astype(object), one_hot, one_hot.astype(bool), Y.tolist()):
        assert values(Z, X, y) == expected
    assert values(Z, X, Y > 0) == values(Z, X, (Y > 0).astype(int))


NO_CLASSES = {
    "continuous": (RNG.normal(size=N), "not whole, such as .* a continuous Y has to be cut"),
    "NaN": (np.where(Y == 0, np.nan, Y), "NaN or infinity"),
    "missing": (["a"] * (N - 1) + [None], "missing values"),
    "all different": (np.arange(N), "40 different labels for 40 samples"),
    "no one-hot": (np.eye(3)[Y] * 2, r"shape \(40, 3\): expected one label per sample, or one-hot"),
    "masked": (np.ma.masked_equal(Y, 1), "masked values"),
}


@pytest.mark.parametrize("case", NO_CLASSES)
def test_what_is_no_class_gets_one_sentence_from_every_family(case: str) -> None:
    y, sentence = NO_CLASSES[case]
    for family in OF_ARRAYS:
        with pytest.raises(UserError, match=sentence):
            values(Z, X, y, family)


# Options, groups, public functions


def test_options_of_another_type_are_refused() -> None:
    for options, sentence in (
        ({"folds": 2.5}, "linear: folds must be a whole number, got 2.5"),
        ({"folds": True}, "folds must be a whole number"),
        ({"weakest_ridge": "1"}, "weakest_ridge must be a number"),
        ({"weakest_ridge": float("nan")}, "must be a finite number"),
        ({"folds": 10**400}, "folds must be less than 2"),
        ({"seed": -1}, "seed must be 0 or more"),
    ):
        with pytest.raises(UserError, match=sentence):
            measure(Z, X, Y, family="linear", **options)
    assert values(Z, X, Y, folds=np.int32(4)) == values(Z, X, Y, folds=4)
    with pytest.raises(UserError, match="k must be a whole number, got 2"):
        ksg_information(X, Z, k=2.5)


def test_samples_that_belong_together_are_named_by_ids_of_any_kind() -> None:
    groups = np.arange(N) // 2
    found = values(Z, X, Y, group=groups)
    assert found == values(Z, X, Y, group=groups.astype(str)) == values(Z, X, Y, group=groups[:, None] + 2**60)
    with pytest.raises(UserError, match="z has 40 samples, group has 39"):
        values(Z, X, Y, group=groups[1:])
    with pytest.raises(UserError, match="group holds numbers that are not whole"):
        values(Z, X, Y, group=X[:, 0])


def test_equal_inputs_without_a_group_are_noted() -> None:
    twice = np.arange(N) // 2
    for x, more, noted in (
        (X[twice], {}, True),
        (X[twice], {"group": twice}, False),
        (X, {}, False),
        (None, {}, False),
    ):
        notes = [one.note for one in measure(Z, x, Y, family="linear", **more)]
        assert [note.startswith("inputs come more than once and no group is named") for note in notes] == [noted] * 2


def test_public_functions_read_arrays_as_the_families_do() -> None:
    graph = torch.tensor(Z, requires_grad=True) * 1.0
    assert kde_information(graph, Y.astype(str)) == kde_information(Z, Y)
    bins = range_bins(Z.astype(">f4"))
    assert binned_information(Z, bins, Y, np.array(list("ab"))[(Y > 0) * 1]) == binned_information(Z, bins, Y, Y > 0)
    with pytest.raises(
        UserError, match="kde_information: all must hold the same samples, and they have z 40, labels 39"
    ):
        kde_information(Z, Y[1:])
    with pytest.raises(UserError, match="z holds NaN or infinity"):
        infoplane.measures.spectrum(np.full((N, 2), np.nan))
    with pytest.raises(UserError, match="counts must hold counts"):
        infoplane.measures.entropy_of_counts([0.5, 2])
    assert infoplane.measures.entropy_of_counts([2, 2]) == pytest.approx(np.log(2))
    assert infoplane.measures.drift_to_diffusion(np.array([0, 1, 2]), np.array([2.0, 2.0, 0.1])) is not None


def test_labels_and_samples_on_their_own() -> None:
    assert as_labels(["b", "a", "b"], "y").tolist() == [1, 0, 1]
    assert as_samples(np.zeros(5, np.uint16), "z").shape == (5, 1)
    assert as_samples(torch.zeros(5, 2, dtype=torch.bfloat16), "z").dtype == torch.float32
    assert as_samples(np.zeros((5, 2), np.float16), "z").dtype == torch.float16

"""X and Y as numbers or as classes: one way to decode either, known values, and rows that say what is not measured."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from infoplane import registry
from infoplane.errors import UserError
from infoplane.measures import measure
from infoplane.measures.estimate import BLOCKS, Estimate
from infoplane.measures.families import anatomy
from infoplane.measures.job import SCHEMA
from infoplane.measures.targets import Classes, Targets, classes, gather, numbers, prepare

CPU = torch.device("cpu")
DECODERS = ("linear", "kernel", "local", "neural")
FAMILIES = [name for name in registry.names("measure") if hasattr(registry.load("measure", name), "estimate")]
QUICK: dict[str, dict[str, Any]] = {
    "neural": {"folds": 3, "repeats": 1, "epochs": 30},
    "local": {"trees": 10},
    "variational": {"steps": 30},
    "neighbours": {"calibrate": False},
}


def estimate(family: str, z: np.ndarray, targets: Targets) -> dict[str, Estimate]:
    module = registry.load("measure", family)
    found: list[Estimate] = module.estimate(torch.as_tensor(z), targets, module.Options(**QUICK.get(family, {})))
    return {one.measure: one for one in found}


def random(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


# Known values of a continuous Y


@pytest.mark.parametrize("family", DECODERS)
def test_a_linear_function_of_z_with_noise_is_decoded_to_its_noise(family: str) -> None:
    z, weights = random(400, 3), np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]])
    y = z @ weights + 0.7 * random(400, 2, seed=1)
    of_noise = 2 * 0.49 / (float(np.square(weights).sum()) + 2 * 0.49)  # of variances known beforehand
    zy = estimate(family, z, prepare(random(400, 2, seed=2), y, CPU))["zy"]
    assert (zy.unit, zy.reference) == ("nmse", 1.0) and zy.value is not None and zy.stderr is not None
    room = {"linear": 1.05, "kernel": 1.1, "local": 2.2, "neural": 1.4}[family]
    assert of_noise - 3 * zy.stderr < zy.value < room * of_noise + 3 * zy.stderr
    assert zy.blocks is not None and math.isclose(sum(zy.blocks) / BLOCKS, zy.value, abs_tol=1e-12)


@pytest.mark.parametrize("family", DECODERS)
def test_a_continuous_y_without_any_relation_to_z_is_near_the_reference(family: str) -> None:
    zy = estimate(family, random(300, 4), prepare(random(300, 2, seed=1), random(300, 1, seed=2), CPU))["zy"]
    assert zy.value is not None and 0.95 < zy.value < 1.06


@pytest.mark.parametrize("family", DECODERS)
def test_the_same_numbers_have_the_same_value_as_x_and_as_y(family: str) -> None:
    values = random(120, 5)
    z = values[:, :3] + 0.5 * random(120, 3, seed=1)
    found = estimate(family, z, prepare(values, values, CPU))
    assert found["zx"].value is not None and found["zx"].value < 0.8
    for name in ("unit", "value", "stderr", "reference", "extrapolated", "ridge", "bandwidth", "folds", "blocks"):
        assert getattr(found["zx"], name) == getattr(found["zy"], name), name


@pytest.mark.parametrize("family", ["linear", "kernel", "local"])
def test_a_categorical_x_is_in_nats_as_y_is(family: str) -> None:
    labels = np.arange(120) % 3
    z = np.eye(3)[labels] + 0.5 * random(120, 3)
    x, y = numbers(random(120, 2, seed=1), CPU), classes(labels, CPU)
    as_y, as_x = estimate(family, z, gather(x, y)), estimate(family, z, gather(y, x))
    assert (as_x["zx"].unit, as_x["zx"].reference) == ("nats", pytest.approx(math.log(3)))
    assert as_x["zx"].value == as_y["zy"].value and as_x["zx"].value < 0.9
    assert as_x["zy"].unit == "nmse"


@pytest.mark.parametrize("family", ["linear", "kernel"])
def test_a_continuous_y_that_is_left_out_with_its_group_is_not_known_from_the_others_of_it(family: str) -> None:
    groups = np.repeat(np.arange(50), 4)
    centres, of_group = 5 * random(50, 10), random(50, 1, seed=1)
    z = centres[groups] + 0.1 * random(200, 10, seed=2)
    x, y = random(200, 2, seed=3), of_group[groups]
    known = estimate(family, z, prepare(x, y, CPU, np.arange(200)))["zy"]
    zy = estimate(family, z, prepare(x, y, CPU, groups))["zy"]
    assert zy.value is not None and zy.value > 0.85
    assert known.value is not None and known.value < (0.1 if family == "kernel" else 0.85)


@pytest.mark.parametrize("family", DECODERS)
def test_a_constant_y_of_numbers_has_no_value(family: str) -> None:
    zy = estimate(family, random(60, 4), prepare(random(60, 2, seed=1), np.full((60, 2), 0.1), CPU))["zy"]
    assert (zy.value, zy.unit, zy.note) == (None, "nmse", "constant target")


@pytest.mark.parametrize("family", DECODERS)
def test_a_constant_z_has_the_reference_of_a_continuous_y(family: str) -> None:
    zy = estimate(family, np.ones((60, 4)), prepare(random(60, 2), random(60, 1, seed=1), CPU))["zy"]
    assert (zy.value, zy.note) == (1.0, "constant")
    assert zy.blocks is not None and math.isclose(sum(zy.blocks) / BLOCKS, 1.0, abs_tol=1e-12)


def test_the_parts_of_an_addition_are_decoded_alike_as_x_and_as_y() -> None:
    values = random(60, 4)
    s, f = (torch.as_tensor(values[:, :3] + 0.5 * random(60, 3, seed=seed)) for seed in (1, 2))
    told = anatomy.relations(s, f, s + f, prepare(values, values, CPU), anatomy.Options(folds=3))
    found = {(part, one.measure): one for part, one in told if one.measure.startswith(("zx", "zy"))}
    of_x = {key: one for key, one in found.items() if key[1].startswith("zx")}
    assert len(found) == 2 * len(of_x) > 20
    for (part, name), one in of_x.items():
        other = found[part, name.replace("zx", "zy")]
        assert (one.value, one.stderr, one.unit) == (other.value, other.stderr, "nmse") and one.value is not None


STORED = {
    ("linear", "zx"): (0.4041695748690112, 0.03298964450791172, 0.349027440941286),
    ("linear", "zy"): (1.3651545477072158, 0.018403656450418984, 1.3448718931066574),
    ("kernel", "zx"): (0.4041695748690112, 0.03298964450791172, 0.349027440941286),
    ("kernel", "zy"): (1.3651545477072158, 0.018403656450418984, 1.3448718931066574),
    ("local", "zx"): (0.6670933140895142, 0.02792360542923266, None),
    ("local", "zy"): (1.3773603720555336, 0.04269829122175837, None),
}
"""Family, measure -> value, stderr, extrapolated: computed before Y could be numbers."""


@pytest.mark.parametrize("family", ["linear", "kernel", "local"])
def test_classes_of_images_have_the_values_that_they_always_had(family: str) -> None:
    rng, labels = np.random.default_rng(5), np.arange(60) % 4
    x = rng.normal(size=(60, 1, 3, 3)) + labels[:, None, None, None] / 4
    z = x.reshape(60, -1) @ rng.normal(size=(9, 6)) + 0.5 * rng.normal(size=(60, 6))
    for name, one in estimate(family, z, prepare(x, labels, CPU)).items():
        value, stderr, limit = STORED[family, name]
        # the solver of classes works in float32
        room = 1e-9 if name == "zx" else 1e-5
        assert (one.value, one.stderr) == (pytest.approx(value, rel=room), pytest.approx(stderr, rel=room))
        assert one.extrapolated == (None if limit is None else pytest.approx(limit, rel=10 * room))


# Folds


def test_folds_of_numbers_are_plain_seeded_and_even() -> None:
    targets = prepare(random(53, 2), random(53, 1, seed=1), CPU)
    folds = targets.folds(5, 0).numpy()
    assert sorted(np.bincount(folds)) == [10, 10, 11, 11, 11] and targets.judged(targets.y) == 53
    assert np.array_equal(folds, targets.folds(5, 0)) and not np.array_equal(folds, targets.folds(5, 1))
    other = prepare(random(53, 2), random(53, 1, seed=7) ** 3, CPU)
    assert np.array_equal(folds, other.folds(5, 0)), "they do not depend on the numbers"


def test_folds_of_numbers_hold_out_whole_groups_and_no_group_is_alone() -> None:
    groups = np.arange(60) // 3
    targets = prepare(random(60, 2), random(60, 1, seed=1), CPU, groups)
    folds = targets.folds(4, 0).numpy()
    assert all(len(set(folds[groups == one])) == 1 for one in range(20))
    assert np.bincount(folds).tolist() == [15] * 4 and targets.judged(targets.y) == 20
    with pytest.raises(UserError, match="groups"):
        prepare(random(60, 2), random(60, 1), CPU, np.arange(60) // 20).folds(5, 0)


def test_copies_of_an_input_are_one_group_beside_a_continuous_y_too() -> None:
    x, y = (np.concatenate([one, one]) for one in (random(40, 2), random(40, 1, seed=1)))
    targets = prepare(x, y, CPU)
    assert targets.groups is not None and targets.groups.tolist() == [*range(40)] * 2
    assert "left out together" in targets.note


# What cannot be measured


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_needs_classes_says_so_and_measures_the_rest(family: str) -> None:
    z, x, labels = random(80, 3), random(80, 2, seed=1), np.arange(80) % 4
    of_classes = {one.measure: one for one in measured(family, z, prepare(x, labels, CPU))}
    of_numbers = {one.measure: one for one in measured(family, z, prepare(x, random(80, 2, seed=2), CPU))}
    assert of_numbers.keys() == of_classes.keys()
    for name, one in of_numbers.items():
        if name.startswith(("izy", "ixz_given")):
            assert (one.value, one.stderr, one.note) == (None, None, "needs classes, and Y is numbers"), name
            assert one.unit == of_classes[name].unit
        elif name == "zy":
            assert one.unit == "nmse" and one.value is not None
        else:
            assert one.value is not None and math.isclose(one.value, of_classes[name].value or 0, rel_tol=0.3), name
            shares_folds = family in ("neural", "local")
            assert one.value == of_classes[name].value or shares_folds, name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_needs_numbers_says_so(family: str) -> None:
    x, y = classes(np.arange(80) % 4, CPU), classes(np.arange(80) % 2, CPU)
    for one in measured(family, random(80, 3), gather(x, y)):
        taken = not registry.about(family).get(one.measure, "").endswith("numbers")
        assert (one.value is not None) == taken
        assert taken or one.note == "needs numbers, and X is classes"


def measured(family: str, z: np.ndarray, targets: Targets) -> list[Estimate]:
    """As the runner has a family measure."""
    from infoplane.measures.about import About

    about, module = About.of(family), registry.load("measure", family)
    options = module.Options(**QUICK.get(family, {}))
    found = module.estimate(torch.as_tensor(z), about.taken(targets), options)
    return [about.told(one, about.unmet(targets)) for one in found]


def test_a_family_that_does_not_declare_what_it_needs_is_refused_in_one_sentence() -> None:
    targets = prepare(random(40, 2), random(40, 1, seed=1), CPU)
    with pytest.raises(UserError, match="takes it for classes: say so by ABOUT in its file"):
        _ = targets.y_classes
    with pytest.raises(UserError, match="takes it for numbers: say so by ABOUT in its file"):
        _ = gather(classes(np.arange(40) % 2, CPU), targets.y).x_numbers


def test_what_is_declared_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd.py"
    path.write_text('ABOUT = {"zx": "z"}\n', encoding="utf-8")
    monkeypatch.setattr(registry, "source", lambda role, name: path)
    with pytest.raises(UserError, match=r"ABOUT is .*expected measures, each with one of x, y, x of numbers"):
        registry.about("odd")


def test_every_row_names_what_it_is_about() -> None:
    assert "field" in SCHEMA.names
    for family in registry.names("measure"):
        assert all(text.split(" of ")[0] in ("x", "y") for text in registry.about(family).values())


def test_labels_are_counted_from_0_in_a_part() -> None:
    part = classes(np.array([3, 5, 5, 9]), CPU).only(torch.tensor([1, 3]))
    assert isinstance(part, Classes) and part.labels.tolist() == [0, 1] and part.count == 2


def test_without_y_nothing_changes() -> None:
    zy = measure(random(40, 3), random(40, 2, seed=1), family="linear")[1]
    assert (zy.value, zy.unit, zy.note) == (0.0, "nats", "one class only")

"""Mutual information by binning: exact on discrete toys, and honest where the bins say nothing of the network."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_entropy import entropy
from test_measures_job import CPU
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures import measure
from infoplane.measures.families.binned import Options, estimate, survey
from infoplane.measures.information.binned import (
    Bins,
    answer_entropy,
    binned_information,
    fixed_bins,
    group_cells,
    quantile_bins,
    range_bins,
    width_bins,
)
from infoplane.measures.information.entropy import (
    group,
)
from infoplane.measures.subject import Subject
from infoplane.measures.targets import prepare
from infoplane.testing.measures import made_up

LN2 = math.log(2)


def by_counting(cells: list[tuple[int, ...]], labels: list[int], inputs: list[Any]) -> tuple[float, float]:
    """I(X;Z) and I(Z;Y) from H(A) + H(B) - H(A,B)."""
    h = entropy(cells)
    ixz = h + entropy(inputs) - entropy(zip(cells, inputs, strict=True))
    return ixz, h + entropy(labels) - entropy(zip(cells, labels, strict=True))


def tanh_layer(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    z = np.tanh(rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)))
    return torch.as_tensor(z, dtype=torch.float32), torch.as_tensor(rng.integers(0, 3, n))


# Exactness


def test_exact_on_an_enumerated_network() -> None:
    x = np.array(list(itertools.product([0, 1], repeat=8)))
    z = np.stack([x[:, :3].sum(1), x[:, 3] ^ x[:, 4], 2 * x[:, 5]], 1)
    y = (x.sum(1) > 4).astype(int)
    expected = by_counting([tuple(row) for row in z.tolist()], y.tolist(), list(range(256)))
    layer, labels = torch.as_tensor(z, dtype=torch.float32), torch.as_tensor(y)
    for bins in (width_bins(layer, 1.0), range_bins(layer, 4), range_bins(layer, 4, per_unit=True)):
        found = binned_information(layer, bins, labels, torch.as_tensor(x))
        assert (found.ixz, found.izy) == pytest.approx(expected, abs=1e-12)
        assert found.noise == 0 and found.ixz == found.entropy
    # three sums of bits: 1.811 bits, and two fair bits
    assert expected[0] / LN2 == pytest.approx(2 + 0.75 + 0.75 * math.log2(8 / 3), abs=1e-12)


@pytest.mark.parametrize("d", [2, 40])
def test_a_stochastic_layer_and_inputs_that_come_twice(d: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 12, 700)
    z = (x[:, None] % 4 + rng.integers(0, 2, (700, d)) * (np.arange(d) < 2)).astype(float)
    y = (x % 3 == 0).astype(int)
    expected = by_counting([tuple(row) for row in z.tolist()], y.tolist(), x.tolist())
    layer = torch.as_tensor(z)
    found = binned_information(layer, width_bins(layer, 1.0), torch.as_tensor(y), torch.as_tensor(x))
    assert (found.ixz, found.izy) == pytest.approx(expected, abs=1e-12)
    assert found.noise > 0.1
    determined = torch.as_tensor(x)[:, None].repeat(1, d).float()
    again = binned_information(determined, range_bins(determined, 12), torch.as_tensor(y), torch.as_tensor(x))
    assert again.noise == 0 and again.ixz == pytest.approx(entropy(x.tolist()), abs=1e-12)
    # every input has a cell of its own, though many samples share one
    assert again.alone == 1


@pytest.mark.parametrize("d", [1, 3, 10, 200])
def test_the_field_s_edges_as_numpy_digitises_them(d: int) -> None:
    z, y = tanh_layer(1500, d)
    z[:20] = torch.sign(z[:20])
    edges = np.linspace(-1, 1, 30)
    cut = np.digitize(z.numpy(), edges) - 1
    expected = by_counting([tuple(row) for row in cut.tolist()], y.tolist(), list(range(1500)))
    found = binned_information(z, fixed_bins(z), y)
    assert (found.ixz, found.izy) == pytest.approx(expected, abs=1e-12)
    assert fixed_bins(z).clamped == 0


def test_one_outlier_makes_a_note_where_it_makes_the_range() -> None:
    z = np.random.default_rng(0).normal(size=1000)
    targets = prepare(z, np.arange(1000) % 2, CPU)
    (plain, _), wide = (estimate(torch.as_tensor(one)[:, None], targets, Options()) for one in (z, with_outlier(z)))
    assert plain.value == pytest.approx(4.09, abs=0.01) and plain.note == ""
    for row in wide:
        assert row.note == "outliers: 99% of the values lie in 1 of 30 bins, the others set the range"
    for binning in ("quantile", "width"):
        (known, _) = estimate(torch.as_tensor(with_outlier(z))[:, None], targets, Options(binning=binning))
        assert known.value is not None and known.value > 3 and "outliers" not in known.note
    for tame in (np.tanh(20 * z), np.maximum(0, z - 1), np.random.default_rng(0).standard_t(2, 1000)):
        assert "outliers" not in estimate(torch.as_tensor(tame)[:, None], targets, Options())[0].note


def test_one_outlier_makes_a_note_where_it_makes_the_range_of_a_unit() -> None:
    z = np.random.default_rng(0).normal(size=(1000, 3))
    z[:, 1] = np.maximum(0, z[:, 1] - 2.7)  # nearly always 0, which is no outlier's doing
    targets, options = prepare(z, np.arange(1000) % 2, CPU), Options(binning="unit_range")
    assert "outliers" not in estimate(torch.as_tensor(z), targets, options)[0].note
    z[3, 0] = 1e4
    expected = "outliers: in 1 of 3 units 99% of the values lie in at most 3 of 30 bins, the others set the range"
    assert all(row.note == expected for row in estimate(torch.as_tensor(z), targets, options))


def test_no_input_is_said_to_be_constant_and_labels_may_tell_more() -> None:
    y = np.arange(60) % 3
    ixz, izy = measure(np.eye(3)[y], None, y, family="binned")
    assert (ixz.value, ixz.note) == (0.0, "constant input") and izy.value == pytest.approx(math.log2(3))
    assert izy.note == ""


def test_ids_that_come_many_times_are_told_apart_and_saturate_nothing() -> None:
    codes = np.arange(1000) % 8
    for first in (0, 20_000_000, 1_700_000_000):
        targets = prepare(codes + first, codes % 2, CPU)
        ixz, izy = estimate(torch.as_tensor(codes[:, None]).double(), targets, Options())
        assert (ixz.value, izy.value) == pytest.approx((3, 1)) and ixz.note == izy.note == ""
    rare = prepare(np.arange(1000) // 2, codes % 2, CPU)
    assert "saturated" in estimate(torch.arange(1000)[:, None] // 2, rare, Options(bins=500))[0].note


def with_outlier(z: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(z)) == 3, 1e4, z)


def test_ranges_that_no_number_of_bins_divides_have_no_value() -> None:
    z = torch.as_tensor(np.random.default_rng(0).uniform(-1, 1, (50, 2)))
    targets = prepare(z.numpy(), np.arange(50) % 2, CPU)
    for factor in (1.7e308, 1e-310):
        for row in estimate(z * factor, targets, Options()):
            assert row.value is None and "cannot be cut into bins: rescale the activations" in row.note
    with pytest.raises(UserError, match="too narrow"):
        width_bins((z.float() + 2) * 1e38, 1e-5)


def test_whole_numbers_above_float32_keep_their_bins() -> None:
    ids = torch.arange(100) // 2 + 20_000_000
    assert len(group_cells(ids[:, None], width_bins(ids[:, None], 1.0)).sizes) == 50


def test_widths_as_numpy_floors_them() -> None:
    z, y = tanh_layer(1500, 6)
    cut = np.floor(z.numpy() * 9 / np.float32(0.7)).astype(int)
    expected = by_counting([tuple(row) for row in cut.tolist()], y.tolist(), list(range(1500)))
    found = binned_information(z * 9, width_bins(z * 9, 0.7), y)
    assert (found.ixz, found.izy) == pytest.approx(expected, abs=1e-12)


def binnings(z: Tensor) -> dict[str, Bins]:
    return {
        "fixed": fixed_bins(z, 9),
        "range": range_bins(z, 8),
        "unit_range": range_bins(z, 8, per_unit=True),
        "quantile": quantile_bins(z, 8),
        "width": width_bins(z, 0.25),
    }


@pytest.mark.parametrize("kind", ["fixed", "range", "unit_range", "quantile", "width"])
def test_the_order_of_units_and_samples_changes_nothing(kind: str) -> None:
    z, y = tanh_layer(400, 5)
    units, order = torch.tensor([3, 0, 4, 1, 2]), torch.randperm(400, generator=torch.Generator().manual_seed(0))
    first = binned_information(z, binnings(z)[kind], y)
    turned = z[:, units][order]
    second = binned_information(turned, binnings(turned)[kind], y[order])
    assert vars(first) == pytest.approx(vars(second), abs=1e-13)


def test_finer_bins_never_tell_less() -> None:
    z, y = tanh_layer(800, 3)
    answers = group((z.sum(1) > 0).long())
    found = [binned_information(z, range_bins(z, 2**k), y) for k in range(1, 11)]
    unsure = [answer_entropy(group_cells(z, range_bins(z, 2**k)), answers) for k in range(1, 11)]
    for coarse, fine in itertools.pairwise(found):
        assert fine.ixz >= coarse.ixz and fine.izy >= coarse.izy - 1e-12 and fine.cells >= coarse.cells
    assert unsure == sorted(unsure, reverse=True) and unsure[0] > 0.05 and unsure[-1] == 0
    assert found[-1].ixz == pytest.approx(math.log(800), abs=0.05) and found[-1].alone > 0.9


def test_quantile_bins_hold_equally_many() -> None:
    z = torch.as_tensor(np.random.default_rng(0).lognormal(size=(600, 2)))
    index = quantile_bins(z, 6).index(z.numpy())
    assert all(np.bincount(unit.astype(int)).tolist() == [100] * 6 for unit in index.T)
    ties = quantile_bins(torch.tensor([[0.0], [0.0], [0.0], [1.0]]), 4)
    assert len(set(ties.index(np.zeros((3, 1)))[:, 0].tolist())) == 1


def test_a_constant_unit_adds_nothing() -> None:
    z, y = tanh_layer(300, 3)
    with_constant = torch.cat([z, torch.full((300, 1), 0.25)], 1)
    for kind in binnings(z):
        first = binned_information(z, binnings(z)[kind], y)
        second = binned_information(with_constant, binnings(with_constant)[kind], y)
        assert vars(first) == pytest.approx(vars(second), abs=1e-13)


def test_the_correction_of_miller_and_madow_comes_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(40):
        z = torch.as_tensor(rng.integers(0, 10, (200, 1)), dtype=torch.float32)
        y, bins = torch.as_tensor(rng.integers(0, 4, 200)), width_bins(z, 1.0)
        plain.append(binned_information(z, bins, y))
        corrected.append(binned_information(z, bins, y, corrected=True))
    assert np.mean([one.ixz for one in plain]) < math.log(10) - 0.015
    assert np.mean([one.ixz for one in corrected]) == pytest.approx(math.log(10), abs=0.008)
    assert np.mean([one.izy for one in plain]) > 0.05
    assert np.mean([one.izy for one in corrected]) < 0.025


# The family


def targets(n: int = 400, classes: int = 3) -> Any:
    rng = np.random.default_rng(4)
    return prepare(rng.normal(size=(n, 6)), rng.integers(0, classes, n), CPU)


def test_values_in_bits_with_what_explains_them() -> None:
    z, _ = tanh_layer(400, 2)
    known = targets()
    ixz, izy = estimate(z, known, Options(bins=8))
    nats = binned_information(z, range_bins(z, 8), known.y_classes.labels)
    assert (ixz.measure, ixz.unit, ixz.value) == ("ixz", "bits", pytest.approx(nats.ixz / LN2))
    assert (izy.measure, izy.unit, izy.value) == ("izy", "bits", pytest.approx(nats.izy / LN2))
    detail = json.loads(ixz.detail)
    assert (detail["bins"], detail["cells"], detail["clamped"]) == (8, nats.cells, 0)
    assert detail["h_z"] == pytest.approx(ixz.value) and detail["h_z_given_x"] == 0 and ixz.note == ""


def test_clamping_is_told() -> None:
    known, rng = targets(), np.random.default_rng(0)
    relu = torch.as_tensor(rng.normal(size=(400, 2)), dtype=torch.float32).relu()
    small, grown = (estimate(scale * relu, known, Options(binning="fixed"))[0] for scale in (0.2, 40.0))
    assert "clamped" not in small.note
    share = float((40 * relu > 1).double().mean())
    assert f"clamped: {share:.3%} of the values" in grown.note and json.loads(grown.detail)["clamped"] == share
    # a layer that only grew seems to forget; bins that follow its range see that nothing changed
    assert small.value is not None and grown.value is not None and grown.value < small.value - 1
    first, second = (estimate(scale * relu, known, Options())[0] for scale in (0.25, 32.0))
    assert first.value == second.value and "clamped" not in second.note


def test_saturation_is_told() -> None:
    z, _ = tanh_layer(400, 30)
    ixz, izy = estimate(z, targets(), Options())
    assert ixz.value == pytest.approx(math.log2(400), abs=0.05)
    assert ixz.note.startswith("saturated: ") and izy.note.startswith("saturated: ")


@pytest.mark.parametrize("binning", ["fixed", "range", "run_range", "unit_range", "quantile", "width"])
def test_bad_input_is_flagged(binning: str) -> None:
    known, options = targets(), Options(binning=binning)  # type: ignore[arg-type]
    z, _ = tanh_layer(400, 3)
    for bad in (math.nan, math.inf, -math.inf):
        broken = z.half()
        broken[7, 2] = bad
        assert {(one.value, one.note) for one in estimate(broken, known, options)} == {(None, "non-finite")}
    with pytest.raises(UserError, match="NaN or infinity"):
        fixed_bins(broken)
    assert {(one.value, one.note) for one in estimate(torch.ones(400, 3), known, options)} == {(0.0, "constant")}
    _, izy = estimate(z, targets(classes=1), options)
    assert izy.value == pytest.approx(0, abs=1e-12) and "one class only" in izy.note
    wide = estimate(torch.randn(400, 3000, generator=torch.Generator().manual_seed(0)), known, options)
    assert wide[0].value == pytest.approx(math.log2(400)) and "saturated: 100%" in wide[0].note
    duplicates = torch.cat([z[:200], z[:200]])
    assert estimate(duplicates, known, options)[0].value <= math.log2(200) + 1e-12
    half, single = estimate(z.half(), known, options), estimate(z.half().float(), known, options)
    assert half == single


def test_bins_too_narrow_for_the_range_are_flagged() -> None:
    z, _ = tanh_layer(400, 3)
    found = estimate(z * 1e20, targets(), Options(binning="width"))
    assert all(one.value is None and "too narrow" in one.note for one in found)


@pytest.mark.parametrize(
    "wrong", [{"binning": "odd"}, {"bins": 1}, {"low": 2.0}, {"width": 0.0}, {"correction": "some"}]
)
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)


def test_whether_the_bins_hold_the_network_s_answer(splits: dict[str, Path], tmp_path: Path) -> None:
    class Answering(Subject):
        """The network answers by whether the first unit of its stem is above 0.3."""

        def answers(self, step: int) -> Tensor:
            return (self.read(step, self.sites[0]).flatten(1)[:, 0] > 0.3).long()

    subject = Answering(splits["held_out"], CPU, made_up(tmp_path / "a.parquet"))
    fine = {(one.step, one.site, one.part): one.estimates for one in survey(subject, Options())}
    assert len(fine) == 2 * 4
    ixz, izy, unsure = fine[0, "stem", "z"]
    assert (unsure.measure, unsure.unit) == ("h_answer_z", "bits")
    assert unsure.value is not None and unsure.value < 0.1
    assert unsure.reference == pytest.approx(entropy(subject.answers(0).tolist()) / LN2)
    assert [ixz, izy] == estimate(subject.read(0, subject.sites[0]), subject.targets, Options())
    # of a branch nothing is asked: the rest of the network sees the sum
    assert [one.measure for one in fine[0, "block1", "f"]] == ["ixz", "izy"]
    coarse = {
        (one.step, one.site, one.part): one.estimates for one in survey(subject, Options(binning="width", width=50.0))
    }
    assert coarse[0, "stem", "z"][2].value is not None and coarse[0, "stem", "z"][2].value > 0.1


def test_bins_over_the_range_of_the_whole_run(splits: dict[str, Path], tmp_path: Path) -> None:
    subject = Subject(splits["held_out"], CPU, made_up(tmp_path / "a.parquet"))
    options = Options(binning="run_range", bins=5)
    found = {(one.step, one.site, one.part): one.estimates[0] for one in survey(subject, options)}
    stem, branch = subject.sites[0], next(site for site in subject.sites if site.part == "f")
    both = torch.cat([subject.read(step, stem) for step in subject.steps])
    for step in subject.steps:
        z = subject.read(step, stem)
        bins = range_bins(both, 5)  # of both checkpoints at once
        expected = binned_information(z, bins, subject.targets.y_classes.labels, subject.targets.x.given).ixz / LN2
        assert found[step, "stem", "z"].value == pytest.approx(expected, abs=1e-12)
    # the infinity of the last checkpoint is no end of the range
    assert found[0, branch.name, "f"].value is not None and found[4, branch.name, "f"].note == "non-finite"

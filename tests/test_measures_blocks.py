"""Values by parts of the samples: their mean is the value, and a sample's part does not depend on its decoder."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from infoplane import registry
from infoplane.measures.blocks import blocks
from infoplane.measures.decoding.gram import standardised_gram
from infoplane.measures.decoding.ridge import constant_losses
from infoplane.measures.estimate import BLOCKS, Estimate
from infoplane.measures.standalone import measure_file
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")
QUICK: dict[str, dict[str, Any]] = {
    "linear": {},
    "kernel": {},
    "neural": {"folds": 3, "repeats": 1, "epochs": 3, "width": 8},
}


def draw(n: int = 130) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z that knows a part of X and Y."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 6)), rng.integers(0, 3, n)
    z = np.concatenate([x[:, :3] + 0.5 * rng.normal(size=(n, 3)), np.eye(3)[y] + rng.normal(size=(n, 3))], axis=1)
    return z, x, y


def estimate(family: str, z: np.ndarray, x: np.ndarray, y: np.ndarray, **options: Any) -> dict[str, Estimate]:
    module = registry.load("measure", family)
    found = module.estimate(torch.as_tensor(z), prepare(x, y, CPU), module.Options(**QUICK[family] | options))
    return {one.measure: one for one in found}


def mean_is_the_value(one: Estimate) -> bool:
    assert one.blocks is not None and one.value is not None and len(one.blocks) == BLOCKS
    return math.isclose(math.fsum(one.blocks) / BLOCKS, one.value, abs_tol=1e-12)


def test_blocks_are_sums_over_every_twentieth_sample_in_any_order() -> None:
    rng = np.random.default_rng(0)
    losses, rows = rng.random(47), np.sort(rng.permutation(60)[:47])
    wanted = [BLOCKS * losses[rows % BLOCKS == part].sum() / 3.5 for part in range(BLOCKS)]
    found = blocks(torch.tensor(losses), torch.tensor(rows), 3.5)
    assert found == pytest.approx(wanted, abs=1e-14)
    order = rng.permutation(47)
    assert blocks(torch.tensor(losses[order]), torch.tensor(rows[order]), torch.tensor(3.5)) == found
    assert math.fsum(found or ()) / BLOCKS == pytest.approx(losses.sum() / 3.5, abs=1e-14)


def test_a_part_without_a_judged_sample_is_no_perfect_decoder() -> None:
    losses, rows = torch.ones(40), torch.arange(40)
    assert blocks(losses, rows, 40) == (1.0,) * BLOCKS
    assert blocks(losses[:19], rows[:19], 19) is None
    assert blocks(losses[(rows != 3) & (rows != 23)], rows[(rows != 3) & (rows != 23)], 38) is None
    assert blocks(0 * losses, rows, 0.0) is None


@pytest.mark.parametrize("family", QUICK)
@pytest.mark.parametrize("n", [130, 20, 19])
def test_the_mean_of_the_blocks_is_the_value(family: str, n: int) -> None:
    for one in estimate(family, *draw(n)).values():
        assert (one.blocks is None) if n < BLOCKS else mean_is_the_value(one)


@pytest.mark.parametrize("family", QUICK)
def test_landmarks_and_samples_that_are_never_left_out(family: str) -> None:
    z, x, y = draw()
    y[7] = 9  # alone in its class
    options = {} if family == "neural" else {"exact_up_to": 60, "landmarks": 40}
    if family == "kernel":
        options["screen"] = 40
    found = estimate(family, z, x, y, **options)
    assert "never left out" in found["zy"].note and all(mean_is_the_value(one) for one in found.values())


def test_blocks_of_zx_are_those_of_refits() -> None:
    z, x, y = draw(60)
    one = estimate("linear", z, x, y)["zx"]
    assert one.ridge is not None
    gram = standardised_gram(torch.as_tensor(z)).products.numpy()
    losses = np.zeros(60)
    for left in range(60):
        others = np.arange(60) != left
        inner = gram[np.ix_(others, others)]
        centring = np.eye(59) - 1 / 59
        mean = x[others].mean(0)
        dual = np.linalg.solve(centring @ inner @ centring + one.ridge * np.eye(59), x[others] - mean)
        predicted = mean + ((gram[left, others] - inner.mean(0)) @ centring) @ dual
        losses[left] = ((x[left] - predicted) ** 2).sum()
    constant = constant_losses(torch.as_tensor(x)).numpy()
    wanted = [BLOCKS * losses[part::BLOCKS].sum() / constant.sum() for part in range(BLOCKS)]
    assert one.blocks == pytest.approx(wanted, abs=1e-9)


def test_a_network_s_losses_are_put_in_the_order_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sample's loss is replaced by its position, whatever fold judged it."""
    neural = registry.load("measure", "neural")
    z, x, y = draw(100)
    targets = prepare(x, y, CPU)
    splits = neural.cross_fit(targets, 3, 1, 0.2, 0)
    places = torch.cat(splits.test).double()
    judge = neural.judge_classes
    monkeypatch.setattr(neural, "judge_classes", lambda *given: replace(judge(*given), losses=places))
    found = neural.estimate(torch.as_tensor(z), targets, neural.Options(**QUICK["neural"]))[1]
    assert found.blocks == pytest.approx([BLOCKS * sum(range(part, 100, BLOCKS)) / 100 for part in range(BLOCKS)])


@pytest.mark.parametrize("family", QUICK)
def test_what_knows_nothing_has_the_blocks_of_the_constant_predictor(family: str) -> None:
    z, x, y = draw()
    found = estimate(family, np.ones_like(z), x, y)
    assert all(one.value == one.reference and mean_is_the_value(one) for one in found.values())
    surprise = -np.log(np.bincount(y) / len(y))[y]
    wanted = [BLOCKS * surprise[part::BLOCKS].sum() / len(y) for part in range(BLOCKS)]
    assert found["zy"].blocks == pytest.approx(wanted, abs=1e-12)
    one = estimate(family, z, np.ones_like(x), np.zeros_like(y))
    assert one["zx"].blocks is None and one["zy"].blocks == (0.0,) * BLOCKS
    bad = z.copy()
    bad[3, 1] = math.nan
    assert all(one.value is None and one.blocks is None for one in estimate(family, bad, x, y).values())


def test_a_file_of_activations_carries_the_blocks(tmp_path: Path) -> None:
    z, x, y = draw(40)
    pq.write_table(pa.table({"x": x.tolist(), "label": y}), tmp_path / "held_out.parquet")
    pq.write_table(pa.table({"step": [0] * 40, "layer": z.tolist()}), tmp_path / "activations.parquet")
    output = tmp_path / "measured.parquet"
    measure_file(tmp_path / "activations.parquet", tmp_path / "held_out.parquet", {"linear": {}}, output)
    wanted = estimate("linear", z, x, y)
    for row in pq.read_table(output).to_pylist():
        assert row["blocks"] == pytest.approx(wanted[row["measure"]].blocks, abs=1e-6)

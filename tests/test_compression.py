"""Compression before a neighbour estimator, and the calibration beside every compressed value."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from infoplane.measures.information import compression
from infoplane.measures.information.calibration import NATS, Setting, calibrate, known_classes, known_information, tried
from infoplane.measures.information.compression import (
    Compressed,
    autoencoder_code,
    compress,
    compress_once,
    principal_components,
)
from infoplane.measures.information.mutual import mutual_information


def normals(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scaled(n: int, d: int) -> Tensor:
    """Columns of falling variance, rotated."""
    rotation = torch.linalg.qr(normals(d, d, 1))[0]
    return normals(n, d) * 0.9 ** torch.arange(d) @ rotation


def blobs(positions: np.ndarray, side: int = 12) -> Tensor:
    """Pictures of one bright blob at two normal coordinates: a curved surface in the space of pictures."""
    grid, centres = (np.arange(side) + 0.5) / side, 0.2 + 0.6 * norm.cdf(positions)
    distances = (grid[None, :, None] - centres[:, :1, None]) ** 2 + (grid[None, None] - centres[:, 1:, None]) ** 2
    return torch.as_tensor(np.exp(-distances / (2 * 0.12**2)).reshape(len(positions), -1))


def same_space(first: Tensor, second: Tensor) -> bool:
    """Whether two sets of orthogonal columns are the same up to signs."""
    signs = (first * second).sum(0).sign()
    return bool(torch.allclose(first, second * signs, rtol=0, atol=1e-3 * float(first.abs().max())))


@pytest.mark.parametrize(("n", "d"), [(200, 30), (30, 200)])
def test_principal_components_are_those_of_the_singular_values(n: int, d: int) -> None:
    z = scaled(n, d)
    u, s, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    code, kept = principal_components(z, 5)
    assert code.shape == (n, 5) and same_space(code, u[:, :5] * s[:5])
    assert math.isclose(kept, float(s[:5].square().sum() / s.square().sum()), rel_tol=1e-9)


def test_subspace_iteration_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    z = scaled(300, 120)
    exact = principal_components(z, 4)
    monkeypatch.setattr(compression, "EXACT", 10)
    found = principal_components(z, 4)
    assert not torch.equal(found.code, exact.code) and same_space(found.code, exact.code)
    assert math.isclose(found.kept, exact.kept, abs_tol=1e-4)
    assert torch.equal(principal_components(z, 4).code, found.code)


def test_few_dimensions_stay_as_they_are() -> None:
    z = normals(20, 3)
    for method in ("none", "pca", "autoencoder"):
        assert compress(z, 3, method).code.equal(z)  # type: ignore[arg-type]
    assert compress(normals(20, 9), 3, "none").code.shape == (20, 9)
    assert compress(z[:, 0], 1, "pca").code.shape == (20, 1)


def test_the_inputs_of_a_run_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*args: object) -> Compressed:
        calls.append(args)
        return compress(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(compression, "compress", counting)
    x = normals(40, 9, seed=5)
    first = compress_once(x, 2, "pca")
    assert compress_once(x.clone(), 2, "pca") is first and len(calls) == 1
    assert compress_once(x + 1e-9, 2, "pca") is not first and compress_once(x, 3, "pca") is not first


def test_an_autoencoder_follows_a_surface_that_components_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, nats = np.random.default_rng(0), 2.0
    rho = math.sqrt(1 - math.exp(-nats))
    x = rng.normal(size=(1000, 2))
    z = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(1000, 2))
    found = {}
    for method in ("pca", "autoencoder"):
        sides = [compress(blobs(side), 2, method) for side in (x, z)]  # type: ignore[arg-type]
        found[method] = mutual_information(sides[0].code, sides[1].code).value, sides[0].kept
    assert found["autoencoder"][1] > 0.85 > 0.6 > found["pca"][1]
    assert abs(found["autoencoder"][0] - nats) < 0.2 < nats - found["pca"][0]
    monkeypatch.setattr(compression, "STEPS", 50)
    code = autoencoder_code(blobs(x), 2).code
    state = torch.random.get_rng_state()
    assert torch.equal(autoencoder_code(blobs(x), 2).code, code)
    assert torch.equal(torch.random.get_rng_state(), state), "another's random numbers were used"
    assert float(code.abs().max()) <= 1


def test_degenerate_samples_are_compressed_without_a_stumble() -> None:
    for z in (torch.ones(20, 30), torch.ones(20, 30).index_fill(0, torch.tensor([3]), 2.0)):
        for method in ("pca", "autoencoder"):
            code = compress(z, 2, method).code  # type: ignore[arg-type]
            assert code.shape == (20, 2) and bool(torch.isfinite(code).all())
    assert principal_components(normals(3, 50), 8).code.shape == (3, 2)


# Calibration


def test_synthetic_pairs_have_the_information_that_they_are_said_to_have() -> None:
    setting = Setting("weighted_kl", 20, "none", 2, 4000, (2, 2))
    for nats in (0.0, 1.0, 4.0):
        x, z = known_information(np.random.default_rng(0), setting, nats)
        joint = torch.corrcoef(torch.cat([x, z], 1).T)
        truth = float(torch.logdet(joint[:2, :2]) + torch.logdet(joint[2:, 2:]) - torch.logdet(joint)) / 2
        assert abs(truth - nats) < 0.05
    x, z = known_information(np.random.default_rng(0), replace(setting, wide=(9, 1), compression="pca"), 1.0)
    assert x.shape == (4000, 9) and z.shape == (4000, 1)


def test_synthetic_classes_have_the_information_that_they_are_said_to_have() -> None:
    setting = Setting("ross", 3, "none", 1, 3000, (1,), classes=2)
    truths = []
    for spread in (0.0, 1.0, 6.0):
        truth, z, labels = known_classes(np.random.default_rng(0), setting, spread)
        truths.append(truth)
        assert z.shape == (3000, 1) and labels.bincount().tolist() == [1500, 1500]
    # two unit normals 2 apart: by quadrature .3369
    assert truths[0] == pytest.approx(0, abs=1e-9) and truths[1] == pytest.approx(0.3369, abs=0.01)
    assert truths[2] == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize("value", [-0.3, 0.4, 2.2, 5.0])
def test_a_calibration_is_the_error_where_the_estimate_is(value: float) -> None:
    setting = Setting("ksg1", 3, "pca", 2, 300, (20, 20))
    found = calibrate(setting, value)
    assert found is not None
    curve = [tried(replace(setting, wide=(20, 20)), level) for level in range(len(NATS))]
    if found.beyond:
        assert value > max(estimate for _, estimate in curve)
    elif found.truth > 0:
        assert math.isclose(found.off, value - found.truth, abs_tol=1e-12)
        above = next(i for i, (truth, _) in enumerate(curve) if truth >= found.truth)
        assert curve[above - 1][1] <= value <= curve[above][1]
    else:
        assert math.isclose(found.off, curve[0][1], abs_tol=1e-12) and value <= curve[0][1]


def test_a_calibration_finds_a_known_bias() -> None:
    # KSG with many neighbours is far too low at 5 nats: from the biased value back to the truth
    setting = Setting("ksg1", 20, "none", 2, 500, (2, 2), seed=3)
    x, z = known_information(np.random.default_rng(99), setting, 5.0)
    value = mutual_information(x, z, "ksg1", 20).value
    found = calibrate(setting, value)
    assert found is not None and value < 4 and abs(value - found.off - 5) < 0.6


def test_a_calibration_costs_once() -> None:
    setting = Setting("weighted_kl", 10, "pca", 3, 200, (500, 300), seed=11)
    assert calibrate(setting, 1.0) == calibrate(setting, 1.0)
    before = tried.cache_info().misses
    calibrate(replace(setting, wide=(3000, 77)), 1.0)
    assert tried.cache_info().misses == before, "wider data are calibrated with as many columns"


def test_what_cannot_be_tried_is_not_calibrated() -> None:
    assert calibrate(Setting("weighted_kl", 8, "none", 40, 10, (40, 40)), 1.0) is None
    assert calibrate(Setting("kl", 8, "none", 2, 12, (2,), classes=6), 1.0) is None

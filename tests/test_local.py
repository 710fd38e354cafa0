"""Local decoders: neighbours and forests against brute force, steep inverses, and inputs that tell nothing."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor

from infoplane.measures.decoding import local
from infoplane.measures.decoding.local import Local, label_losses, squared_losses
from infoplane.measures.decoding.mixing import quadratic_weights
from infoplane.measures.families.local import Options, estimate
from infoplane.measures.targets import prepare
from infoplane.measures.truths.controls import repeated_rows

CPU = torch.device("cpu")
QUICK = Options(trees=5)


def measured(z: np.ndarray, x: np.ndarray, y: np.ndarray, options: Options = QUICK) -> dict[str, float | None]:
    found = estimate(torch.as_tensor(z), prepare(x, y, CPU), options)
    return {one.measure: one.value for one in found}


def test_neighbours_are_those_of_other_folds() -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(size=(60, 3)), np.arange(60) % 3
    left_out = np.arange(60) % 4
    distances = np.linalg.norm(z[:, None] - z[None], axis=2)
    distances[left_out[:, None] == left_out[None]] = np.inf
    nearest = distances.argsort(1)[:, :4]
    one = Local((4,), (), 1, 8, 0)
    kept = np.array([x[left_out != fold].mean(0) for fold in range(4)])[left_out]
    errors = np.stack([x - kept, x - x[nearest].mean(1)])
    for fold in range(4):
        grid = np.linspace(0, 1, 2001)
        mixed = [((1 - share) * errors[0] + share * errors[1])[left_out != fold] for share in grid]
        share = grid[np.argmin([(one**2).sum() for one in mixed])]
        expected = (((1 - share) * errors[0] + share * errors[1])[left_out == fold] ** 2).sum(1)
        np.testing.assert_allclose(squared_losses(z, x, left_out, one)[0][left_out == fold], expected, rtol=2e-3)
    shares = (y[nearest] == y[:, None]).mean(1)
    losses, weights = label_losses(z, y, left_out, one)
    frequencies = np.array([(np.sum(y[left_out != fold] == y[i]) + 1 / 3) / 46 for i, fold in enumerate(left_out)])
    assert weights.sum() == pytest.approx(1) and np.isfinite(losses).all()
    # between the losses of either alone, sample by sample
    low, high = np.minimum(shares, frequencies), np.maximum(shares, frequencies)
    assert (losses <= -np.log(np.maximum(low, 1e-300)) + 1e-9).all() and (losses >= -np.log(high) - 1e-9).all()


def test_the_weights_are_the_best_ones() -> None:
    rng = np.random.default_rng(1)
    errors = torch.as_tensor(rng.normal(size=(5, 40)) * np.array([[1.0], [0.5], [2.0], [0.6], [1.1]]))
    products = errors @ errors.T
    weights = quadratic_weights(products)
    tried = torch.as_tensor(rng.dirichlet(np.full(5, 0.3), 20_000))
    assert float(weights @ products @ weights) <= float(((tried @ products) * tried).sum(1).min())
    assert float(weights.sum()) == pytest.approx(1) and bool((weights >= 0).all())


def test_the_weights_of_training_samples_are_the_forest_s_own_answer() -> None:
    rng = np.random.default_rng(2)
    z, x = rng.normal(size=(80, 3)).astype(np.float32), rng.normal(size=(80, 2))
    training, test = np.arange(60), np.arange(60, 80)
    forest = ExtraTreesRegressor(7, min_samples_leaf=3, random_state=0).fit(z[training], x[training])
    shares = local._averaged(forest, z, training, test)
    np.testing.assert_allclose(shares @ x[training], forest.predict(z[test]), atol=1e-12)
    np.testing.assert_allclose(shares.sum(1), 1)


@pytest.mark.parametrize("d", [1, 8])
def test_a_steep_inverse_is_found(d: int) -> None:
    x = np.random.default_rng(0).normal(size=(400, d))
    found = measured(x**3, x, np.zeros(400, np.int64))
    assert found["zx"] is not None and found["zx"] < 0.01 and found["zy"] == 0


def test_classes_of_a_checkerboard_are_found() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 4, (600, 2))
    found = measured(z, z, np.floor(z).sum(1).astype(int) % 2)
    assert found["zy"] is not None and found["zy"] < 0.25


def test_wide_inputs_are_decoded_by_one_forest_for_their_components() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(300, 2))
    x = latent @ rng.normal(size=(2, 40)) + 0.01 * rng.normal(size=(300, 40))
    found = measured(latent**3, x, np.zeros(300, np.int64))
    assert found["zx"] is not None and found["zx"] < 0.15


def test_noise_is_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(600, 5)), rng.normal(size=(600, 3)), np.arange(600) % 4
    found = measured(z, x, y)
    assert found["zx"] == pytest.approx(1, abs=0.02) and found["zy"] == pytest.approx(math.log(4), abs=0.02)


def test_what_comes_with_a_value() -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(90, 2)), rng.normal(size=(90, 2)), np.arange(90) % 2
    y[5] = 7
    targets = prepare(x, y, CPU)
    zx, zy = estimate(torch.as_tensor(z), targets, QUICK)
    for one in (zx, zy):
        assert one.stderr and one.folds == 5 and one.blocks and one.d == 2 and one.n == 90
        assert np.mean(one.blocks) == pytest.approx(one.value)
        weights = json.loads(one.detail)["weights"]
        assert sum(weights.values()) == pytest.approx(1) and "leaves of 1" in weights and "10 nearest" in weights
    assert zy.note == "alone in their class and never left out: 1" and zx.note == ""
    again = estimate(torch.as_tensor(z * 1e6 + 1e4), targets, QUICK)
    assert [one.value for one in again] == pytest.approx([zx.value, zy.value], abs=0.02)
    for bad, note in ((np.nan, "non-finite"), (None, "constant")):
        broken = np.ones_like(z) if bad is None else np.where(np.arange(90)[:, None] == 3, bad, z)
        assert {one.note for one in estimate(torch.as_tensor(broken), targets, QUICK)} == {note}


def test_samples_that_belong_together_do_not_tell_of_one_another() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 4)
    y, own = rng.integers(0, 6, 60)[group], rng.normal(size=(60, 3))[group]
    z, x = own + 0.01 * rng.normal(size=(240, 3)), rng.normal(size=(60, 5))[group]
    found = estimate(torch.as_tensor(z), prepare(x, y, CPU, group), QUICK)
    values = {one.measure: one.value for one in found}
    assert values["zx"] == pytest.approx(1, abs=0.05) and values["zy"] == pytest.approx(math.log(6), abs=0.2)
    alone = measured(z, x + 0.01 * rng.normal(size=x.shape), y)
    assert alone["zx"] is not None and alone["zx"] < 0.1 and alone["zy"] is not None and alone["zy"] < 0.3


def test_every_row_twice_is_no_help() -> None:
    z, x, y = repeated_rows().draw(np.random.default_rng(0), 400)
    found = measured(z, x, y)
    assert found["zx"] == pytest.approx(1, abs=0.03) and found["zy"] == pytest.approx(math.log(2), abs=0.03)


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.normal(size=(100, 2)), rng.normal(size=(100, 2)), np.arange(100) % 3
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(measured(z, x, y))
    torch.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.parametrize("wrong", [{"neighbours": ()}, {"leaves": (5, 1)}, {"trees": 0}, {"folds": 1}])
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        Options(**wrong)  # type: ignore[arg-type]

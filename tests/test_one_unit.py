"""One informative unit of thousands, which no decoder of all units finds: the value of Z-Y says so."""

import numpy as np
import pytest
import torch

from infoplane.measures import measure
from infoplane.measures.decoding.one_unit import _losses, note
from infoplane.measures.targets import prepare


def planted(n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    z, y = np.random.default_rng(seed).normal(size=(n, d)), np.arange(n) % classes
    z[:, 7] += 20 * y
    return z, y


@pytest.mark.parametrize("family", ["linear", "kernel", "local"])
def test_one_informative_unit_of_many_is_said_to_be_missed(family: str) -> None:
    z, y = planted(200, 2000, 4)
    quick = {"trees": 5} if family == "local" else {"extrapolate": False}
    zy = measure(z, None, y, family=family, **quick)[1]
    assert zy.value is not None and zy.value > 1.2
    assert "too few samples for 2000 units: one unit alone, found in the training folds, gives 0" in zy.note


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_what_all_units_tell_have_no_such_note(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.arange(120) % 3
    everywhere = rng.normal(size=(120, 400)) + 0.5 * rng.normal(size=(3, 400))[y]
    for z in (rng.normal(size=(120, 400)), everywhere):
        assert "one unit" not in measure(z, None, y, family="linear", extrapolate=False)[1].note


def test_the_unit_is_found_in_the_training_folds_and_judged_on_the_others() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 60)
    z = np.round(rng.normal(size=(60, 40)) + 3 * (np.arange(40) == 11) * y[:, None], 3)
    targets = prepare(np.zeros(60), y, torch.device("cpu"))
    left_out = targets.folds(4, 0)
    wanted = np.full(60, np.nan)
    for fold in range(4):
        training, test = left_out.numpy() != fold, left_out.numpy() == fold
        shares = []
        for unit in z[training].T:
            within = sum(((unit[y[training] == k] - unit[y[training] == k].mean()) ** 2).sum() for k in range(3))
            shares.append(1 - within / ((unit - unit.mean()) ** 2).sum())
        unit = z[:, int(np.argmax(shares))]
        means = np.array([unit[training & (y == k)].mean() for k in range(3)])
        variance = ((unit - means[y])[training] ** 2).sum() / (training.sum() - 3)
        prior = np.array([(training & (y == k)).sum() for k in range(3)]) / training.sum()
        density = prior * np.exp(-((unit[test, None] - means) ** 2) / (2 * variance))
        wanted[test] = -np.log(density[np.arange(test.sum()), y[test]] / density.sum(1))
    found = _losses(torch.as_tensor(z), targets.y_classes, left_out)
    assert found.numpy() == pytest.approx(wanted, abs=1e-10)
    assert "one unit" in note(torch.as_tensor(z), targets.y_classes, None, left_out, torch.full((60,), 1.0))
    assert not note(torch.as_tensor(z), targets.y_classes, None, left_out, found)

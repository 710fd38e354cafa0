"""Decoder networks: known truths, bad input, and what stacking must not change."""

import json
import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from infoplane.errors import UserError
from infoplane.measures.decoding.cross_fitting import cross_fit
from infoplane.measures.decoding.fitting import Schedule
from infoplane.measures.decoding.networks import Dense
from infoplane.measures.decoding.neural import Plan, cross_entropy, train
from infoplane.measures.decoding.standardise import standardise
from infoplane.measures.estimate import Estimate
from infoplane.measures.families import neural
from infoplane.measures.subject import Subject
from infoplane.measures.targets import prepare

CPU = torch.device("cpu")
TOGETHER = 1e-3
"""How far the stack may move a value: rounding, passed on through training."""


def estimate(z: Any, x: Any, y: Any, dtype: torch.dtype = torch.float32, **options: Any) -> dict[str, Estimate]:
    targets = prepare(np.asarray(x), np.asarray(y), CPU)
    found = neural.estimate(torch.as_tensor(z).to(dtype), targets, neural.Options(**options))
    return {one.measure: one for one in found}


def draw(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z that knows a part of X and Y."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 6)), np.arange(n) % 4
    z = np.concatenate([x[:, :3] + 0.5 * rng.normal(size=(n, 3)), np.eye(4)[y] + rng.normal(size=(n, 4))], axis=1)
    return z, x, y


# Truths


def test_a_sign_channel_needs_the_network() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    z = np.sign(x) + 0.5 * rng.normal(size=(600, 1))
    found = estimate(z, x, np.arange(600) % 2, folds=3)["zx"]
    detail = json.loads(found.detail)
    assert found.value is not None and found.value == pytest.approx(0.407, abs=0.04)
    assert detail["linear_alone"] > found.value + 0.04 and detail["mixture"]["network"] > 0.7


def test_exclusive_or_needs_the_network() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (400, 2))
    y = (bits.sum(1) % 2) ^ (rng.random(400) < 0.1)
    found = estimate(bits + 0.05 * rng.normal(size=(400, 2)), bits, y, folds=3)["zy"]
    detail = json.loads(found.detail)
    assert found.value is not None and found.stderr is not None
    truth = -0.1 * math.log(0.1) - 0.9 * math.log(0.9)
    assert found.value == pytest.approx(truth, abs=0.03 + 2 * found.stderr)
    assert detail["linear_alone"] > 0.65 > detail["network_alone"]


@pytest.mark.parametrize("d", [3, 300])
def test_a_copy_loses_nothing_and_noise_knows_nothing(d: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)), np.arange(200) % 4
    noise = estimate(rng.normal(size=(200, d)), x, rng.permutation(y), folds=3)
    assert abs((noise["zx"].value or 0) - 1) < 0.03
    assert abs((noise["zy"].value or 0) - math.log(4)) < 0.03
    assert (estimate(x, x, y, folds=3, epochs=20)["zx"].value or 0) < 1e-3


def test_gaussian_classes_come_near_their_posterior() -> None:
    rng = np.random.default_rng(0)
    means = 1.5 * np.eye(3)
    y = rng.integers(0, 3, 500)
    z = means[y] + rng.normal(size=(500, 3))
    logits = z @ means.T - (means**2).sum(1) / 2
    best = float((np.log(np.exp(logits).sum(1)) - logits[np.arange(500), y]).mean())
    assert (estimate(z, z, y, folds=4)["zy"].value or 9) == pytest.approx(best, abs=0.04)


# What it says, and what it says of bad input


def test_diagnostics() -> None:
    z, x, y = draw()
    z = np.concatenate([z, np.full((len(z), 2), 3.0)], axis=1)
    for one in estimate(z, x, y, folds=3).values():
        assert (one.n, one.d, one.constant_features, one.note, one.folds) == (120, 9, 2, "", 3)
        assert one.value is not None and one.reference is not None and 0 < one.value < one.reference
        assert one.stderr is not None and 0 < one.stderr < 0.2
        detail = json.loads(one.detail)
        assert (detail["decoder"], detail["start"], detail["networks"]) == ("mlp", "fresh", 6)
        assert detail["best_epoch"][1] <= detail["epochs"][1] and len(detail["repeats"]) == 2
        assert detail["repeat_spread"] == pytest.approx(np.std(detail["repeats"], ddof=1), rel=1e-3)
        assert sum(detail["mixture"].values()) == pytest.approx(1, abs=1e-4)
        # the mean of predictions is no worse than the mean of their losses
        assert one.value <= np.mean(detail["repeats"]) + 1e-6


def test_an_epoch_limit_that_is_hit_is_an_edge() -> None:
    found = estimate(*draw(), folds=3, epochs=1)
    assert all(one.edge == "epochs:high" for one in found.values())
    assert json.loads(found["zx"].detail)["epoch_limit_share"] == 1
    assert json.loads(found["zx"].detail)["epochs"] == [1, 1, 1]


def test_networks_that_diverge_are_told_and_replaced() -> None:
    found = estimate(*draw(), folds=3, learning_rate=1e30)
    plain = estimate(*draw(), folds=3, epochs=1, linear=True)
    for measure, one in found.items():
        assert one.note == "decoder networks that diverged: 6 of 6"
        assert one.value == pytest.approx(plain[measure].value, abs=0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e6])
def test_activations_that_are_not_finite_have_no_value(bad: float) -> None:
    z, x, y = draw()
    z[17, 2] = bad  # 1e6 overflows float16
    for one in estimate(z, x, y, torch.float16).values():
        assert one.value is None and one.stderr is None and one.note == "non-finite"


def test_constants_one_class_and_constant_input() -> None:
    z, x, y = draw()
    for one in estimate(np.full_like(z, 0.5), x, y).values():
        assert one.value == one.reference and one.note == "constant" and one.constant_features == one.d
    one_class = estimate(z, x, np.full_like(y, 3), folds=2, epochs=2)["zy"]
    assert (one_class.value, one_class.reference, one_class.note) == (0.0, 0.0, "one class only")
    no_input = estimate(z, np.full_like(x, 0.1), y, folds=2, epochs=2)
    assert no_input["zx"].value is None and no_input["zx"].note == "constant input"
    assert no_input["zy"].value is not None


def test_few_samples_rare_classes_and_duplicates() -> None:
    z, x, y = draw()
    with pytest.raises(UserError, match="30 cross-validation folds cannot be made of 20 samples"):
        estimate(z[:20], x[:20], y[:20], folds=30)
    for one in estimate(z[:9], x[:9], y[:9], folds=3).values():
        assert one.value is not None and math.isfinite(one.value)
    rare = estimate(z, x, np.where(np.arange(120) == 11, 9, y), folds=3, epochs=10)["zy"]
    assert rare.value is not None and rare.value < 1.5
    assert rare.note == "alone in their class and never left out: 1"
    same = estimate(np.eye(4)[y], x, y, folds=3)
    assert (same["zx"].value or 0) > 0.9 and (same["zy"].value or 9) < 0.05


def test_options_are_checked() -> None:
    for wrong in ({"folds": 1}, {"width": 0}, {"validation": 1.0}, {"learning_rate": 0.0}, {"repeats": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            neural.Options(**cast(Any, wrong))


# Stacking changes nothing


def test_a_checkpoint_does_not_depend_on_the_others() -> None:
    z, x, y = draw()
    targets, options = prepare(x, y, CPU), neural.Options(folds=3)
    splits = cross_fit(targets, 3, options.repeats, options.validation, options.seed)
    others = [torch.as_tensor(z * scale + seed, dtype=torch.float32) for seed, scale in enumerate((1, 0.2, 5))]
    others[1] = others[1][torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    together, _ = neural._decode(others, targets, splits, options, None)
    for one, z_alone in zip(together, others, strict=True):
        for stacked, alone in zip(one, neural.estimate(z_alone, targets, options), strict=True):
            assert stacked.value == pytest.approx(alone.value, abs=TOGETHER)


def test_same_input_same_bits() -> None:
    assert estimate(*draw(), folds=2, epochs=5) == estimate(*draw(), folds=2, epochs=5)


def test_chunks_of_a_stack_change_nothing() -> None:
    z, x, y = draw()
    targets = prepare(x, y, CPU)
    splits = cross_fit(targets, 3, 2, 0.2, 0)
    inputs = standardise(torch.as_tensor(z))[0][None]
    outputs = []
    for budget in (1, 1 << 30):
        plan = Plan("mlp", 8, 1, Schedule(3e-3, 0.1, 32, 15, 5), 0, budget)
        network = Dense(7, 4, 8, 1)
        outputs.append(train(network, inputs, splits, cross_entropy(targets.y_classes.labels), plan).outputs)
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=1e-3)


# Shapes


def pictures(n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Blobs at one of four places, and the place."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 4
    x = 0.1 * rng.normal(size=(n, 1, 8, 8))
    for sample, place in enumerate(y):
        row, column = divmod(place, 2)
        x[sample, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += rng.uniform(1, 2)
    return x, y


def test_feature_maps_and_tokens_are_decoded_in_their_shape() -> None:
    x, y = pictures()
    maps = np.abs(x.repeat(3, 1)[:, :, ::2, ::2])
    tokens = np.abs(x.reshape(150, 2, 4, 2, 4).transpose(0, 1, 3, 2, 4).reshape(150, 4, 16))
    for z, decoder in ((maps, "convolutional"), (tokens, "token")):
        found = estimate(z, x, y, folds=2, repeats=1, epochs=60, linear=False)
        for one in found.values():
            assert json.loads(one.detail)["decoder"] == decoder and one.d == z[0].size
        assert (found["zx"].value or 9) < 0.4 and (found["zy"].value or 9) < 0.7
        forced = estimate(z, x, y, folds=2, repeats=1, epochs=2, decoder="mlp")["zx"]
        assert json.loads(forced.detail)["decoder"] == "mlp"
    flat = estimate(tokens.reshape(150, -1), x, y, folds=2, epochs=2, decoder="convolutional")["zx"]
    assert json.loads(flat.detail)["decoder"] == "mlp"


def test_more_dimensions_than_samples_are_read_through_principal_components() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 90)), np.arange(60) % 2
    found = estimate(np.concatenate([x, x], 1), x, y, folds=3, epochs=3, components=40)["zx"]
    assert json.loads(found.detail)["inputs"] == 40 and found.value is not None and found.value < 1


# A whole run


def subject(steps: int = 3) -> Subject:
    """A run whose branch drifts slowly, and whose shortcut is its stem."""
    z, x, y = draw(80)
    sites = [
        SimpleNamespace(name=name, part=part, depth=depth, stored_shape=(7,))
        for depth, (name, part) in enumerate((("stem", "z"), ("block", "s"), ("block", "f")))
    ]

    def read(step: int, site: Any) -> Tensor:
        return torch.as_tensor(z + 0.05 * step * (site.part == "f") * x[:, :1], dtype=torch.float32)

    found = SimpleNamespace(steps=list(range(steps)), sites=sites, targets=prepare(x, y, CPU), read=read)
    return cast(Subject, found)


@pytest.mark.parametrize("together", [1, 1 << 30])
def test_a_survey_is_every_activation_alone(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "TOGETHER", together)
    options = neural.Options(folds=2, repeats=1, epochs=10)
    run = subject()
    found = list(neural.survey(run, options))
    assert [(one.site, one.part, one.step) for one in found] == [
        (site.name, site.part, step) for site in run.sites for step in run.steps
    ]
    for one, site in zip(found, [site for site in run.sites for _ in run.steps], strict=True):
        for stacked, alone in zip(
            one.estimates, neural.estimate(run.read(one.step, site), run.targets, options), strict=True
        ):
            assert stacked.value == pytest.approx(alone.value, abs=TOGETHER)


def test_a_warm_start_begins_where_the_checkpoint_before_ended() -> None:
    # too few epochs to learn in: whoever begins ahead stays ahead
    options = {"folds": 2, "repeats": 1, "epochs": 4, "linear": False}
    fresh, warm = (
        [one for one in neural.survey(subject(4), neural.Options(start=start, **cast(Any, options))) if one.part == "f"]
        for start in ("fresh", "warm")
    )
    starts = [[json.loads(one.estimates[0].detail)["start"] for one in run] for run in (fresh, warm)]
    assert starts == [["fresh"] * 4, ["fresh", "warm", "warm", "warm"]]
    assert warm[0].estimates[0].value == pytest.approx(fresh[0].estimates[0].value, abs=TOGETHER)
    losses = [json.loads(run[3].estimates[0].detail)["validation_loss"] for run in (fresh, warm)]
    assert losses[1] < losses[0] - 0.02

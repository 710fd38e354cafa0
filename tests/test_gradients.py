"""Gradients per layer: moments by hand and by plain loops, and where the drift ends."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infoplane.errors import UserError
from infoplane.measures.estimate import Estimate
from infoplane.measures.families import gradients as family
from infoplane.measures.gradients import (
    Moments,
    at_once,
    batch_gradients,
    crossings,
    drift_to_diffusion,
    gradient_moments,
    smooth,
    together,
    weight_layers,
)
from infoplane.measures.job import measure
from infoplane.measures.subject import Subject
from infoplane.models.build import build
from infoplane.options import image, vector
from infoplane.specs import MeasuresSpec, Plugin, TrainSpec
from infoplane.storage.parquet import read_rows
from infoplane.tasks import classification
from infoplane.training.run import train

CPU = torch.device("cpu")

NETWORKS = {
    "mlp": {"width": 8, "blocks": 2},
    "resnet": {"width": 4, "blocks": 2},
    "vit": {"dim": 8, "blocks": 1, "patch": 4},
    "mixer": {"dim": 8, "blocks": 1, "patch": 4},
}


def network(name: str, shortcut: str = "identity") -> nn.Module:
    return build(Plugin(name, NETWORKS[name]), Plugin(shortcut), image(1, 8, 8), vector(10), 0)


def batches(count: int, size: int = 16) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, size, 1, 8, 8, generator=generator)
    return images, {"y": torch.randint(10, (count, size), generator=generator)}


losses = partial(classification.losses, options=classification.Options())


# Moments


def test_signal_to_noise_of_a_linear_model_by_hand() -> None:
    """Logits are 0, so the gradient of a batch of one sample x of class y is (1/2 - [k = y]) x in row k."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    state = {"1.weight": torch.zeros(2, 2)}
    x = torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, -2.0]]).view(3, 1, 1, 1, 2)
    found = gradient_moments(model, state, [(x, {"y": torch.zeros(3, 1, dtype=torch.int64)})], losses)
    # rows are -x/2 and x/2: mean (2, 0), deviation (1, sqrt(3)), both twice at half their size
    assert found["1"].mean == pytest.approx(math.sqrt(2) * 1.0)
    assert found["1"].std == pytest.approx(math.sqrt(2) * 1.0)
    assert found["1"].snr == pytest.approx(1)


@pytest.mark.parametrize("name", NETWORKS)
def test_moments_are_those_of_one_backward_pass_per_batch(name: str) -> None:
    model = network(name)
    images, of = batches(5)
    labels = of["y"]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    halves = [(x, {"y": y}) for x, y in zip(images.split(2), labels.split(2), strict=True)]
    found = gradient_moments(model, state, halves, losses)
    assert set(found) == set(weight_layers(model)) and len(found) >= 4
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), "neither the network nor the state is changed"
    model.train()
    for layer, weight in weight_layers(model).items():
        taken = []
        for x, y in zip(images, labels, strict=True):
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            gradient = model.get_parameter(weight).grad
            assert gradient is not None
            taken.append(gradient.double())
        stacked = torch.stack(taken)
        assert found[layer].mean == pytest.approx(float(stacked.mean(0).norm()), rel=1e-4)
        assert found[layer].std == pytest.approx(float(stacked.std(0).norm()), rel=1e-4)


def test_only_what_learns_has_a_gradient() -> None:
    frozen = build(
        Plugin("mlp", NETWORKS["mlp"]), Plugin("projection", {"init": "orthogonal"}), image(1, 8, 8), vector(10), 0
    )
    free = build(
        Plugin("mlp", NETWORKS["mlp"]), Plugin("projection", {"init": "random"}), image(1, 8, 8), vector(10), 0
    )
    assert len(weight_layers(free)) - len(weight_layers(frozen)) == 2
    assert gradient_moments(frozen, frozen.state_dict(), [batches(2)], losses).keys() == weight_layers(frozen).keys()


def test_random_branches_are_drawn_from_the_seed_alone() -> None:
    model = network("resnet", "stochastic_depth")
    before = torch.random.get_rng_state()
    first, again, other = (
        gradient_moments(model, model.state_dict(), [batches(3)], losses, seed) for seed in (0, 0, 1)
    )
    assert first == again and first != other
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_single_batch_has_no_deviation() -> None:
    model = network("mlp")
    found = gradient_moments(model, model.state_dict(), [batches(1)], losses)
    assert all(one.std is None and one.snr is None and one.mean > 0 for one in found.values())
    assert together(found.values()).std is None


def test_layers_together_are_one_vector() -> None:
    whole = together([Moments(3, 1), Moments(4, 2)])
    assert whole.mean == 5 and whole.snr == pytest.approx(math.sqrt(5))
    assert Moments(3, 0).snr is None, "gradients that do not vary"


def test_batches_with_batchnorm_are_taken_one_by_one() -> None:
    assert at_once(network("resnet")) == 1 and at_once(network("mlp")) > 1000
    model = network("resnet")
    images, of = batches(2)
    first = {"y": of["y"][:1]}
    alone = batch_gradients(model, model.state_dict(), ["logits.0.weight"], images[:1], first, losses)
    both = batch_gradients(model, model.state_dict(), ["logits.0.weight"], images, of, losses)
    torch.testing.assert_close(both["logits.0.weight"][:1], alone["logits.0.weight"])


# The end of the drift


def test_smoothing_keeps_lines_of_the_logarithm_and_stills_noise() -> None:
    steps = list(range(0, 2000, 10))
    assert smooth(steps, [3.0] * len(steps)) == pytest.approx([3.0] * len(steps))
    noise = torch.randn(len(steps), generator=torch.Generator().manual_seed(0)).mul(0.5).exp().tolist()
    stilled = smooth(steps, noise)
    assert max(stilled[50:]) / min(stilled[50:]) < 1.5 < max(noise[50:]) / min(noise[50:])


def test_the_first_crossing_from_above() -> None:
    steps = [round(1.2**i) for i in range(12, 50)]
    falling = [(step / 300) ** -1.0 for step in steps]
    assert drift_to_diffusion(steps, falling) == pytest.approx(300, rel=0.05)
    again = [ratio if step < 1000 else 5.0 for step, ratio in zip(steps, falling, strict=True)]
    assert drift_to_diffusion(steps, again) == pytest.approx(300, rel=0.05) and len(crossings(steps, again)) == 1
    twice = [*again[:-6], *[0.5] * 6]
    assert crossings(steps, twice) == [pytest.approx(300, rel=0.05), pytest.approx(steps[-6], rel=0.2)]
    rises_first = [0.2 if step < 30 else ratio for step, ratio in zip(steps, falling, strict=True)]
    assert drift_to_diffusion(steps, rises_first) == pytest.approx(300, rel=0.05)


def test_a_ratio_that_does_not_cross() -> None:
    steps = list(range(10))
    assert drift_to_diffusion(steps, [0.5] * 10) is None and drift_to_diffusion(steps, [2.0] * 10) is None
    assert drift_to_diffusion(steps, [0.1 * 1.5**step for step in steps]) is None
    assert drift_to_diffusion([], []) is None and drift_to_diffusion([3], [2.0]) is None


def test_one_spike_below_is_no_crossing_and_gaps_are_left_out() -> None:
    steps = list(range(0, 400, 4))
    ratios: list[float | None] = [2.0] * 100
    ratios[60] = 0.8
    assert drift_to_diffusion(steps, ratios) is None
    ratios[50:] = [0.5] * 50
    expected = drift_to_diffusion(steps, ratios)
    assert expected == pytest.approx(198, rel=0.1)
    ratios[20], ratios[30], ratios[40] = None, math.nan, math.inf
    assert drift_to_diffusion(steps, ratios) == pytest.approx(expected, rel=0.02)


# The family


@pytest.fixture
def run(
    splits: dict[str, Path], tmp_path: Path, train_spec: Callable[..., TrainSpec]
) -> Callable[..., tuple[Subject, Path]]:
    """Makes a run and its subject: ``run("mlp", steps=12)``."""

    def make(architecture: str = "mlp", **changes: object) -> tuple[Subject, Path]:
        paths = tmp_path / "checkpoints.safetensors", tmp_path / "history.parquet", tmp_path / "state"
        train(train_spec(architecture, **changes), splits["train"], splits["validation"], *paths, CPU)
        return Subject(splits["held_out"], CPU, checkpoints_path=paths[0], train_path=splits["train"]), paths[0]

    return make


def by_name(estimates: list[Estimate]) -> dict[str, Estimate]:
    return {estimate.measure: estimate for estimate in estimates}


@pytest.mark.parametrize("architecture", ["mlp", "resnet"])
def test_every_layer_at_every_checkpoint(run: Callable[..., tuple[Subject, Path]], architecture: str) -> None:
    subject, _ = run(architecture)
    found = list(family.survey(subject, family.Options()))
    layers = list(dict.fromkeys(m.site for m in found))
    assert [(m.step, m.site, m.part) for m in found] == [(s, x, "weight") for s in subject.steps for x in layers]
    assert layers[-1] == "network" and [m.depth for m in found[: len(layers)]] == list(range(len(layers)))
    first = by_name(found[0].estimates)
    weights = subject.checkpoints.load(0)[f"{layers[0]}.weight"]
    assert (
        first["weight_norm"].value == pytest.approx(float(weights.norm())) and first["weight_norm"].d == weights.numel()
    )
    assert first["gradient_snr"].value == pytest.approx(first["gradient_mean"].value / first["gradient_std"].value)
    assert json.loads(first["gradient_snr"].detail) == {"batches": 9, "batch_size": 32}
    assert (first["gradient_snr"].reference, first["gradient_snr"].n) == (pytest.approx(1 / 3), 288)
    ends = [m.step for m in found if "drift_to_diffusion_step" in by_name(m.estimates)]
    assert ends == [subject.steps[-1]]
    told = by_name(found[-1].estimates)["drift_to_diffusion_step"]
    assert set(json.loads(told.detail)["layers"]) == set(layers[:-1])
    ratios = [by_name(m.estimates)["gradient_snr"].value for m in found if m.site == "network"]
    assert told.value == drift_to_diffusion(subject.steps, ratios) and bool(told.note) == (told.value is None)
    assert found == list(family.survey(subject, family.Options()))


def test_options_choose_the_batches(run: Callable[..., tuple[Subject, Path]]) -> None:
    order = family.rows(100, 32, family.Options(batches=7))
    assert order.shape == (7, 32) and all(len(row.unique()) == 32 for row in order)
    assert len(order[:3].unique()) == 96 and not torch.equal(order[0], order[3])
    assert family.rows(20, 32, family.Options()).shape == (1, 20)
    subject, _ = run(label_noise=0.5)
    found = list(family.survey(subject, family.Options(batches=1, batch_size=10)))
    one = by_name(found[0].estimates)
    assert (one["gradient_std"].value, one["gradient_std"].note) == (None, "one batch only")
    assert one["gradient_mean"].n == 10 and "label noise 0.5" in one["gradient_mean"].note


def test_the_job_writes_it(run: Callable[..., tuple[Subject, Path]], tmp_path: Path) -> None:
    subject, _ = run()
    spec = MeasuresSpec(Plugin("gradients"))
    labels = {"architecture": "mlp", "shortcut": "identity", "seed": 0, "family": "gradients"}
    for name in ("1", "2"):
        measure(spec, subject, tmp_path / name, labels)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    rows = read_rows(tmp_path / "1")[0].to_pylist()
    assert {row["unit"] for row in rows} == {"1"} and len({(r["step"], r["site"], r["measure"]) for r in rows}) == len(
        rows
    )


def test_weights_that_overflowed(run: Callable[..., tuple[Subject, Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    subject, _ = run()
    honest = subject.checkpoints.load
    monkeypatch.setattr(
        subject.checkpoints, "load", lambda step: {name: value * math.nan for name, value in honest(step).items()}
    )
    for found in family.survey(subject, family.Options()):
        for estimate in found.estimates:
            assert estimate.value is None and (estimate.note == "non-finite" or "never falls" in estimate.note)


def test_images_of_another_shape(run: Callable[..., tuple[Subject, Path]]) -> None:
    subject, _ = run()
    subject.checkpoints.metadata["input"] = image(3, 8, 8).to_dict()
    with pytest.raises(UserError, match=r"its inputs are 1x8x8 \(.*\), the network expects 3x8x8"):
        list(family.survey(subject, family.Options()))

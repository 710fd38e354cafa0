"""Every task: its losses by hand, what it refuses, and that one network and several learn by the same function."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import training
from data_sources import paths
from torch.func import vmap

from infoplane import registry
from infoplane.config.load import load
from infoplane.data.prepare import prepare
from infoplane.data.samples import Samples
from infoplane.errors import UserError
from infoplane.metrics import accuracy
from infoplane.options import Field, Fields, NoOptions, image, label
from infoplane.specs import DataSpec, Plugin, StackSpec, TrainSpec
from infoplane.storage.parquet import read_rows
from infoplane.task import Task
from infoplane.tasks import classification, regression
from infoplane.testing.histories import wide
from infoplane.training.run import train
from infoplane.training.run_stack import train_stack

CPU = torch.device("cpu")
POINTS = Field((2,), "d", "float32")
DATA: dict[str, Fields] = {
    "classification": {"x": POINTS, "y": label(3)},
    "regression": {"x": POINTS, "y": Field((2,), "d", "float32")},
    "restoration": {
        "x": Field((2, 6, 6), "chw", "float32", scale="none"),
        "y": Field((2, 12, 12), "chw", "float32", scale="none"),
    },
    "separation": {"x": Field((1, 20), "ct", "float32"), "y": Field((3, 20), "ct", "float32")},
}
"""Task -> the smallest data that it learns from."""


def batch(fields: Fields, n: int = 12) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randint(one.classes, (n, *one.shape), generator=generator)
        if one.classes
        else torch.rand(n, *one.shape, generator=generator)
        for name, one in fields.items()
    }


def test_every_task_is_tested() -> None:
    assert set(DATA) == set(registry.names("task"))


@pytest.mark.parametrize("kind", DATA)
def test_numbers_of_samples_are_their_own_and_the_same_in_a_stack(kind: str) -> None:
    task, of = Task(Plugin(kind), DATA[kind]), batch(DATA[kind])
    output = torch.randn(12, *task.output.shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
    losses, scores = task.losses(output, of), task.scores(output, of)
    assert losses.shape == (12,) and list(scores) == [metric.name for metric in task.metrics]
    assert all(value.shape == (12,) for value in scores.values())
    half = {name: values[:5] for name, values in of.items()}
    torch.testing.assert_close(task.losses(output[:5], half), losses[:5])
    losses.mean().backward()
    assert output.grad is not None and bool(output.grad.flatten(1).any(1).all())
    stacked = torch.stack([output, 2 * output]).detach()
    twice = {name: torch.stack([values, values]) for name, values in of.items()}
    torch.testing.assert_close(vmap(task.losses)(stacked, twice)[0], losses.detach())
    torch.testing.assert_close(vmap(task.losses, (0, None))(stacked, of)[1], task.losses(stacked[1], of))
    for name, value in vmap(task.scores)(stacked, twice).items():
        torch.testing.assert_close(value[0], scores[name].detach())


@pytest.mark.parametrize("kind", DATA)
def test_the_trivial_answer_has_not_learned(kind: str) -> None:
    task, of = Task(Plugin(kind), DATA[kind]), batch(DATA[kind], 300)
    answer = task.trivial(of, of)
    assert answer.shape == (300, *task.output.shape)
    metric = task.metrics[0]
    value = float(task.scores(answer, of)[metric.name].double().mean())
    margin = metric.margin * (value if metric.relative else 1)
    better, worse = (value + share * metric.better * margin for share in (1.01, 0.99))
    assert metric.is_learned(better, value) and not metric.is_learned(worse, value)


@pytest.mark.parametrize(("classes", "needed"), [(2, 0.6), (5, 0.3), (10, 0.2), (100, 0.02)])
def test_guessing_of_ten_classes_or_more_is_beaten_at_twice_its_accuracy(classes: int, needed: float) -> None:
    metric = accuracy(classes)
    assert metric.is_learned(needed + 1e-9, 1 / classes) and not metric.is_learned(needed - 1e-9, 1 / classes)


def test_the_margin_of_an_error_is_a_share_of_that_of_the_mean_whatever_its_unit() -> None:
    metric = regression.Options().metrics(DATA["regression"])[0]
    assert metric.is_learned(0.94e-6, 1e-6) and not metric.is_learned(0.96e-6, 1e-6)


def test_cross_entropy_accuracy_and_the_prior_by_hand() -> None:
    options = classification.Options()
    of = {"y": torch.tensor([0, 0, 1])}
    output = torch.tensor([[1.0, 1.0], [0.0, math.log(3)], [0.0, math.log(3)]])
    expected = [math.log(2), math.log(4), math.log(4 / 3)]
    torch.testing.assert_close(classification.losses(output, of, options), torch.tensor(expected))
    assert classification.scores(output, of, options)["accuracy"].tolist() == [1, 0, 1]
    prior = classification.trivial(of, {"y": torch.tensor([1])}, options)
    torch.testing.assert_close(prior.exp(), torch.tensor([[2 / 3, 1 / 3]]))


def test_squared_error_and_the_mean_by_hand() -> None:
    options, of = regression.Options(), {"y": torch.tensor([[0.0, 2.0], [4.0, 2.0]])}
    output = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
    assert regression.losses(output, of, options).tolist() == [0.5, 4.5]
    assert regression.trivial(of, of, options).tolist() == [[2.0, 2.0], [2.0, 2.0]]


# What fits which data


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"task": {"kind": "regression"}},
        "task: 'y' holds classes: a regression needs numbers (the data set 'digits' has x: 1x8x8 (channels x height x",
    ),
    ({"task": {"kind": "restoration"}}, "'y' is one of 10 classes: a restoration needs pictures"),
    ({"task": {"kind": "separation"}}, "'x' is 1x8x8 (channels x height x width): a separation"),
    ({"task": {"y": "speaker"}}, "task: there is no field 'speaker', only x, y (the data set 'digits'"),
    ({"task": {"x": "y"}}, "task: networks read numbers, and 'y' holds classes"),
    ({"task": {"kind": "regresion"}}, "task: unknown task 'regresion': did you mean 'regression'?"),
    ({"task": {"label_noise": 2}}, "label_noise must be from 0 to 1, got 2"),
    ({"training": {"label_noise": 0.1}}, "'training.label_noise' is called 'task.label_noise' since version 0.2.0"),
    (
        {"architectures": {"small": {"kind": "mlp", "training": {"label_noise": 0.1}}}},
        "'architectures.small.training.label_noise' is called 'task.label_noise' since version 0.2.0",
    ),
]


@pytest.mark.parametrize(("config", "sentence"), REFUSED, ids=lambda one: str(one)[:40])
def test_a_task_that_does_not_fit_is_one_sentence(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load({"data": {"kind": "digits"}} | config)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_claim_on_accuracy_needs_a_task_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.options_class("data set", "digits"), "fields", {"x": image(1, 8, 8), "y": POINTS})
    claim = {"sentence": "s", "provenance": "ours", "quantity": "accuracy", "of": "identity", "expected": "greater"}
    config = {"task": {"kind": "regression"}, "architectures": {"mlp": None}, "claims": {"c": claim}}
    with pytest.raises(UserError, match=r"claims\.c\.quantity: networks of this task are judged by mse: write metric"):
        load(config)
    assert load(config | {"claims": {"c": claim | {"quantity": "metric"}}}).metric.name == "mse"


# Training


Make = Callable[[Fields, dict[str, np.ndarray]], dict[str, Path]]


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Split points in the plane with what belongs to them."""

    def made(fields: Fields, arrays: dict[str, np.ndarray]) -> dict[str, Path]:
        options = type("Options", (NoOptions,), {"fields": fields, "size": None})
        module = SimpleNamespace(Options=options, load=lambda options, folder: Samples(arrays, "made: here."))
        real = registry.load
        monkeypatch.setattr(registry, "load", lambda role, kind: module if role == "data set" else real(role, kind))
        prepare(DataSpec(Plugin("made"), 40, 60, None, 0), tmp_path, paths(tmp_path))
        return paths(tmp_path)

    return made


def test_a_perceptron_learns_a_function_of_the_plane_alone_and_in_a_stack(points: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2)).astype(np.float32)
    y = np.stack([x[:, 0] * x[:, 1], x.sum(1)], 1).astype(np.float32)
    split = points(DATA["regression"], {"x": x, "y": y})
    network = Plugin("mlp", {"width": 16, "blocks": 1}), Plugin("identity")
    learning = training(steps=60, optimizer="adam", learning_rate=0.02, schedule="constant")
    spec = TrainSpec(*network, Plugin("regression", {"x": "x", "y": "y"}), learning, 0)
    files = tmp_path / "c.safetensors", tmp_path / "h.parquet"
    train(spec, split["train"], split["validation"], *files, tmp_path / "state", CPU)
    table, about = read_rows(files[1])
    solo = wide(table.to_pylist())
    assert about["trivial"]["mse"] == pytest.approx(1, abs=0.5) and about["metrics"][0]["unit"] == "1"
    assert "train_mse" not in solo[0] and solo[-1]["validation_mse"] < 0.5 * about["trivial"]["mse"]
    assert solo[-1]["validation_mse"] == pytest.approx(solo[-1]["validation_loss"])
    outputs = [(tmp_path / f"{seed}.safetensors", tmp_path / f"{seed}.parquet") for seed in (0, 1)]
    stack = StackSpec(*network, spec.task, learning, [0, 1])
    train_stack(stack, split["train"], split["validation"], outputs, tmp_path / "state", CPU)
    together = wide(read_rows(outputs[0][1])[0].to_pylist())
    assert [row["validation_mse"] for row in together] == pytest.approx(
        [row["validation_mse"] for row in solo], rel=0.02
    )


def test_only_a_task_that_changes_something_changes_what_is_learned() -> None:
    of = batch(DATA["classification"])
    assert Task(Plugin("classification"), DATA["classification"]).taught(of, 0) == {}
    noisy = Task(Plugin("classification", {"label_noise": 1.0}), DATA["classification"]).taught(of, 0)
    assert list(noisy) == ["y"] and not torch.equal(noisy["y"], of["y"])
    assert Task(Plugin("regression"), DATA["regression"]).taught(batch(DATA["regression"]), 0) == {}

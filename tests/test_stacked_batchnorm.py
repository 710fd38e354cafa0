"""Networks with BatchNorm side by side, in both ways in which members can compute: as their solo runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stacked_runs import (
    CPU,
    SEEDS,
    Make,
    assert_only_the_second_ended,
    compared,
    cut_at,
    poisoned_at,
    stack_of,
    stacked,
    way,
)

from infoplane import registry
from infoplane.data.samples import read_split
from infoplane.models import draws
from infoplane.specs import Plugin
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.training.learner import Solo
from infoplane.training.members import Members
from infoplane.training.stack import Stack

__all__ = ["way"]  # a fixture
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


IN_TURN = ("dense", "identity", "stochastic_depth")
"""Shortcut kinds that are also tried in turn, where all but the order of the members is the solo run's."""


OPTIONS = {"orthogonal": {"over": "sample"}}
"""Of positions, some are all 0 after a ReLU, and the gradient of what is orthogonal to them is that of rounding."""


@pytest.mark.parametrize(
    ("way", "shortcut"),
    [*(("together", name) for name in registry.names("shortcut")), *(("in turn", name) for name in IN_TURN)],
    indirect=["way"],
)
def test_each_seed_is_its_solo_run(
    shortcut: str, way: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    spec = train_spec("resnet", shortcut, learning_rate=0.01)
    compared(replace(spec, shortcut=Plugin(shortcut, OPTIONS.get(shortcut, {}))), splits, tmp_path)


@pytest.mark.parametrize("way", ["together"], indirect=True)  # in turn they are computed as the solo run is
@pytest.mark.parametrize(
    "options",
    [
        {"norm": "pre"},
        {"norm": "post", "post_activation": "gelu"},
        {"stages": 2, "blocks": 1},
        {"stem_pool": 2, "branch_gain": 0.0},
    ],
    ids=["pre", "post", "stages", "zero"],
)
def test_with_every_form_of_the_network(
    options: dict[str, Any], way: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    spec = train_spec("resnet", "identity", learning_rate=0.01, label_noise=0.3)
    compared(replace(spec, architecture=Plugin("resnet", {"width": 4, "blocks": 2} | options)), splits, tmp_path)


def test_every_member_keeps_running_statistics_of_its_own(
    way: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    spec = train_spec("resnet", learning_rate=0.01)
    made = [CheckpointFile(checkpoints) for checkpoints, _ in stacked(stack_of(spec), splits, tmp_path)]
    assert [file.metadata["stacked_seeds"] for file in made] == [SEEDS] * 3
    first, last = [file.load(0) for file in made], [file.load(12) for file in made]
    for name in ("stem.1", "block1.branch.1", "block2.branch.4"):
        assert all(int(tensors[f"{name}.num_batches_tracked"]) == 12 for tensors in last)
        for statistic in STATISTICS[:2]:
            values = [tensors[f"{name}.{statistic}"] for tensors in last]
            assert not torch.equal(values[0], values[1]) and not torch.equal(values[1], values[2])
            assert all(
                not torch.equal(value, before[f"{name}.{statistic}"])
                for value, before in zip(values, first, strict=True)
            )


def test_evaluation_takes_statistics_anew_and_leaves_those_that_training_keeps(
    way: str, train_spec: Make, splits: dict[str, Path]
) -> None:
    spec = train_spec("resnet", learning_rate=0.01)
    stack, alone = learners(spec, splits, way)
    for learner in (stack, *alone):
        for step in range(3):
            learner.update(step, 0.02, False)
    with torch.no_grad():  # statistics that lag behind by far, and a loss that would show it
        for name, value in stack.stacked.items():
            if name.endswith("running_mean"):
                value.add_(5)
    before = {name: value.detach().clone() for name, value in stack.stacked.items()}
    scores = stack.evaluate()
    assert all(torch.equal(value, before[name]) for name, value in stack.stacked.items())
    for score, learner in zip(scores, alone, strict=True):
        assert score == pytest.approx(learner.evaluate()[0], abs=1e-4)


def learners(spec: Any, splits: dict[str, Path], way: str) -> tuple[Stack, list[Solo]]:
    """A stack and the solo runs of its seeds."""
    images, validation = read_split(splits["train"]), read_split(splits["validation"])
    stack = Stack(stack_of(spec), images, validation, CPU, in_turn=way == "in turn")
    return stack, [Solo(run, images, validation, CPU) for run in stack_of(spec).runs]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_members_draw_what_their_solo_runs_draw(
    precision: str, way: str, train_spec: Make, splits: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = train_spec("resnet", precision=precision)
    stack, alone = learners(replace(spec, shortcut=Plugin("stochastic_depth", {"survival": 0.1})), splits, way)
    drawn: list[torch.Tensor] = []
    rand = draws._rand

    def noted(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        drawn.append(rand(like, generator))
        return drawn[-1]

    monkeypatch.setattr(draws, "_rand", noted)
    for learner in alone:
        learner.update(4, 0.01, False)
    expected, drawn[:] = list(drawn), []
    stack.update(4, 0.01, False)
    members = [drawn[member::3] for member in range(3)] if way == "together" else [drawn[:2], drawn[2:4], drawn[4:]]
    found = [draw for member in members for draw in member]
    assert len(found) == len(expected) == 6  # two additions, three seeds
    assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(found, expected, strict=True))


def test_precision_is_that_of_the_solo_run_in_both_ways(way: str, train_spec: Make, splits: dict[str, Path]) -> None:
    """What BatchNorm makes of bfloat16 is bfloat16."""
    stack, alone = learners(train_spec("resnet", precision="bfloat16"), splits, way)
    seen: list[torch.dtype] = []
    for network in (stack.members.learning, alone[0].network):
        site = network.get_submodule("block1.z")
        site.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    for learner in (stack, alone[0]):
        learner.update(0, 0.01, False)
    assert seen and set(seen) == {torch.bfloat16}


def test_without_generators_nothing_is_drawn_for_several() -> None:
    with pytest.raises(RuntimeError, match="3 networks draw at random, and 0 generators are given"):
        torch.vmap(draws.uniform)(torch.zeros(3, 4, 2))


def test_one_that_diverges_neither_stops_nor_poisons_the_others(
    way: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = stack_of(train_spec("resnet", steps=20, log_every=4, learning_rate=0.01))
    healthy, made = poisoned_at(9, "block1.branch.0.weight", spec, splits, tmp_path, monkeypatch)
    assert_only_the_second_ended(healthy, made, row=12)


@pytest.mark.parametrize("shortcut", ["gated", "stochastic_depth"])
def test_interrupted_stack_ends_like_an_uninterrupted_one(
    shortcut: str,
    way: str,
    train_spec: Make,
    splits: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_at(7, stack_of(train_spec("resnet", shortcut, optimizer="adam")), splits, tmp_path, monkeypatch)


@pytest.mark.parametrize("architecture", registry.names("architecture"))
def test_members_compute_in_turn_where_windows_overlap_on_a_cpu(
    architecture: str, train_spec: Make, splits_for: Callable[[str], dict[str, Path]]
) -> None:
    spec, splits = train_spec(architecture), splits_for(architecture)
    stack = Stack(stack_of(spec), read_split(splits["train"]), read_split(splits["validation"]), CPU)
    overlap = architecture in ("edsr", "resnet", "tcn")
    assert stack.members.in_turn == overlap
    assert Members(stack.members.learning, SEEDS, CPU, False, torch.channels_last).axis == overlap

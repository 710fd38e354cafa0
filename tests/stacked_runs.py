"""Stacks of a few members and the solo runs that they are held against."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from infoplane.specs import StackSpec, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.parquet import read_rows
from infoplane.testing.histories import wide
from infoplane.training import run as run_module
from infoplane.training import run_stack as run_stack_module
from infoplane.training.run import train
from infoplane.training.run_stack import train_stack
from infoplane.training.stack import Stack

CPU = torch.device("cpu")
Make = Callable[..., TrainSpec]
SEEDS = [3, 0, 7]
TOLERANCE = 2e-4
"""Largest difference in any weight and any loss between a stacked and a solo run of these 12 steps (float32)."""
NORM_TOLERANCE = 5e-3
"""Relative, of a gradient norm: it jumps where rounding carries one unit of one image across the kink of ReLU."""
WAYS = ("together", "in turn")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which members can compute, whichever this device and this network would have."""
    monkeypatch.setattr(run_stack_module, "Stack", partial(Stack, in_turn=request.param == "in turn"))
    return str(request.param)


def stack_of(spec: TrainSpec, seeds: list[int] = SEEDS) -> StackSpec:
    return StackSpec(spec.architecture, spec.shortcut, spec.task, spec.training, seeds)


def outputs(folder: Path, seeds: list[int] = SEEDS) -> list[tuple[Path, Path]]:
    return [(folder / f"{seed}.safetensors", folder / f"{seed}.parquet") for seed in seeds]


def stacked(
    spec: StackSpec, splits: dict[str, Path], folder: Path, state: Path | None = None
) -> list[tuple[Path, Path]]:
    made = outputs(folder, spec.seeds)
    train_stack(spec, splits["train"], splits["validation"], made, state or folder / "state", CPU)
    return made


def solo(spec: TrainSpec, splits: dict[str, Path], folder: Path) -> tuple[Path, Path]:
    made = folder / "checkpoints.safetensors", folder / "history.parquet"
    train(spec, splits["train"], splits["validation"], *made, folder / "state", CPU)
    return made


def rows(history: Path) -> list[dict[str, float | None]]:
    return wide(read_rows(history)[0].to_pylist())


def assert_alike(one: tuple[Path, Path], other: tuple[Path, Path]) -> None:
    """Same steps and spec; weights, losses and norms within the tolerance."""
    a, b = CheckpointFile(one[0]), CheckpointFile(other[0])
    assert a.steps == b.steps and a.metadata["spec"] == b.metadata["spec"]
    about = [{k: v for k, v in file.metadata.items() if k != "stacked_seeds"} for file in (a, b)]
    assert about[0] == about[1]
    for step in a.steps:
        first, second = a.load(step), b.load(step)
        assert list(first) == list(second)
        for name in first:
            torch.testing.assert_close(first[name], second[name], rtol=TOLERANCE, atol=TOLERANCE, msg=f"{step}/{name}")
    for left, right in zip(rows(one[1]), rows(other[1]), strict=True):
        assert left.keys() == right.keys()
        assert [key for key in left if left[key] is None] == [key for key in right if right[key] is None]
        for key in left:
            relative = NORM_TOLERANCE if key == "gradient_norm" else 1e-3
            assert left[key] is None or left[key] == pytest.approx(right[key], rel=relative, abs=TOLERANCE), key


def compared(spec: TrainSpec, splits: dict[str, Path], folder: Path) -> None:
    for seed, made in zip(SEEDS, stacked(stack_of(spec), splits, folder / "stack"), strict=True):
        assert_alike(made, solo(replace(spec, seed=seed), splits, folder / f"solo{seed}"))
    assert not any((folder / "stack" / "state").iterdir())


def cut_at(stop: int, spec: StackSpec, splits: dict[str, Path], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Interrupt a stack after so many updates and take it up again; its results are those of an uninterrupted one."""
    whole = stacked(spec, splits, folder / "whole")
    patch.setattr(run_module, "SAVE_EVERY_SECONDS", 0.0)
    update = run_module.Run._update

    def dies(self: run_module.Run, step: int) -> None:
        update(self, step)
        if step + 1 == stop:
            raise KeyboardInterrupt

    state = folder / "state"
    patch.setattr(run_module.Run, "_update", dies)
    with pytest.raises(KeyboardInterrupt):
        stacked(spec, splits, folder / "cut", state)
    assert not (folder / "cut").exists()
    updates: list[int] = []

    def noted(self: run_module.Run, step: int) -> None:
        updates.append(step)
        update(self, step)

    patch.setattr(run_module.Run, "_update", noted)
    resumed = stacked(spec, splits, folder / "cut", state)
    assert updates == list(range(stop - 1, spec.training.steps))
    for again, before in zip(resumed, whole, strict=True):
        assert again[0].read_bytes() == before[0].read_bytes() and rows(again[1]) == rows(before[1])
    assert not any(state.iterdir())


def poisoned_at(
    step_of_poison: int, weight: str, spec: StackSpec, splits: dict[str, Path], folder: Path, patch: pytest.MonkeyPatch
) -> tuple[list[tuple[Path, Path]], list[tuple[Path, Path]]]:
    """The results of a healthy stack, and of the same with a weight of its second member made infinite at a step."""
    healthy = stacked(spec, splits, folder / "healthy")
    update = Stack.update

    def poisoned(self: Stack, step: int, rate: float, with_norms: bool) -> None:
        if step == step_of_poison:
            with torch.no_grad():
                self.stacked[weight][1] = math.inf
        update(self, step, rate, with_norms)

    patch.setattr(Stack, "update", poisoned)
    return healthy, stacked(spec, splits, folder / "poisoned")


def assert_only_the_second_ended(healthy: list[tuple[Path, Path]], made: list[tuple[Path, Path]], row: int) -> None:
    """The second of three members has diverged by this row of the history; the others are healthy, to the bit."""
    ended = CheckpointFile(made[1][0])
    assert ended.metadata["status"] == "diverged" and ended.metadata["diverged_at"] == row
    assert ended.steps[0] == 0 and max(ended.steps) < row and rows(made[1][1])[-1]["step"] == row
    assert all(torch.isfinite(tensor).all() for step in ended.steps for tensor in ended.load(step).values())
    for member in (0, 2):
        assert made[member][0].read_bytes() == healthy[member][0].read_bytes()
        assert rows(made[member][1]) == rows(healthy[member][1])

"""Seeds trained side by side: each as its solo run, one that diverges, resuming, bad input."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import REPOSITORY

from infoplane import registry
from infoplane.errors import UserError
from infoplane.specs import CheckpointSpec, Plugin, StackSpec, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.parquet import read_rows
from infoplane.training import run as run_module
from infoplane.training import stack as stack_module
from infoplane.training.run import train
from infoplane.training.stack import train_stack

CPU = torch.device("cpu")
Make = Callable[..., TrainSpec]
SEEDS = [3, 0, 7]
TOLERANCE = 2e-4
"""Largest difference in any weight and any loss between a stacked and a solo run of these 12 steps (float32)."""

STACKABLE = [name for name in registry.names("architecture") if not registry.unstackable("architecture", name)]
SHORTCUTS = [name for name in registry.names("shortcut") if not registry.unstackable("shortcut", name)]


def stack_of(spec: TrainSpec, seeds: list[int] = SEEDS) -> StackSpec:
    return StackSpec(spec.architecture, spec.shortcut, seeds, spec.training)


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
    return read_rows(history)[0].drop(["seconds"]).to_pylist()  # type: ignore[no-any-return]


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
            assert left[key] is None or left[key] == pytest.approx(right[key], rel=1e-3, abs=TOLERANCE), key


def compared(spec: TrainSpec, splits: dict[str, Path], folder: Path) -> None:
    for seed, made in zip(SEEDS, stacked(stack_of(spec), splits, folder / "stack"), strict=True):
        assert_alike(made, solo(replace(spec, seed=seed), splits, folder / f"solo{seed}"))
    assert not any((folder / "stack" / "state").iterdir())


@pytest.mark.parametrize("architecture", STACKABLE)
@pytest.mark.parametrize("shortcut", ["none", "projection"])
def test_each_seed_is_its_solo_run(
    architecture: str, shortcut: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    compared(train_spec(architecture, shortcut, learning_rate=0.01), splits, tmp_path)


@pytest.mark.parametrize("shortcut", sorted(set(SHORTCUTS) - {"none", "projection"}))
def test_with_every_shortcut_kind(shortcut: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    compared(train_spec("tapered_mlp", shortcut, learning_rate=0.01), splits, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam", "weight_decay": 0.0},
        {"optimizer": "adamw", "weight_decay": 0.3},
        {"optimizer": "sgd", "weight_decay": 0.3},
        {"label_noise": 0.5},
        {"checkpoints": CheckpointSpec(0, 1, 0, [[4, 1], [12, 4]])},
    ],
    ids=["adam", "adamw", "decay", "noise", "stages"],
)
def test_with_every_way_of_training(
    changes: dict[str, object], train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    compared(train_spec("mlp", "identity", **({"learning_rate": 0.003} | changes)), splits, tmp_path)


def test_frozen_weights_stay_frozen(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = replace(train_spec("mlp"), shortcut=Plugin("projection", {"init": "orthogonal"}))
    for seed, (checkpoints, _) in zip(SEEDS, stacked(stack_of(spec), splits, tmp_path), strict=True):
        file = CheckpointFile(checkpoints)
        first, last = file.load(0), file.load(file.steps[-1])
        frozen = [name for name in first if ".projection." in name]
        assert frozen and all(torch.equal(first[name], last[name]) for name in frozen), seed
        assert not torch.equal(first["logits.0.weight"], last["logits.0.weight"])


def test_bfloat16_trains_and_differs(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    full, half = (
        stacked(stack_of(train_spec("mlp", precision=precision)), splits, tmp_path / precision)
        for precision in ("float32", "bfloat16")
    )
    assert full[0][0].read_bytes() != half[0][0].read_bytes()
    assert rows(half[0][1])[-1]["train_loss"] == pytest.approx(rows(full[0][1])[-1]["train_loss"], rel=0.05)


def test_a_member_does_not_depend_on_its_neighbours(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = train_spec("tapered_mlp", "none", optimizer="adam")
    together = stacked(stack_of(spec, [1, 2, 3, 4, 5]), splits, tmp_path / "five")
    pair = stacked(stack_of(spec, [4, 1]), splits, tmp_path / "two")
    assert_alike(together[3], pair[0])
    assert_alike(together[0], pair[1])
    assert CheckpointFile(together[0][0]).metadata["stacked_seeds"] == [1, 2, 3, 4, 5]


def test_one_that_diverges_neither_stops_nor_poisons_the_others(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = train_spec("mlp", steps=20, log_every=4, learning_rate=0.01)
    healthy = stacked(stack_of(spec), splits, tmp_path / "healthy")
    update = stack_module.Stack.update

    def poisoned(self: stack_module.Stack, step: int, rate: float, with_norms: bool) -> None:
        if step == 9:
            with torch.no_grad():
                self.stacked["stem.1.weight"][1] = math.inf
        update(self, step, rate, with_norms)

    monkeypatch.setattr(stack_module.Stack, "update", poisoned)
    made = stacked(stack_of(spec), splits, tmp_path / "poisoned")
    ended = CheckpointFile(made[1][0])
    assert ended.metadata["status"] == "diverged" and ended.metadata["diverged_at"] == 12
    assert ended.steps[0] == 0 and max(ended.steps) < 12 and rows(made[1][1])[-1]["step"] == 12
    assert all(torch.isfinite(tensor).all() for step in ended.steps for tensor in ended.load(step).values())
    for member in (0, 2):
        assert made[member][0].read_bytes() == healthy[member][0].read_bytes()
        assert rows(made[member][1]) == rows(healthy[member][1])


def test_all_diverged_ends_early(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = train_spec("mlp", steps=5000, learning_rate=1e12, warmup=0, schedule="constant", log_every=10)
    for checkpoints, history in stacked(stack_of(spec), splits, tmp_path):
        assert CheckpointFile(checkpoints).metadata["status"] == "diverged"
        assert rows(history)[-1]["step"] < 200


@pytest.mark.parametrize("stop", [1, 7, 12])
def test_interrupted_stack_ends_like_an_uninterrupted_one(
    stop: int, train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = stack_of(train_spec("mlp", optimizer="adam", learning_rate=0.01))
    whole = stacked(spec, splits, tmp_path / "whole")
    monkeypatch.setattr(run_module, "SAVE_EVERY_SECONDS", 0.0)
    update = run_module.Run._update

    def dies(self: run_module.Run, step: int) -> None:
        update(self, step)
        if step + 1 == stop:
            raise KeyboardInterrupt

    state = tmp_path / "state"
    monkeypatch.setattr(run_module.Run, "_update", dies)
    with pytest.raises(KeyboardInterrupt):
        stacked(spec, splits, tmp_path / "cut", state)
    assert not (tmp_path / "cut").exists()
    updates: list[int] = []

    def noted(self: run_module.Run, step: int) -> None:
        updates.append(step)
        update(self, step)

    monkeypatch.setattr(run_module.Run, "_update", noted)
    resumed = stacked(spec, splits, tmp_path / "cut", state)
    assert updates == list(range(stop - 1, spec.training.steps))
    for again, before in zip(resumed, whole, strict=True):
        assert again[0].read_bytes() == before[0].read_bytes() and rows(again[1]) == rows(before[1])
    assert not any(state.iterdir())


def script(spec: StackSpec, splits: dict[str, Path], folder: Path) -> subprocess.Popen[str]:
    checkpoints, histories = zip(*outputs(folder, spec.seeds), strict=True)
    command = [sys.executable, str(REPOSITORY / "scripts" / "train_stack.py"), "--spec", spec.to_json()]
    command += ["--train", str(splits["train"]), "--validation", str(splits["validation"]), "--device", "cpu"]
    command += ["--checkpoints", *map(str, checkpoints), "--history", *map(str, histories)]
    command += ["--state", str(folder / "state")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_terminated_process_keeps_its_state_and_resumes(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    spec = stack_of(train_spec("mlp", steps=600, checkpoints=CheckpointSpec(log=20, log_until=500, linear=10)))
    whole = stacked(spec, splits, tmp_path / "whole")
    process = script(spec, splits, tmp_path)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("state/*/checkpoint*.safetensors"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and "the state is kept" in said
    assert not list(tmp_path.glob("*.safetensors"))
    again = script(spec, splits, tmp_path)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0 and "resumed at step" in said
    for seed, before in zip(SEEDS, whole, strict=True):
        assert (tmp_path / f"{seed}.safetensors").read_bytes() == before[0].read_bytes()
        assert rows(tmp_path / f"{seed}.parquet") == rows(before[1])


# --- what cannot be stacked


def test_batchnorm_is_refused(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="networks with BatchNorm cannot learn side by side"):
        stacked(stack_of(train_spec("resnet")), splits, tmp_path)


def test_a_truncated_split_is_one_sentence(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    cut = tmp_path / "train.parquet"
    cut.write_bytes(splits["train"].read_bytes()[:5000])
    with pytest.raises(UserError, match=r"train\.parquet is not a complete Parquet file .*: delete it and run"):
        stacked(stack_of(train_spec("mlp")), splits | {"train": cut}, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Seeds trained side by side: each as its solo run, one that diverges, resuming, bad input."""

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
from stacked_runs import (
    SEEDS,
    Make,
    assert_alike,
    assert_only_the_second_ended,
    compared,
    cut_at,
    outputs,
    poisoned_at,
    rows,
    stack_of,
    stacked,
)

from infoplane import registry
from infoplane.errors import UserError
from infoplane.specs import CheckpointSpec, Plugin, StackSpec
from infoplane.storage.checkpoints import CheckpointFile

STACKABLE = [name for name in registry.names("architecture") if not registry.unstackable("architecture", name)]
SHORTCUTS = [name for name in registry.names("shortcut") if not registry.unstackable("shortcut", name)]


@pytest.mark.parametrize("architecture", STACKABLE)
@pytest.mark.parametrize("shortcut", ["none", "projection"])
def test_each_seed_is_its_solo_run(
    architecture: str, shortcut: str, train_spec: Make, splits_for: Callable[[str], dict[str, Path]], tmp_path: Path
) -> None:
    compared(train_spec(architecture, shortcut, learning_rate=0.01), splits_for(architecture), tmp_path)


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
    spec = stack_of(train_spec("mlp", steps=20, log_every=4, learning_rate=0.01))
    healthy, made = poisoned_at(9, "stem.1.weight", spec, splits, tmp_path, monkeypatch)
    assert_only_the_second_ended(healthy, made, row=12)


def test_all_diverged_ends_early(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = train_spec("mlp", steps=5000, learning_rate=1e12, warmup=0, schedule="constant", log_every=10)
    for checkpoints, history in stacked(stack_of(spec), splits, tmp_path):
        assert CheckpointFile(checkpoints).metadata["status"] == "diverged"
        assert rows(history)[-1]["step"] < 200


@pytest.mark.parametrize("stop", [1, 7, 12])
def test_interrupted_stack_ends_like_an_uninterrupted_one(
    stop: int, train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_at(stop, stack_of(train_spec("mlp", optimizer="adam", learning_rate=0.01)), splits, tmp_path, monkeypatch)


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


def test_a_truncated_split_is_one_sentence(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    cut = tmp_path / "train.parquet"
    cut.write_bytes(splits["train"].read_bytes()[:5000])
    with pytest.raises(UserError, match=r"train\.parquet is not a complete Parquet file .*: delete it and run"):
        stacked(stack_of(train_spec("mlp")), splits | {"train": cut}, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Training: schedules, determinism to the bit, resuming, divergence, bad input."""

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from conftest import REPOSITORY

from infoplane.errors import UserError
from infoplane.options import label
from infoplane.registry import names
from infoplane.specs import CheckpointSpec, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.storage.parquet import read_rows
from infoplane.tasks import classification
from infoplane.testing.histories import wide
from infoplane.training import run as run_module
from infoplane.training.batches import Batches
from infoplane.training.run import train

CPU = torch.device("cpu")
Make = Callable[..., TrainSpec]


def trained(spec: TrainSpec, splits: dict[str, Path], folder: Path, state: Path | None = None) -> tuple[Path, Path]:
    outputs = folder / "checkpoints.safetensors", folder / "history.parquet"
    train(spec, splits["train"], splits["validation"], *outputs, state or folder / "state", CPU)
    return outputs


def rows(history: Path) -> list[dict[str, object]]:
    """The history without wall-clock seconds, the one column that differs from run to run."""
    return wide(read_rows(history)[0].to_pylist())


def test_every_epoch_is_a_fresh_permutation() -> None:
    batches = Batches(10, 5, seed=3, device=CPU)
    epochs = [sorted(torch.cat([batches.rows(2 * e), batches.rows(2 * e + 1)]).tolist()) for e in range(3)]
    assert epochs == [list(range(10))] * 3
    assert batches.rows(0).tolist() != batches.rows(2).tolist()
    assert torch.equal(Batches(10, 5, 3, CPU).rows(5), batches.rows(5))


def noisy_labels(labels: torch.Tensor, classes: int, share: float, seed: int) -> torch.Tensor:
    return classification.taught({"y": labels}, {"y": label(classes)}, classification.Options(label_noise=share), seed)[
        "y"
    ]


def test_label_noise_replaces_the_asked_for_share() -> None:
    labels = torch.zeros(1000, dtype=torch.int64)
    noisy = noisy_labels(labels, 10, 0.5, 0)
    changed = int((noisy != labels).sum())
    assert 400 <= changed <= 500 and noisy.max() < 10  # a tenth of 500 draws is the right class again
    assert torch.equal(noisy, noisy_labels(labels, 10, 0.5, 0))
    assert torch.equal(noisy_labels(labels, 10, 0.0, 0), labels)


# --- runs


@pytest.mark.parametrize("architecture", names("architecture"))
def test_two_runs_are_the_same_to_the_bit(
    architecture: str, train_spec: Make, splits_for: Callable[[str], dict[str, Path]], tmp_path: Path
) -> None:
    splits, spec = splits_for(architecture), train_spec(architecture, "stochastic_depth", optimizer="adamw")
    first = trained(spec, splits, tmp_path / "a")
    torch.rand(7)
    second = trained(spec, splits, tmp_path / "b")
    assert first[0].read_bytes() == second[0].read_bytes()
    assert rows(first[1]) == rows(second[1])
    assert not (tmp_path / "a" / "state").exists() or not any((tmp_path / "a" / "state").iterdir())


def test_checkpoints_and_history_say_what_happened(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = train_spec(steps=40, learning_rate=0.1)
    checkpoints, history = trained(spec, splits, tmp_path)
    file = CheckpointFile(checkpoints)
    assert file.steps == spec.training.checkpoints.taken(40)
    assert file.metadata["status"] == "finished" and TrainSpec.from_dict(file.metadata["spec"]) == spec
    first, last = file.load(0), file.load(40)
    assert set(first) == set(last) and any(not torch.equal(first[name], last[name]) for name in first)
    found = rows(history)
    steps = [row["step"] for row in found]
    assert steps == sorted(set(file.steps) | set(range(0, 41, 5)))
    assert "train_loss" not in found[0] and found[0]["validation_loss"] > 1.5
    assert found[-1]["validation_accuracy"] > 0.6 and found[-1]["train_loss"] < found[1]["train_loss"]
    assert all(math.isfinite(row["gradient_norm"]) for row in found[1:])
    seconds = [row["value"] for row in read_rows(history)[0].to_pylist() if row["quantity"] == "seconds"]
    assert seconds == sorted(seconds) and seconds[-1] > 0


def test_noisy_labels_are_not_those_that_the_first_epoch_begins_with() -> None:
    labels = torch.arange(1000) % 10
    for seed in range(3):
        noisy = noisy_labels(labels, 10, 0.2, seed) != labels
        first = Batches(1000, 100, seed, torch.device("cpu")).rows(0)
        assert int(noisy[first].sum()) < 50, "of 200 noisy samples in 1,000"


def test_label_noise_and_precision_change_the_run(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    plain = trained(train_spec(), splits, tmp_path / "plain")[0].read_bytes()
    assert trained(train_spec(label_noise=0.5), splits, tmp_path / "noise")[0].read_bytes() != plain
    assert trained(train_spec(precision="bfloat16"), splits, tmp_path / "half")[0].read_bytes() != plain


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 7, 12])
def test_interrupted_run_ends_like_an_uninterrupted_one(
    optimizer: str,
    stop: int,
    train_spec: Make,
    splits: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = train_spec("resnet", "stochastic_depth", optimizer=optimizer, learning_rate=0.01)
    ends_alike(spec, stop, splits, tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", ["reversible", "momentum", "attention", "depth_average", "hyper"])
def test_interrupted_run_of_a_kind_with_a_memory(
    kind: str, train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_alike(train_spec("mlp", kind, optimizer="adamw", learning_rate=0.01), 7, splits, tmp_path, monkeypatch)


def ends_alike(
    spec: TrainSpec, stop: int, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupt a run after so many updates and take it up again; its files are those of an uninterrupted one."""
    whole = trained(spec, splits, tmp_path / "whole")
    monkeypatch.setattr(run_module, "SAVE_EVERY_SECONDS", 0.0)
    update = run_module.Run._update

    def dies(self: run_module.Run, step: int) -> None:
        update(self, step)
        if step + 1 == stop:
            raise KeyboardInterrupt

    state = tmp_path / "state"
    monkeypatch.setattr(run_module.Run, "_update", dies)
    with pytest.raises(KeyboardInterrupt):
        trained(spec, splits, tmp_path / "cut", state)
    assert not (tmp_path / "cut" / "checkpoints.safetensors").exists()
    updates = []
    monkeypatch.setattr(run_module.Run, "_update", lambda self, step: (updates.append(step), update(self, step)))
    resumed = trained(spec, splits, tmp_path / "cut", state)
    assert updates == list(range(stop - 1, spec.training.steps))
    assert resumed[0].read_bytes() == whole[0].read_bytes()
    assert rows(resumed[1]) == rows(whole[1])
    assert not any(state.iterdir())


def test_adam_without_decay_is_adamw_without_decay(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    """They differ in the decay alone."""
    for decay, same in ((0.0, True), (0.1, False)):
        made = [
            trained(train_spec(optimizer=name, weight_decay=decay), splits, tmp_path / f"{name}{decay}")
            for name in ("adam", "adamw")
        ]
        first, second = (CheckpointFile(checkpoints).load(12) for checkpoints, _ in made)
        assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first) == same


def test_state_of_another_spec_is_not_taken_up(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    update = run_module.Run._update
    monkeypatch.setattr(run_module, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(
        run_module.Run,
        "_update",
        lambda self, step: update(self, step) if step < 6 else exec("raise KeyboardInterrupt"),
    )
    with pytest.raises(KeyboardInterrupt):
        trained(train_spec(seed=1), splits, tmp_path / "cut", state)
    monkeypatch.setattr(run_module.Run, "_update", update)
    assert (
        trained(train_spec(seed=2), splits, tmp_path / "a", state)[0].read_bytes()
        == trained(train_spec(seed=2), splits, tmp_path / "b")[0].read_bytes()
    )


def script(spec: TrainSpec, splits: dict[str, Path], folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(REPOSITORY / "scripts" / "train.py"), "--spec", spec.to_json()]
    command += ["--train", str(splits["train"]), "--validation", str(splits["validation"]), "--device", "cpu"]
    command += ["--checkpoints", str(folder / "checkpoints.safetensors"), "--history", str(folder / "history.parquet")]
    command += ["--state", str(folder / "state")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def cut(spec: TrainSpec, splits: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of a run that was ended at step 6."""
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "SAVE_EVERY_SECONDS", 0.0)
        update = run_module.Run._update
        dies = lambda self, step: update(self, step) if step < 6 else exec("raise KeyboardInterrupt")  # noqa: E731
        patched.setattr(run_module.Run, "_update", dies)
        with pytest.raises(KeyboardInterrupt):
            trained(spec, splits, folder / "cut", folder / "state")
    return folder / "state"


def test_a_state_without_one_of_its_checkpoints_is_not_taken_up(
    train_spec: Make,
    splits: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = trained(train_spec(), splits, tmp_path / "whole")
    for change in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9] + b"0" * 9)):
        state = cut(train_spec(), splits, tmp_path, monkeypatch)
        change(sorted(state.glob("*/checkpoint*.safetensors"))[1])
        again = trained(train_spec(), splits, tmp_path / "again", state)
        assert "resumed" not in capsys.readouterr().err
        assert again[0].read_bytes() == whole[0].read_bytes() and rows(again[1]) == rows(whole[1])


def test_a_state_with_other_validation_images_is_not_taken_up(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = splits | {"validation": splits["held_out"]}
    state = cut(train_spec(), splits, tmp_path, monkeypatch)
    resumed, anew = (trained(train_spec(), others, tmp_path / str(one), one) for one in (state, tmp_path / "none"))
    assert rows(resumed[1]) == rows(anew[1]) != rows(trained(train_spec(), splits, tmp_path / "whole")[1])


def test_the_seconds_before_an_interruption_count(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that shows a second more whenever somebody looks."""
    clock = itertools.count()
    monkeypatch.setattr(run_module.time, "perf_counter", lambda: float(next(clock)))
    whole = trained(train_spec(), splits, tmp_path / "whole")
    resumed = trained(train_spec(), splits, tmp_path / "a", cut(train_spec(), splits, tmp_path, monkeypatch))
    tables = [read_rows(history)[0].to_pylist() for _, history in (whole, resumed)]
    seconds = [[row["value"] for row in table if row["quantity"] == "seconds"] for table in tables]
    assert seconds[0] == seconds[1] and seconds[0][-1] == train_spec().training.steps


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_process_resumes(deadly: int, train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    spec = train_spec("resnet", steps=150, checkpoints=CheckpointSpec(log=20, log_until=100, linear=5))
    whole = trained(spec, splits, tmp_path / "whole")
    process = script(spec, splits, tmp_path)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("state/*/checkpoint*.safetensors"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(deadly)
    _, said = process.communicate(timeout=60)
    if deadly == signal.SIGKILL:
        assert process.returncode == -deadly and "the state is kept" not in said
    else:
        assert process.returncode == 128 + deadly
        assert said.splitlines()[-1].endswith("; the state is kept") and "Traceback" not in said
    assert not (tmp_path / "checkpoints.safetensors").exists()
    again = script(spec, splits, tmp_path)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0 and "resumed at step" in said
    assert (tmp_path / "checkpoints.safetensors").read_bytes() == whole[0].read_bytes()
    assert rows(tmp_path / "history.parquet") == rows(whole[1])


def test_divergence_ends_the_run_and_keeps_what_it_has(
    train_spec: Make, splits: dict[str, Path], tmp_path: Path
) -> None:
    spec = train_spec("mlp", "identity", steps=200, learning_rate=1e12, warmup=0, schedule="constant", log_every=10)
    checkpoints, history = trained(spec, splits, tmp_path)
    table, metadata = read_rows(history)
    assert metadata["status"] == "diverged" and metadata["diverged_at"] == table["step"][-1].as_py() < 200
    file = CheckpointFile(checkpoints)
    assert file.metadata["status"] == "diverged" and file.steps[0] == 0 and max(file.steps) < metadata["diverged_at"]
    assert all(torch.isfinite(tensor).all() for step in file.steps for tensor in file.load(step).values())


# --- bad input


def test_truncated_split_is_one_sentence(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    cut = tmp_path / "train.parquet"
    cut.write_bytes(splits["train"].read_bytes()[:5000])
    with pytest.raises(UserError, match=r"train\.parquet is not a complete Parquet file .*: delete it and run"):
        trained(train_spec(), splits | {"train": cut}, tmp_path)
    assert not (tmp_path / "checkpoints.safetensors").exists()


def test_truncated_checkpoints_are_one_sentence(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    checkpoints, _ = trained(train_spec(), splits, tmp_path)
    checkpoints.write_bytes(checkpoints.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"checkpoints\.safetensors is not a complete safetensors file"):
        CheckpointFile(checkpoints)


def test_history_opens_anywhere(train_spec: Make, splits: dict[str, Path], tmp_path: Path) -> None:
    _, history = trained(train_spec(), splits, tmp_path)
    assert pq.read_table(history).num_rows == len(read_rows(history)[0])

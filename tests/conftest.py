"""Small real inputs that several tests share."""

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from fitting import SIZES, data_of
from hypothesis import HealthCheck, settings

from infoplane.data.prepare import prepare
from infoplane.specs import CheckpointSpec, DataSpec, Plugin, TrainingSpec, TrainSpec

if TYPE_CHECKING:
    from playwright.sync_api import Browser

torch.set_num_threads(1)

REPOSITORY = Path(__file__).parent.parent

# Drawn inputs are the same in every run, and no draw is timed: what may hang has a watchdog of its own.
for profile in ("quick", "thorough"):
    settings.register_profile(
        profile, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
settings.load_profile("quick")


def draws(quick: int, thorough: int) -> settings:
    """How many inputs a property test draws: ``@draws(300, 2000)``.

    The second number counts with ``pytest --hypothesis-profile thorough``.
    """
    return settings(max_examples=thorough if settings.get_current_profile_name() == "thorough" else quick)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run the workflow come first: they take longest, and no core is to wait for the last of them."""
    items.sort(key=lambda item: not hasattr(getattr(item, "module", None), "Workflow"))


REQUIRED = [word for word in os.environ.get("INFOPLANE_REQUIRES", "").lower().split(",") if word]
"""What this machine is said to have (`.ci/run`): a skipped test that gives one of these as its reason has failed."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skip into a failure where what it lacks is required."""
    report = yield
    reason = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
    if lacking := [word for word in REQUIRED if re.search(rf"\b{word}\b", reason.lower())]:
        report.outcome, report.longrepr = (
            "failed",
            f"INFOPLANE_REQUIRES names {lacking[0]}, and this was to be skipped: {reason}",
        )
    return report


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium, for the tests that look at pages."""
    from browsing import opened

    yield from opened()


@pytest.fixture(scope="session")
def splits_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """Split data that an architecture takes into 300 training, 60 validation and 60 held-out samples."""

    @cache
    def split(kind: str) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("splits")
        paths = {name: folder / f"{name}.parquet" for name in ("train", "validation", "held_out")}
        prepare(DataSpec(Plugin(kind), held_out=60, validation=60, train=300, seed=0), folder, paths)
        return paths

    return lambda architecture: split(data_of(architecture).kind)


@pytest.fixture(scope="session")
def splits(splits_for: Callable[[str], dict[str, Path]]) -> dict[str, Path]:
    """The digits, split likewise."""
    return splits_for("mlp")


def training(**changes: object) -> TrainingSpec:
    """A training spec of a few steps."""
    values: dict[str, object] = {
        "steps": 12,
        "batch_size": 32,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "warmup": 2,
        "log_every": 5,
        "precision": "float32",
        "checkpoints": CheckpointSpec(log=3, log_until=6, linear=2),
    }
    return TrainingSpec(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def train_spec() -> Callable[..., TrainSpec]:
    """Makes the spec of a tiny run: ``train_spec("mlp", "identity", seed=1, steps=20)``."""

    def make(architecture: str = "mlp", shortcut: str = "identity", seed: int = 0, **changes: object) -> TrainSpec:
        plugin = Plugin(architecture, SIZES.get(architecture, {}))
        task = data_of(architecture).task
        if noise := changes.pop("label_noise", 0.0):
            task = Plugin(task.kind, task.options | {"label_noise": noise})
        return TrainSpec(plugin, Plugin(shortcut), task, training(**changes), seed)

    return make

"""The disk budget: predictions held against real dumps, and what is refused, in which words, for which targets."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fitting import SIZES, data_of
from workflow import Workflow, tiny

from infoplane import registry
from infoplane.activations import dump as dump_module
from infoplane.activations.dump import dump
from infoplane.activations.file import ActivationsFile
from infoplane.config import disk
from infoplane.config.disk import GB, dump_bytes, dumped, experiment_bytes, require_disk
from infoplane.config.load import load
from infoplane.config.plan import Run
from infoplane.data.prepare import prepare
from infoplane.errors import UserError
from infoplane.quantities import size
from infoplane.training.run import train

CPU = torch.device("cpu")
Config = dict[str, Any]


def config(architecture: str = "mlp", shortcut: str = "identity", **changes: Any) -> Config:
    """One run of a few steps on 60 held-out samples."""
    data = data_of(architecture)
    few = {"steps": 6, "batch_size": 32, "checkpoints": {"log": 3, "log_until": 4, "linear": 1}}
    return {
        "data": {"kind": data.kind, "train": 300, "validation": 60, "held_out": 60},
        "task": {"kind": data.task.kind} | data.task.options,
        "architectures": {architecture: SIZES.get(architecture)},
        "shortcuts": {shortcut: None},
        "training": few,
    } | changes


def dumped_file(values: Config, folder: Path) -> Path:
    """The activations of the first run of an experiment, really trained and read."""
    plan = load(values)
    run = plan.runs[0]
    splits = {name: folder / f"{name}.parquet" for name in ("train", "validation", "held_out")}
    prepare(plan.data, folder, splits)
    outputs = folder / "checkpoints.safetensors", folder / "history.parquet"
    spec = plan.train_spec(run.architecture, run.shortcut, run.seed)
    train(spec, splits["train"], splits["validation"], *outputs, folder / "state", CPU)
    dump(plan.activations, outputs[0], splits["train"], splits["held_out"], folder / "activations.parquet", CPU)
    return folder / "activations.parquet"


# --- prediction

READINGS: list[tuple[str, Config]] = [
    ("identity", {}),
    ("none", {"activations": {"sites": ["*"], "dtype": "float16"}}),
    ("gated", {"activations": {"sites": ["block1*", "*t*.z"]}}),
]


@pytest.mark.parametrize(("shortcut", "changes"), READINGS, ids=[shortcut for shortcut, _ in READINGS])
@pytest.mark.parametrize("architecture", registry.names("architecture"))
def test_a_dump_is_as_large_as_predicted(architecture: str, shortcut: str, changes: Config, tmp_path: Path) -> None:
    """Within 2%, for the smallest of networks, where what Parquet adds counts most."""
    values = config(architecture, shortcut, **changes)
    found = dumped_file(values, tmp_path).stat().st_size
    assert found == pytest.approx(dump_bytes(load(values), architecture, shortcut), rel=0.02)


def test_a_larger_one_is_known_better(tmp_path: Path) -> None:
    """Within 0.1% above 1 MB; pooled, projected, in stages, and with more held-out images than a row group has rows."""
    values = config("resnet", "projection")
    values["data"]["held_out"] = 700
    values["architectures"]["resnet"] = {"width": 8, "blocks": 2, "stages": 2}
    values["training"]["checkpoints"] = {"stages": [[3, 1], [6, 2]]}
    values["activations"] = {"sites": ["*"], "pool": {"block1.*": 4}, "project": {"stem.z": 50, "block3.*": 30}}
    path = dumped_file(values, tmp_path)
    predicted = dump_bytes(load(values), "resnet", "projection")
    assert path.stat().st_size > 10**6
    assert path.stat().st_size == pytest.approx(predicted, rel=0.001)
    shapes = {site.column: site.stored_shape for site in ActivationsFile(path).sites}
    assert shapes == load(values).stored("resnet", "projection")
    assert shapes["stem.z"] == (50,) and shapes["block1.s"] == (8, 4, 4) and shapes["block3.f"] == (30,)


def test_the_tensors_are_counted_exactly() -> None:
    """By hand: 6 sites of 32 tokens' worth, a readout and logits; what is left is what Parquet adds."""
    values = config("vit", "none", activations={"sites": ["*"], "dtype": "float16"})
    values["data"]["held_out"], values["training"]["checkpoints"] = 1000, {"log": 0, "linear": 0}
    per_image = (1 + 2 * 2) * 4 * 8 + 8 + 10  # stem, two additions of f and z; readout; logits
    tensors = 2 * 1000 * (8 + 2 * per_image)
    rest = dump_bytes(load(values), "vit", "none") - tensors
    assert 0 < rest < 13_000
    values["activations"]["dtype"] = "float32"
    assert dump_bytes(load(values), "vit", "none") - rest == tensors + 2 * 1000 * 2 * per_image


def test_an_experiment_is_the_sum_of_its_runs() -> None:
    plan = load(tiny() | {"seeds": [0, 1, 2]})
    pairs = [(a, s) for a in plan.architectures for s in plan.shortcuts]
    assert experiment_bytes(plan) == 3 * sum(dump_bytes(plan, *pair) for pair in pairs)
    assert experiment_bytes(load(tiny())) * 3 == experiment_bytes(plan)


def test_only_what_is_asked_for_counts() -> None:
    """A family that reads checkpoints needs no activations; pictures need those of the first seed."""
    weights = tiny() | {"seeds": [0, 1], "measures": {"gradients": None}}
    assert [run.seed for run in dumped(load(weights))] == [0] * 4
    bare = weights | {"reconstructions": {"images": 0}, "histograms": {"bins": 0}}
    assert dumped(load(bare)) == [] and experiment_bytes(load(bare)) == 0
    assert len(dumped(load(bare | {"measures": {"gradients": None, "linear": None}}))) == 8


def test_row_groups_have_the_rows_that_are_counted() -> None:
    assert disk.ROWS == dump_module.LARGEST_BATCH


# --- patterns are known to match before anything runs


@pytest.mark.parametrize(
    ("key", "value"), [("sites", ["blok1.z"]), ("pool", {"blok1.z": 2}), ("project", {"blok1.z": 9})]
)
def test_a_pattern_that_matches_nothing_is_refused_when_the_configuration_is_read(key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        load(config(activations={key: value}))
    assert str(caught.value) == (
        f"activations.{key}: 'blok1.z' matches no site: did you mean 'block1.z'? (of architectures.mlp with "
        "shortcuts.identity; every pattern has to match in every network)"
    )


def test_plain_networks_have_no_shortcut_to_read() -> None:
    assert load(config(activations={"sites": ["*.s"]}))
    with pytest.raises(UserError, match=r"activations\.sites: '\*\.s' matches no site: .*shortcuts\.none"):
        load(config(shortcut="none", activations={"sites": ["*.s"]}))


def test_an_architecture_that_declares_no_places_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(registry.options_class("architecture", "mlp"), "places")
    with pytest.raises(UserError) as caught:
        load(config())
    assert str(caught.value) == (
        "architectures.mlp: its Options has no places(input, output): CONTRIBUTING.md says what is expected"
    )


# --- the budget


def large(**changes: Any) -> Config:
    """45 runs of which the activations are 60.8 GB."""
    return {
        "data": {"kind": "mnist", "held_out": 1000},
        "architectures": {"resnet": None, "vit": None, "mlp": None},
        "shortcuts": {"identity": None, "projection": None, "none": None},
        "seeds": [0, 1, 2, 3, 4],
        "training": {"checkpoints": {"log": 4, "linear": 2}},
    } | changes


def unread(run: Run) -> bool:
    """Nothing has been made of any activations yet."""
    return False


def refused(values: Config, folder: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        require_disk(load(values), folder, unread)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes every disk have so many GB free."""
    return lambda amount: monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=int(amount * GB)))


def test_over_the_budget_is_one_sentence_with_every_setting_that_would_help() -> None:
    """No stronger than needed: 2048 dimensions are enough here; the other settings are shown at their strongest."""
    assert refused(large(disk={"budget": 15})) == (
        "the activations of 45 runs would take 60.8 GB (resnet 36.9 GB, vit 23.7 GB, mlp 140 MB), over the budget of "
        "15 GB (disk.budget): raise it, or take less, by any of activations.project {'*': 2048} (13.9 GB), "
        "data.held_out 250 (15.2 GB), activations.pool {'*': 2} (24.1 GB), "
        "training.checkpoints a quarter as many (26.0 GB), "
        "activations.dtype float16 (30.4 GB)."
    )
    assert "data.held_out 500 (30.4 GB)" in refused(large(disk={"budget": 31}))


def test_what_is_said_of_a_setting_is_what_it_does() -> None:
    said = refused(large(activations={"sites": ["*"]}, disk={"budget": 10}))
    for text, changes in (
        ("activations.sites ['*.z']", {"activations": {"sites": ["*.z"]}}),
        ("activations.dtype float16", {"activations": {"sites": ["*"], "dtype": "float16"}}),
        ("activations.pool {'*': 2}", {"activations": {"sites": ["*"], "pool": {"*": 2}}}),
        ("activations.project {'*': 512}", {"activations": {"sites": ["*"], "project": {"*": 512}}}),
        ("data.held_out 250", {"activations": {"sites": ["*"]}, "data": {"kind": "mnist", "held_out": 250}}),
    ):
        assert f"{text} ({size(experiment_bytes(load(large(**changes))))})" in said


def test_a_setting_that_would_not_help_is_not_named() -> None:
    said = refused(config("mlp", activations={"dtype": "float16"}, disk={"budget": 0.00001}))
    assert said.startswith("the activations of 1 run would take 45.5 kB, over the budget of 1e-05 GB (disk.budget)")
    assert set(re.findall(r"(?:activations|data|training)\.\w+", said)) == {"data.held_out", "training.checkpoints"}
    few = config("mlp", activations={"dtype": "float16"}, data={"kind": "digits", "held_out": 2})
    few["training"]["checkpoints"] = {"log": 0, "linear": 0}
    said = refused(few | {"disk": {"budget": 0.000001}})
    assert said.endswith("over the budget of 1e-06 GB (disk.budget): raise it.")


def test_checkpoints_in_stages_are_thinned() -> None:
    plan = large(training={"checkpoints": {"stages": [[100, 1], [640, 10]]}}, disk={"budget": 100})
    thinned = large(training={"checkpoints": {"stages": [[100, 4], [640, 40]]}})
    taken = experiment_bytes(load(thinned))
    assert f"training.checkpoints a quarter as many ({size(taken)})" in refused(plan)


def test_what_is_within_the_budget_or_has_none_goes_on(tmp_path: Path, free: Callable[[float], None]) -> None:
    free(61)
    for budget in (61, "61", "auto", "none"):
        require_disk(load(large(disk={"budget": budget})), tmp_path, unread)
    free(1)
    require_disk(load(large(disk={"budget": "none"})), tmp_path, unread)
    require_disk(load(large()), None, unread)  # on no disk of this machine


@pytest.mark.parametrize("budget", [0, -1, True, None, "20GB", float("inf")])
def test_a_budget_that_is_none_is_refused(budget: Any) -> None:
    with pytest.raises(UserError, match=r"^disk\.budget: expected a number of GB above 0, 'auto' or 'none', got "):
        load({"disk": {"budget": budget}})


@pytest.mark.parametrize("budget", ["auto", 100])
def test_more_than_is_free_is_refused(budget: Any, tmp_path: Path, free: Callable[[float], None]) -> None:
    """Whether or not the folder is there yet, and a budget above that does not help."""
    free(12.1)
    said = refused(large(disk={"budget": budget}), tmp_path / "results" / "activations")
    assert said.startswith(
        "the activations of 45 runs would take 60.8 GB (resnet 36.9 GB, vit 23.7 GB, mlp 140 MB), and there is 12.1 GB "
        f"free for {tmp_path}/results/activations: make room, set disk.budget to none to continue anyway, or take "
        "less, by any of activations.project {'*': 1024} (7.05 GB), "
    )


def test_a_guess_is_not_held_against_anything(tmp_path: Path, free: Callable[[float], None]) -> None:
    """All of a folder of images, of which nobody knows yet how many they are."""
    images = {"kind": "image_folder", "path": "nowhere", "side": 8, "validation": 100}
    free(0.0001)
    require_disk(load(large(data=images | {"held_out": "all"}, disk={"budget": 0.001})), tmp_path, unread)
    assert "45 runs" in refused(large(data=images | {"held_out": 1000}, disk={"budget": 0.001}), tmp_path)


def write(folder: Path, values: Config, share: float = 1.0) -> None:
    """Files of this share of the predicted sizes, of every run."""
    plan = load(values)
    for run in plan.runs:
        path = folder / f"{run.path}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(int(share * dump_bytes(plan, run.architecture, run.shortcut)))


def test_what_is_there_counts_as_written(tmp_path: Path, free: Callable[[float], None]) -> None:
    plain = {"data": {"kind": "mnist", "held_out": 1000}}
    write(tmp_path, plain)
    free(0)
    require_disk(load(plain), tmp_path, unread)  # all of it is there
    require_disk(load(plain | {"disk": {"budget": 0.001}}), tmp_path, unread)  # and stays, whatever the budget is
    more = plain | {"seeds": [0, 1, 2]}
    one = experiment_bytes(load(plain))
    each = one / GB
    free(1.9 * each)
    said = refused(more, tmp_path)
    assert f"activations of 3 runs would take {size(3 * one)}, {size(2 * one)} of it still to be written, and" in said
    free(2.1 * each)
    require_disk(load(more), tmp_path, unread)
    assert f"over the budget of {2.9 * each:g} GB" in refused(more | {"disk": {"budget": 2.9 * each}}, tmp_path)


def test_a_file_that_will_be_written_larger_counts_as_far_as_it_grows(
    tmp_path: Path, free: Callable[[float], None]
) -> None:
    half = {"data": {"kind": "mnist", "held_out": 1000}, "activations": {"dtype": "float16"}}
    write(tmp_path, half)
    whole = half | {"activations": {"dtype": "float32"}}
    each = experiment_bytes(load(whole)) / GB
    free(0.4 * each)
    grown = experiment_bytes(load(whole)) - experiment_bytes(load(half))
    assert f"{size(grown)} of it still to be written" in refused(whole, tmp_path)
    free(0.6 * each)
    require_disk(load(whole), tmp_path, unread)


# --- the workflow


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The tiny experiment with no room for its activations; nothing of it was run."""
    return Workflow.copy_to(tmp_path_factory.mktemp("workflow"), tiny() | {"disk": {"budget": 0.0001}})


@pytest.mark.parametrize("target", [(), ("results/tiny/report.html",)], ids=str)
def test_a_target_that_needs_activations_is_refused_before_anything_runs(
    target: tuple[str, ...], workflow: Workflow
) -> None:
    done = workflow.snakemake("-n", *target, check=False)
    assert done.returncode == 2
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "runs would take" in said and "over the budget of 0.0001 GB (disk.budget): raise it" in said
    assert "Traceback" not in done.stdout and "Job stats" not in done.stdout


def test_a_real_run_is_refused_like_a_dry_one_and_leaves_no_lock(workflow: Workflow) -> None:
    for _ in range(2):
        done = workflow.snakemake(check=False)
        assert done.returncode == 2 and "over the budget of 0.0001 GB" in done.stdout
        assert not workflow.results.exists()


@pytest.mark.parametrize("target", ["partial", "accuracy", "results/tiny/train/mlp/identity/seed0/history.parquet"])
def test_a_target_that_needs_none_is_not(target: str, workflow: Workflow) -> None:
    assert "activations" not in workflow.pending(target)


def test_purged_activations_are_not_written_again(free: Callable[[float], None], tmp_path: Path) -> None:
    """A chart can be drawn anew on a full disk; a new measure needs room for them."""
    free(0.001)
    require_disk(load(large()), tmp_path, lambda run: True)
    assert "45 runs" in refused(large(), tmp_path)


def test_the_budget_is_raised_on_the_command_line(workflow: Workflow) -> None:
    """Where every value is a string."""
    assert workflow.pending("--config", "disk={budget: 1}")["activations"] == 4
    assert workflow.pending("--config", "disk={budget: none}")["activations"] == 4

"""Activations: what is read is what the network computes, site by site, within bounded memory."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fitting import data_of

from infoplane.activations import dump as dump_module
from infoplane.activations.dump import dump
from infoplane.activations.file import ActivationsFile
from infoplane.data.resident import ResidentSplit
from infoplane.data.samples import read_split
from infoplane.errors import UserError
from infoplane.models.batchnorm import recalibrated
from infoplane.models.build import build
from infoplane.registry import names
from infoplane.specs import ActivationsSpec, TrainSpec
from infoplane.storage.checkpoints import CheckpointFile
from infoplane.training.run import train

CPU = torch.device("cpu")


def spec(**changes: object) -> ActivationsSpec:
    values: dict[str, object] = {"sites": ["*"], "dtype": "float32", "pool": {}, "project": {}}
    return ActivationsSpec(**(values | {"recalibration": 128, "seed": 0} | changes))  # type: ignore[arg-type]


@pytest.fixture
def checkpoints(
    train_spec: Callable[..., TrainSpec],
    splits_for: Callable[[str], dict[str, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    def make(architecture: str = "resnet", shortcut: str = "projection", **changes: object) -> Path:
        folder = tmp_path_factory.mktemp("run")
        outputs = folder / "checkpoints.safetensors", folder / "history.parquet"
        made, splits = train_spec(architecture, shortcut, **changes), splits_for(architecture)
        train(made, splits["train"], splits["validation"], *outputs, folder / "state", CPU)
        return outputs[0]

    return make


def dumped(checkpoints: Path, splits: dict[str, Path], output: Path, **changes: object) -> ActivationsFile:
    dump(spec(**changes), checkpoints, splits["train"], splits["held_out"], output, CPU)
    return ActivationsFile(output)


@pytest.mark.parametrize("architecture", names("architecture"))
def test_values_are_the_networks_own(
    architecture: str,
    checkpoints: Callable[..., Path],
    splits_for: Callable[[str], dict[str, Path]],
    tmp_path: Path,
) -> None:
    run, splits = checkpoints(architecture), splits_for(architecture)
    file = dumped(run, splits, tmp_path / "a.parquet")
    saved = CheckpointFile(run)
    made = TrainSpec.from_dict(saved.metadata["spec"])
    network = build(made.architecture, made.shortcut, *data_of(architecture).fields, seed=99)
    network.load_state_dict(saved.load(saved.steps[-1]))
    train_images = ResidentSplit(read_split(splits["train"]), CPU)
    held_out = ResidentSplit(read_split(splits["held_out"]), CPU)
    with torch.no_grad():
        answers = recalibrated(network, train_images.read("x", slice(128)))(held_out.read("x", slice(None)))
    site = file.sites[-1]
    assert file.steps == saved.steps and site.column in ("logits.z", "output.z")
    assert np.allclose(file.read(file.steps[-1], site), answers.numpy(), atol=1e-6)
    assert not np.allclose(file.read(0, site), answers.numpy(), atol=1e-2)
    assert {site.part for site in file.sites} == {"s", "f", "z"}
    for site in file.sites:
        assert file.read(file.steps[0], site).shape == (60, *site.shape)


def test_patterns_choose_sites(checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path) -> None:
    file = dumped(checkpoints(), splits, tmp_path / "a.parquet", sites=["block*.z", "logits.z"])
    assert [site.column for site in file.sites] == ["block1.z", "block2.z", "logits.z"]
    with pytest.raises(UserError, match=r"activations\.sites: 'blok1\.z' matches no site: did you mean 'block1\.z'"):
        dumped(checkpoints(), splits, tmp_path / "b.parquet", sites=["blok1.z"])
    assert not (tmp_path / "b.parquet").exists()


def test_pooling_and_projection_are_recorded(
    checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path
) -> None:
    run = checkpoints()
    whole = dumped(run, splits, tmp_path / "whole.parquet")
    pooled = dumped(run, splits, tmp_path / "pooled.parquet", pool={"block1.*": 2})
    z = next(site for site in whole.sites if site.column == "block1.z")
    small = next(site for site in pooled.sites if site.column == "block1.z")
    assert small.shape == z.shape == (4, 8, 8) and small.stored_shape == (4, 2, 2)
    means = whole.read(0, z).reshape(60, 4, 2, 4, 2, 4).mean(axis=(3, 5))
    assert np.allclose(pooled.read(0, small), means, atol=1e-5)

    projected = dumped(run, splits, tmp_path / "projected.parquet", project={"*.z": 200})
    p = next(site for site in projected.sites if site.column == "block1.z")
    assert p.stored_shape == (200,) and p.projection == 200
    flat, low = whole.read(0, z).reshape(60, -1), projected.read(0, p)
    distance = np.linalg.norm(flat[:30] - flat[30:], axis=1)
    ratio = np.linalg.norm(low[:30] - low[30:], axis=1) / distance
    assert np.all(np.abs(ratio - 1) < 6 / math.sqrt(200))
    narrow = next(site for site in projected.sites if site.column == "readout.z")
    assert narrow.projection is None and narrow.stored_shape == (4,)


def test_dtype(checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path) -> None:
    run = checkpoints()
    single = dumped(run, splits, tmp_path / "single.parquet")
    half = dumped(run, splits, tmp_path / "half.parquet", dtype="float16")
    for site in single.sites:
        a, b = single.read(12, site), half.read(12, site)
        assert b.dtype == np.float16 and np.allclose(a, b, rtol=2e-3, atol=1e-4)


def test_a_row_group_is_a_batch(
    checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = checkpoints()
    whole = dumped(run, splits, tmp_path / "whole.parquet")
    monkeypatch.setattr(dump_module, "ROW_GROUP_BYTES", 100_000)
    cut = dumped(run, splits, tmp_path / "cut.parquet")
    assert cut._file.row_groups > 2 * len(cut.steps)
    for site in whole.sites:
        assert np.allclose(whole.read(12, site), cut.read(12, site), atol=1e-5)


def test_same_run_same_bytes(checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path) -> None:
    run = checkpoints()
    for name in ("1", "2"):
        dumped(run, splits, tmp_path / f"{name}.parquet", project={"*": 16})
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_diverged_run_is_read_as_far_as_it_went(
    checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path
) -> None:
    run = checkpoints("mlp", "identity", steps=100, learning_rate=1e12, warmup=0, schedule="constant")
    file = dumped(run, splits, tmp_path / "a.parquet")
    assert file.metadata["status"] == "diverged" and 0 in file.steps
    assert np.isfinite(file.read(0, file.sites[-1])).all()


def test_batchnorm_is_recorded(checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path) -> None:
    run = checkpoints()
    assert "128 training images" in dumped(run, splits, tmp_path / "a.parquet").metadata["batchnorm"]
    kept = dumped(run, splits, tmp_path / "b.parquet", recalibration=0)
    assert kept.metadata["batchnorm"] == "running statistics"
    assert dumped(checkpoints("vit"), splits, tmp_path / "c.parquet").metadata["batchnorm"] == "none"


def test_other_files_are_one_sentence(checkpoints: Callable[..., Path], splits: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="holds no activations"):
        ActivationsFile(splits["held_out"])


def test_image_noise_is_new_at_every_checkpoint_and_the_same_every_time(
    checkpoints: Callable[..., Path], splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that does not move, read through noise: every checkpoint differs by noise of the asked size alone."""
    run = checkpoints("mlp", "identity", learning_rate=1e-60)  # below the smallest float32: nothing moves
    saved = CheckpointFile(run)
    for step in saved.steps:
        for name, weight in saved.load(step).items():
            assert torch.equal(weight, saved.load(0)[name]), name
    file = dumped(run, splits, tmp_path / "a.parquet", image_noise=0.5, sites=["stem.z"])
    held_out = ResidentSplit(read_split(splits["held_out"]), CPU).read("x", slice(None))
    weight, bias = (saved.load(0)[f"stem.1.{name}"] for name in ("weight", "bias"))
    clean = held_out.flatten(1) @ weight.T + bias
    found = [file.read(step, file.sites[0]) - clean.numpy() for step in saved.steps]
    # W e + b of normal e has, over samples, variance 0.25 * ||row of W||^2 in each unit
    expected = 0.25 * weight.square().sum(1).mean()
    for noise in found:
        assert np.var(noise, axis=0).mean() == pytest.approx(float(expected), rel=0.15)
        assert np.abs(noise.mean()) < 0.1
    for first, second in itertools.pairwise(found):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    dumped(run, splits, tmp_path / "b.parquet", image_noise=0.5, sites=["stem.z"])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    monkeypatch.setattr(dump_module, "LARGEST_BATCH", 7)
    in_sevens = dumped(run, splits, tmp_path / "c.parquet", image_noise=0.5, sites=["stem.z"])
    np.testing.assert_allclose(in_sevens.read(0, in_sevens.sites[0]), file.read(0, file.sites[0]), atol=1e-5)
    other = dumped(run, splits, tmp_path / "d.parquet", image_noise=0.5, sites=["stem.z"], seed=1)
    assert not np.allclose(other.read(0, other.sites[0]), file.read(0, file.sites[0]))


def test_no_noise_leaves_specs_as_they_were() -> None:
    assert "image_noise" not in spec().to_json() and '"image_noise":0.5' in spec(image_noise=0.5).to_json()

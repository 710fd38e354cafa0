"""The data stage: every data set is read, split and written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_sources import paths

from infoplane import registry
from infoplane.data.prepare import mean_and_deviation
from infoplane.data.samples import read_split
from infoplane.data.stratify import largest_remainder, stratified_split
from infoplane.options import image
from infoplane.specs import DataSpec, Plugin

# Splitting


def test_largest_remainder_by_hand() -> None:
    assert largest_remainder(10, np.array([1, 1, 1])).tolist() == [4, 3, 3]
    assert largest_remainder(7, np.array([50, 30, 20])).tolist() == [4, 2, 1]  # 3.5, 2.1, 1.4
    assert largest_remainder(5, np.array([0, 5, 0])).tolist() == [0, 5, 0]


@pytest.mark.parametrize("seed", range(20))
def test_every_part_has_its_share_of_every_class(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes = int(generator.integers(2, 12))
    labels = generator.choice(classes, 500, p=generator.dirichlet(np.ones(classes)))
    counts = {"held_out": int(generator.integers(1, 200)), "validation": int(generator.integers(1, 200))}
    counts["train"] = int(generator.integers(1, 501 - sum(counts.values())))
    parts = stratified_split(labels, classes, counts, seed)
    left = np.bincount(labels, minlength=classes)
    for name, count in counts.items():
        drawn = np.bincount(labels[parts[name]], minlength=classes)
        assert drawn.sum() == count
        assert np.all(np.abs(drawn - count * left / left.sum()) < 1)
        left = left - drawn
    together = np.concatenate(list(parts.values()))
    assert len(np.unique(together)) == len(together)


def test_equal_classes_stay_equal_to_within_one() -> None:
    labels = np.repeat(np.arange(10), 100)
    for part in stratified_split(labels, 10, {"held_out": 97, "validation": 203, "train": 555}, 0).values():
        drawn = np.bincount(labels[part], minlength=10)
        assert drawn.max() - drawn.min() <= 1


def test_the_held_out_images_are_the_same_whatever_the_other_sizes() -> None:
    labels = np.arange(300) % 7
    small = stratified_split(labels, 7, {"held_out": 50, "validation": 20, "train": 30}, 5)
    large = stratified_split(labels, 7, {"held_out": 50, "validation": 20, "train": 230}, 5)
    shifted = stratified_split(labels, 7, {"held_out": 50, "validation": 90, "train": 30}, 5)
    assert np.array_equal(small["held_out"], large["held_out"]) and np.array_equal(
        small["held_out"], shifted["held_out"]
    )
    assert set(small["train"]) < set(large["train"])


def test_the_head_of_a_split_is_mixed_where_the_source_is_sorted() -> None:
    labels = np.repeat(np.arange(10), 500)
    for part in stratified_split(labels, 10, {"held_out": 1000, "train": 4000}, 0).values():
        assert np.bincount(labels[part[:200]], minlength=10).min() > 5


def test_statistics_of_a_constant_channel_only_centre_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2500, 2, 3, 5), np.uint8)
    pixels[:, 1] = 51
    mean, std = mean_and_deviation(pixels, image(2, 3, 5))
    np.testing.assert_allclose(mean, [pixels[:, 0].mean() / 255, 0.2], rtol=1e-12)
    np.testing.assert_allclose(std, [pixels[:, 0].std() / 255, 1.0], rtol=1e-12)


# Bundled sets


def test_digits_are_those_of_scikit_learn_wherever_their_file_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    module = registry.load("data set", "digits")
    quick = module.load(module.Options(), Path("unused"))
    assert np.array_equal(np.asarray(quick["x"])[:, 0], np.rint(load_digits().images * 255 / 16))
    assert np.array_equal(quick["y"], load_digits().target)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    slow = module.load(module.Options(), Path("unused"))
    assert np.array_equal(quick["x"], slow["x"]) and np.array_equal(quick["y"], slow["y"])


def test_the_job_on_digits_imports_nothing_heavy(tmp_path: Path) -> None:
    spec = DataSpec(Plugin("digits"), 400, 197, None, 0)
    code = (
        "import runpy, sys; sys.argv[0] = sys.argv[1]; del sys.argv[1]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'pydantic', 'polars', 'altair', 'snakemake', 'pandas'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    script = Path(__file__).parent.parent / "scripts" / "data.py"
    arguments = [script, "--spec", spec.to_json(), "--folder", tmp_path / "datasets"]
    for split, path in paths(tmp_path).items():
        arguments += [f"--{split.replace('_', '-')}", path]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
    assert len(read_split(tmp_path / "held_out.parquet")) == 400

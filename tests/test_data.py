"""The data stage: every data set is read, split and written."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_sources import LOCAL, SAMPLES, paths

from infoplane import registry
from infoplane.data.prepare import mean_and_deviation, prepare
from infoplane.data.samples import SPLITS, Samples, Split, read_split
from infoplane.data.stratify import largest_remainder, stratified_split
from infoplane.options import image
from infoplane.specs import DataSpec, Plugin


@pytest.fixture(params=registry.names("data set"))
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Each registered data set, with a small copy to read in ``tmp_path / "datasets"``."""
    name: str = request.param
    module = registry.load("data set", name)
    if name not in LOCAL:
        return Plugin(name)
    options = LOCAL[name](module, tmp_path / "datasets")
    if module.Options(**options).size is not None:
        monkeypatch.setattr(module.Options, "size", SAMPLES)
    if name == "mnist5k":
        monkeypatch.syspath_prepend(tmp_path / "datasets" / "site")
    return Plugin(name, options)


def split_up(spec: DataSpec, tmp_path: Path, to: str = "out") -> dict[str, Split]:
    prepare(spec, tmp_path / "datasets", paths(tmp_path / to))
    return {split: read_split(path) for split, path in paths(tmp_path / to).items()}


# Every data set


def test_options_are_known_without_reading_or_importing(source: Plugin) -> None:
    light = registry.options_class("data set", source.kind)(**source.options)
    real = registry.load("data set", source.kind).Options(**source.options)
    assert {name: one.to_dict() for name, one in light.fields.items()} == {
        name: one.to_dict() for name, one in real.fields.items()
    }
    assert next(iter(light.fields)) == "x" and "y" in light.fields
    assert light.size is None or light.size > 0


def test_splits_are_exact_disjoint_and_faithful(source: Plugin, tmp_path: Path) -> None:
    spec = DataSpec(source, held_out=13, validation=11, train=None, seed=0)
    splits = split_up(spec, tmp_path)
    module = registry.load("data set", source.kind)
    options = module.Options(**source.options)
    images: Samples = module.load(options, tmp_path / "datasets")
    everything = len(images)

    sizes = {name: len(split) for name, split in splits.items()}
    assert sizes == {"train": everything - 24, "validation": 11, "held_out": 13}
    index = np.concatenate([split.index for split in splits.values()])
    assert np.array_equal(np.sort(index), np.arange(everything))
    for name, split in splits.items():
        assert list(split.fields) == list(options.fields)
        for field, declared in options.fields.items():
            assert split[field].dtype == declared.dtype and split[field].shape == (len(split), *declared.shape)
            assert np.array_equal(split[field], images[field][split.index])
            names = images.names.get(field, declared.names)
            assert split.fields[field] == replace(declared, names=names)
        assert split.metadata["name"] == source.kind and split.metadata["split"] == name
        said = split.metadata["source"]
        assert said.startswith(f"{source.kind}: ") and said.endswith("."), (
            f"the source of the images is a sentence that begins with '{source.kind}: ' and ends with a full stop"
        )
        assert DataSpec.from_dict(split.metadata["spec"]) == spec
    for field, declared in options.fields.items():
        if declared.classes is None:
            train = splits["train"].as_read(field)
            over = (0, *(axis + 1 for axis, size in enumerate(declared.statistics) if size == 1))
            if declared.scale == "per_channel":
                np.testing.assert_allclose(train.mean(over), 0, atol=1e-5)
                np.testing.assert_allclose(train.std(over), 1, rtol=1e-5)


def test_a_spec_gives_the_same_bytes_twice_and_another_seed_gives_others(source: Plugin, tmp_path: Path) -> None:
    for to, seed in (("first", 3), ("second", 3), ("other", 4)):
        prepare(DataSpec(source, 13, 11, 30, seed), tmp_path / "datasets", paths(tmp_path / to))
    first, second, other = (
        {s: p.read_bytes() for s, p in paths(tmp_path / to).items()} for to in ("first", "second", "other")
    )
    assert first == second
    assert all(first[split] != other[split] for split in SPLITS)
    drawn = [set(read_split(tmp_path / to / "held_out.parquet").index.tolist()) for to in ("first", "other")]
    assert drawn[0] != drawn[1]


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

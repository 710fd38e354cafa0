"""What is asked of a data set."""

from dataclasses import replace

import numpy as np

from infoplane.data.prepare import prepare
from infoplane.data.samples import SPLITS, Samples, read_split
from infoplane.specs import DataSpec
from infoplane.testing.candidate import Candidate, Rule

HELD_OUT, VALIDATION = 13, 11


def declares_its_fields_without_reading(candidate: Candidate) -> None:
    """Options.fields names x first, and y; Options.size is a number of samples, or None."""
    light = candidate.declared(**candidate.options)
    real = candidate.module.Options(**candidate.options)
    told = [{name: one.to_dict() for name, one in options.fields.items()} for options in (light, real)]
    assert told[0] == told[1]
    assert next(iter(light.fields)) == "x" and "y" in light.fields, "Options.fields names x first, and y"
    assert light.size is None or light.size > 0


def loads_what_it_declares(candidate: Candidate) -> None:
    """Splits are exact and disjoint, hold the fields as they were loaded, and say where samples come from."""
    spec = DataSpec(candidate.plugin, HELD_OUT, VALIDATION, None, seed=0)
    paths = {split: candidate.folder / f"{split}.parquet" for split in SPLITS}
    prepare(spec, candidate.folder, paths)
    splits = {split: read_split(path) for split, path in paths.items()}
    options = candidate.module.Options(**candidate.options)
    loaded: Samples = candidate.module.load(options, candidate.folder)
    total = len(loaded)

    sizes = {name: len(split) for name, split in splits.items()}
    assert sizes == {"train": total - HELD_OUT - VALIDATION, "validation": VALIDATION, "held_out": HELD_OUT}
    index = np.concatenate([split.index for split in splits.values()])
    assert np.array_equal(np.sort(index), np.arange(total)), "load gives the same samples whenever it is called"
    for name, split in splits.items():
        assert list(split.fields) == list(options.fields)
        for field, declared in options.fields.items():
            assert split[field].dtype == declared.dtype and split[field].shape == (len(split), *declared.shape)
            assert np.array_equal(split[field], loaded[field][split.index])
            names = loaded.names.get(field, declared.names)
            assert split.fields[field] == replace(declared, names=names)
        assert split.metadata["name"] == candidate.name and split.metadata["split"] == name
        said = split.metadata["source"]
        assert said.startswith(f"{candidate.name}: ") and said.endswith("."), (
            f"the source of the samples is a sentence that begins with '{candidate.name}: ' and ends with a full stop"
        )
        assert DataSpec.from_dict(split.metadata["spec"]) == spec
    for field, declared in options.fields.items():
        if declared.classes is None and declared.scale == "per_channel":
            train = splits["train"].as_read(field)
            over = (0, *(axis + 1 for axis, size in enumerate(declared.statistics) if size == 1))
            np.testing.assert_allclose(train.mean(over), 0, atol=1e-5)
            np.testing.assert_allclose(train.std(over), 1, rtol=1e-5)


def is_split_by_the_seed_alone(candidate: Candidate) -> None:
    """One spec gives the same files twice, another seed gives others."""
    made, drawn = {}, {}
    for to, seed in (("first", 3), ("second", 3), ("other", 4)):
        paths = {split: candidate.folder / to / f"{split}.parquet" for split in SPLITS}
        prepare(DataSpec(candidate.plugin, HELD_OUT, VALIDATION, 30, seed), candidate.folder, paths)
        made[to] = {split: path.read_bytes() for split, path in paths.items()}
        drawn[to] = set(read_split(paths["held_out"]).index.tolist())
    assert made["first"] == made["second"], "load draws something that differs from call to call: seed it"
    assert all(made["first"][split] != made["other"][split] for split in SPLITS)
    assert drawn["first"] != drawn["other"]


RULES: tuple[Rule, ...] = (declares_its_fields_without_reading, loads_what_it_declares, is_split_by_the_seed_alone)

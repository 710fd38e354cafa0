"""What is asked of a measure family."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from infoplane import registry
from infoplane.activations.dump import dump
from infoplane.data.prepare import prepare
from infoplane.data.samples import SPLITS
from infoplane.measures.job import SCHEMA, measure
from infoplane.measures.subject import Subject
from infoplane.specs import ActivationsSpec, CheckpointSpec, DataSpec, MeasuresSpec, Plugin, TrainingSpec, TrainSpec
from infoplane.storage.parquet import read_rows
from infoplane.storage.tensors import TensorWriter
from infoplane.testing.candidate import Candidate, Rule
from infoplane.training.run import train

CPU = torch.device("cpu")
N = 60
UNITS = ("nmse", "nats", "bits", "share", "1")
SITES = {"stem.z": (2, 3), "block1.s": (2, 3), "block1.f": (5,), "block1.z": (5,)}
"""Column -> shape of one sample's activation, in the made-up run."""


def splits(folder: Path) -> dict[str, Path]:
    """Split the digits into 300 training, 60 validation and 60 held-out images."""
    paths = {split: folder / f"{split}.parquet" for split in SPLITS}
    prepare(DataSpec(Plugin("digits"), held_out=N, validation=N, train=300, seed=0), folder, paths)
    return paths


def made_up(path: Path, n: int = N, steps: tuple[int, ...] = (0, 4), **metadata: Any) -> Path:
    """Write activations of a run that never was: the shortcut is the stem, and the branch overflows at the last step.

    metadata: what the file says in place of what it would, such as ``status="diverged"``.
    """
    sites = [
        {"name": column.split(".")[0], "part": column.split(".")[1], "depth": depth, "column": column}
        | {"shape": list(shape), "stored_shape": list(shape), "projection": None}
        for depth, (column, shape) in enumerate(SITES.items())
    ]
    about = {"steps": list(steps), "epochs": [step / 8 for step in steps], "sites": sites}
    about |= {"status": "finished", "diverged_at": None} | metadata
    rng = np.random.default_rng(0)
    columns = {name: (shape, "float16") for name, shape in SITES.items()}
    with TensorWriter(path, {"step": "int32", "sample": "int32"}, columns, about) as writer:
        for step in steps:
            arrays = {name: rng.normal(size=(n, *shape)).astype(np.float16) for name, shape in SITES.items()}
            arrays["block1.s"] = arrays["stem.z"]
            if step == steps[-1]:
                arrays["block1.f"][0, 0] = np.inf
            for rows in (slice(0, n // 2), slice(n // 2, n)):
                samples = np.arange(n, dtype=np.int32)[rows]
                keys = {"step": np.full(len(samples), step, np.int32), "sample": samples}
                writer.write(keys, {name: array[rows] for name, array in arrays.items()})
    return path


def learned(folder: Path) -> Subject:
    """Train a small network on the digits for a few steps, and read its activations."""
    paths = splits(folder)
    checkpoints = CheckpointSpec(log=2, log_until=4, linear=1)
    training = TrainingSpec(12, 32, "sgd", 0.05, 0.9, 0.0, "constant", 0, 6, "float32", checkpoints)
    task = Plugin("classification", {"x": "x", "y": "y", "label_noise": 0.0})
    run = TrainSpec(Plugin("mlp", {"width": 16, "blocks": 2}), Plugin("identity"), task, training, 0)
    weights, activations = folder / "checkpoints.safetensors", folder / "activations.parquet"
    train(run, paths["train"], paths["validation"], weights, folder / "history.parquet", folder / "state", CPU)
    read = ActivationsSpec(sites=["*"], dtype="float32", pool={}, project={}, recalibration=0, seed=0)
    dump(read, weights, paths["train"], paths["held_out"], activations, CPU)
    return Subject(paths["held_out"], CPU, activations, weights, paths["train"])


def measured(candidate: Candidate, subject: Subject, to: str = "measures.parquet") -> Path:
    """Write what the family measures of a run."""
    labels = {"architecture": "mlp", "shortcut": "identity", "seed": 3, "family": candidate.name}
    output = candidate.folder / to
    measure(MeasuresSpec(candidate.plugin), subject, output, labels)
    return output


def smallest(candidate: Candidate) -> Subject:
    """Give the family a made-up run that diverged, or a trained one where it reads more than activations."""
    if registry.reads("measure", candidate.name) != ("activations",):
        return learned(candidate.folder)
    activations = made_up(candidate.folder / "made_up.parquet", status="diverged", diverged_at=7)
    return Subject(splits(candidate.folder)["held_out"], CPU, activations)


def writes_one_tidy_file(candidate: Candidate) -> None:
    """One row for each measure, site and checkpoint: a known unit, and a finite value or a note that says why not."""
    output = measured(candidate, smallest(candidate))
    table, about = read_rows(output)
    assert table.schema.remove_metadata() == SCHEMA
    assert about["spec"] == {"family": candidate.plugin.to_dict()}
    assert (about["device"], about["versions"]["torch"]) == ("cpu", torch.__version__)
    frame = pl.read_parquet(output)
    assert frame.height > 0, "nothing was measured"
    assert set(frame["family"]) == {candidate.name} and set(frame["seed"]) == {3}
    rows = frame.select("step", "site", "part", "measure")
    assert rows.is_unique().all(), "two rows have the same step, site, part and measure"
    unlike = set(frame["unit"]) - set(UNITS)
    assert not unlike, f"unit {', '.join(map(repr, unlike))}: expected one of {', '.join(UNITS)}"
    assert frame.filter(pl.col("value").is_not_null())["value"].is_finite().all(), "a value is NaN or infinite"
    silent = frame.filter(pl.col("value").is_null() & (pl.col("note") == ""))
    assert silent.is_empty(), "a value is None, and no note says why"
    if about["status"] == "diverged":
        assert about["diverged_at"] == 7
        assert set(frame["step"]) == {0, 4} and set(frame["epoch"]) == {0.0, 0.5}
        assert set(frame["n"]) == {N}, "Estimate.n is the number of samples"
        bad = frame.filter(pl.col("site") == "block1", pl.col("part") == "f", pl.col("step") == 4)
        assert bad["value"].is_null().all() and bad["note"].str.contains("non-finite").all(), (
            "where an activation has NaN or infinity, value is None and the note contains non-finite"
        )


def gives_the_same_twice(candidate: Candidate) -> None:
    """The same run gives the same bytes: whatever is drawn has a seed."""
    subject = smallest(candidate)
    first, second = (measured(candidate, subject, f"{index}.parquet").read_bytes() for index in (1, 2))
    assert first == second


RULES: tuple[Rule, ...] = (writes_one_tidy_file, gives_the_same_twice)

"""Reconstructions and histograms of a run: left out, counted in full, and planned by the workflow."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infoplane.activations.file import Site
from infoplane.charts import frames
from infoplane.data.samples import Split, read_split
from infoplane.measures import histograms, reconstruction
from infoplane.measures.decoding.gram import rbf
from infoplane.measures.decoding.views import WholeGram
from infoplane.measures.families import kernel
from infoplane.measures.subject import Subject
from infoplane.measures.targets import Targets, prepare
from infoplane.specs import HistogramsSpec, ReconstructionsSpec
from infoplane.storage.parquet import read_rows
from infoplane.storage.tensors import TensorWriter

CPU = torch.device("cpu")
RUN = {"architecture": "resnet", "shortcut": "identity", "seed": 0}
STEPS = (0, 3, 40)
SPEC = ReconstructionsSpec(images=4, checkpoints=3, decoder={})


def targets(n: int = 24, side: int = 3, seed: int = 0) -> Targets:
    rng = np.random.default_rng(seed)
    return prepare(rng.normal(size=(n, 1, side, side)), np.arange(n) % 3, CPU)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


def decoded(z: torch.Tensor, of: Targets, options: kernel.Options | None = None) -> torch.Tensor:
    options = options or kernel.Options()
    return reconstruction.reconstruct(z, of, reconstruction.zx(z, of, options), options)


# --- reconstructions: functions


@pytest.mark.parametrize("features", [4, 90])
def test_no_decoder_has_seen_what_it_draws(features: int) -> None:
    """Equal to kernel ridge regression with an unpenalised intercept, solved again without each sample."""
    of = targets()
    x = of.x.given.flatten(1).double()
    z = torch.cat([x, noise(of.n, features)], 1)
    chosen = reconstruction.zx(z, of, kernel.Options(bandwidths=(1.0,)))
    chosen = replace(chosen, bandwidth=1.0, ridge=0.05)
    found = reconstruction.reconstruct(z, of, chosen, kernel.Options())
    view = WholeGram(z)
    matrix = rbf(view._distances, 1.0 * view._median)
    for left_out in range(of.n):
        rest = [i for i in range(of.n) if i != left_out]
        system = torch.ones(of.n, of.n, dtype=torch.float64)
        system[:-1, :-1] = matrix[rest][:, rest] + 0.05 * torch.eye(of.n - 1, dtype=torch.float64)
        system[-1, -1] = 0
        solved = torch.linalg.solve(system, torch.cat([x[rest], x.new_zeros(1, x.shape[1])]))
        refit = matrix[left_out, rest] @ solved[:-1] + solved[-1]
        torch.testing.assert_close(found[left_out], refit, rtol=1e-9, atol=1e-9)


def test_more_samples_than_a_gram_matrix_serves() -> None:
    """With landmarks, the error of the pictures is the Z-X that was chosen by."""
    of = targets(n=80)
    z = torch.cat([of.x.given.flatten(1).double(), noise(of.n, 5)], 1)
    options = kernel.Options(exact_up_to=60, landmarks=30, screen=20)
    chosen = reconstruction.zx(z, of, options)
    x = of.x.given.flatten(1).double()
    error = (x - decoded(z, of, options)).square().sum()
    assert "landmarks" in chosen.detail and chosen.value is not None
    assert float(error / reconstruction.constant_losses(x).sum()) == pytest.approx(chosen.value, rel=1e-6)


def test_a_representation_that_is_the_input_gives_it_back() -> None:
    of = targets(n=200)
    x = of.x.given.flatten(1).double()
    assert float((decoded(of.x.given, of) - x).square().mean()) < 1e-4 * float(x.var())


def test_independent_noise_gives_about_the_mean_image() -> None:
    of = targets(n=200)
    x = of.x.given.flatten(1).double()
    found = decoded(noise(of.n, 400), of)
    assert float((found - x.mean(0)).square().mean()) < 0.05 * float(x.var())


def test_activations_that_do_not_vary_give_the_mean_of_the_others() -> None:
    of = targets()
    x = of.x.given.flatten(1).double()
    others = (x.sum(0) - x) / (of.n - 1)
    torch.testing.assert_close(decoded(torch.ones(of.n, 5), of), others)


def test_the_decoder_is_the_kernel_familys() -> None:
    of = targets(n=200)
    z = torch.cat([of.x.given.flatten(1).double()[:, :4], noise(of.n, 7)], 1)
    options = kernel.Options(screen=60)
    family = kernel.estimate(z, of, options)[0]
    ours = reconstruction.zx(z, of, options)
    assert (ours.value, ours.ridge, ours.bandwidth) == (family.value, family.ridge, family.bandwidth)


def test_pixels_are_the_inverse_of_the_network_input(splits: dict[str, Path]) -> None:
    held_out = read_split(splits["held_out"])
    inputs = held_out.as_read("x")
    assert (reconstruction.to_pixels(inputs.reshape(len(inputs), -1), held_out) == held_out["x"]).all()
    assert set(np.unique(reconstruction.to_pixels(100 * inputs.reshape(len(inputs), -1), held_out))) <= {0, 255}


def test_images_are_chosen_class_by_class() -> None:
    labels = np.array([2, 2, 0, 1, 0, 2, 1])
    assert reconstruction.pick(labels, 2).tolist() == [2, 3]
    assert reconstruction.pick(labels, 5).tolist() == [2, 3, 0, 4, 6]
    assert reconstruction.pick(labels, 99).tolist() == [2, 3, 0, 4, 6, 1, 5]


def test_the_telling_checkpoints() -> None:
    values = {0: 0.5, 1: 0.4, 10: 0.2, 100: 0.3, 1000: 0.6}
    assert reconstruction.telling(values, 2) == [0, 1000]
    assert reconstruction.telling(values, 3) == [0, 10, 1000]
    assert reconstruction.telling(values, 4) == [0, 10, 100, 1000]
    assert reconstruction.telling(values, 9) == [0, 1, 10, 100, 1000]
    assert reconstruction.telling({0: 0.1, 1: 0.2, 10: 0.3, 1000: 0.4}, 3) == [0, 10, 1000]
    assert reconstruction.telling({7: 0.1}, 4) == [7] and reconstruction.telling({}, 4) == []


@pytest.mark.parametrize(
    "names",
    [
        ("stem", "block1", "block2", "readout", "logits"),
        ("stem", "block1_attention", "block1_mlp", "readout", "logits"),
        ("block1", "logits"),
        ("logits",),
    ],
)
def test_the_last_block_is_the_one_of_the_charts(names: tuple[str, ...]) -> None:
    sites = [
        Site(name, part, depth, f"{name}.{part}", (1,), (1,), None) for depth, name in enumerate(names) for part in "fz"
    ]
    found = reconstruction.last_block(sites)
    assert (found.name, found.part) == (frames.last_block(names), "z")
    assert reconstruction.last_block(sites[:1]).part == "f"


def test_no_more_checkpoints_are_tried_than_tell_something() -> None:
    found = reconstruction.far_apart(range(0, 30001, 6), reconstruction.TRIED)
    assert len(found) == reconstruction.TRIED and found[0] == 0 and found[-1] == 30000
    ratios = [(1 + b) / (1 + a) for a, b in itertools.pairwise(found[5:])]
    assert max(ratios) < 1.9 * min(ratios)  # log-spaced


# --- reconstructions: a run's file


def write_activations(
    path: Path, values: dict[str, list[np.ndarray]], steps: tuple[int, ...] = STEPS, status: str = "finished"
) -> Path:
    """Activations of an invented run. values: column -> one array of shape (n, ...) for every step."""
    sites = [
        {
            "name": column.split(".")[0],
            "part": column.split(".")[1],
            "depth": depth,
            "column": column,
            "shape": list(arrays[0].shape[1:]),
            "stored_shape": list(arrays[0].shape[1:]),
            "projection": None,
        }
        for depth, (column, arrays) in enumerate(values.items())
    ]
    about = {"steps": list(steps), "epochs": [step / 4 for step in steps], "sites": sites}
    about |= {"status": status, "diverged_at": 41 if status == "diverged" else None}
    tensors = {column: (arrays[0].shape[1:], "float32") for column, arrays in values.items()}
    with TensorWriter(path, {"step": "int32", "sample": "int32"}, tensors, about) as writer:
        for index, step in enumerate(steps):
            n = len(next(iter(values.values()))[index])
            keys = {"step": np.full(n, step, np.int32), "sample": np.arange(n, dtype=np.int32)}
            writer.write(keys, {column: arrays[index].astype(np.float32) for column, arrays in values.items()})
    return path


@pytest.fixture
def held_out(splits: dict[str, Path]) -> Split:
    return read_split(splits["held_out"])


def blurred(held_out: Split, sizes: tuple[float, ...] = (1.0, 0.1, 3.0)) -> list[np.ndarray]:
    """The input behind noise of a size of its own at every step."""
    inputs = held_out.as_read("x")
    rng = np.random.default_rng(5)
    return [inputs + size * rng.normal(size=inputs.shape) for size in sizes]


def subject(splits: dict[str, Path], activations: Path) -> Subject:
    return Subject(splits["held_out"], CPU, activations)


def test_a_runs_reconstructions(splits: dict[str, Path], held_out: Split, tmp_path: Path) -> None:
    z = blurred(held_out)
    run = subject(splits, write_activations(tmp_path / "a.parquet", {"block1.z": z, "logits.z": z[::-1]}))
    reconstruction.write(replace(SPEC, images=len(held_out["y"])), run, tmp_path / "r.parquet", RUN)
    table, about = read_rows(tmp_path / "r.parquet")
    assert table.schema.remove_metadata() == reconstruction.SCHEMA
    rows = pl.DataFrame(table)
    assert rows["step"].unique(maintain_order=True).to_list() == [0, 3, 40] and set(rows["site"]) == {"block1"}
    assert about | RUN == about and about["site"] == "block1.z" and about["shape"] == [1, 8, 8]
    assert about["spec"] == {"images": 60, "checkpoints": 3, "decoder": {}}
    # the mean over all images is the site's value, and the least noise gives the least
    means = rows.group_by("step", maintain_order=True).agg(pl.col("nmse").mean(), pl.col("zx").first())
    assert means["nmse"].to_list() == pytest.approx(means["zx"].to_list(), rel=1e-6)
    assert means["zx"].arg_min() == 1 and means["zx"].to_list() == about["zx"]["values"]
    for row in rows.filter(step=3).to_dicts():
        assert row["original"] == held_out["x"][row["image"]].ravel().tolist()
        assert (row["label"], row["index"]) == (held_out["y"][row["image"]], held_out.index[row["image"]])
        apart = np.abs(np.array(row["original"], float) - row["reconstruction"])
        assert apart.mean() < 30  # of 255, behind noise of a tenth
    reconstruction.write(replace(SPEC, images=60), run, tmp_path / "again.parquet", RUN)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "r.parquet").read_bytes()


def test_reconstructions_of_a_run_that_diverged(splits: dict[str, Path], held_out: Split, tmp_path: Path) -> None:
    z = blurred(held_out)
    z[2][0] = np.inf
    one = write_activations(tmp_path / "a.parquet", {"block1.z": z}, status="diverged")
    reconstruction.write(SPEC, subject(splits, one), tmp_path / "r.parquet", RUN)
    table, about = read_rows(tmp_path / "r.parquet")
    assert set(table["step"].to_pylist()) == {0, 3} and about["zx"]["values"][2] is None
    assert (about["status"], about["diverged_at"]) == ("diverged", 41)
    never = [np.full_like(z[0], np.nan)]
    none = write_activations(tmp_path / "n.parquet", {"block1.z": never}, (0,), status="diverged")
    reconstruction.write(SPEC, subject(splits, none), tmp_path / "none.parquet", RUN)
    assert read_rows(tmp_path / "none.parquet")[0].num_rows == 0


# --- histograms


def test_every_value_is_counted_once(splits: dict[str, Path], held_out: Split, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    n = len(held_out["y"])
    wide = [np.maximum(0, rng.normal(0, 1 + index, (n, 5, 2))) for index in range(3)]
    bounded = [np.tanh(rng.normal(0, 1 + index, (n, 4))) for index in range(3)]
    constant = [np.full((n, 3), 2.0) for _ in range(3)]
    values = {"block1.z": wide, "block1.f": wide, "block2.z": bounded, "block3.z": constant}
    run = subject(splits, write_activations(tmp_path / "a.parquet", values))
    histograms.write(HistogramsSpec(bins=20, checkpoints=8), run, tmp_path / "h.parquet", RUN)
    table, about = read_rows(tmp_path / "h.parquet")
    assert table.schema.remove_metadata() == histograms.SCHEMA and about | RUN == about
    rows = pl.DataFrame(table)
    assert rows.select("site", "part", "step").rows() == [
        (site, "z", step) for site in ("block1", "block2", "block3") for step in STEPS
    ]
    for row in rows.to_dicts():
        z = values[f"{row['site']}.z"][STEPS.index(row["step"])].astype(np.float32)
        assert sum(row["counts"]) + row["below"] + row["above"] == z.size and row["not_finite"] == 0
        expected = np.histogram(z.astype(float), bins=20, range=(row["low"], row["high"]))[0]
        assert row["counts"] == expected.tolist()
        assert (row["below"], row["above"]) == ((z < row["low"]).sum(), (z > row["high"]).sum())
        assert row["below"] + row["above"] <= 2 * histograms.TAIL * z.size
        assert row["zeros"] == (z == 0).sum()
        assert (row["mean"], row["deviation"]) == pytest.approx((z.mean(), z.std()), rel=1e-5, abs=1e-7)
        saturated = (np.abs(z) > 0.99).mean() if row["site"] == "block2" else None
        assert row["saturated"] == (pytest.approx(saturated) if saturated is not None else None)
    assert rows.filter(site="block1").select("low", "high").unique().height == 1
    assert (rows.filter(site="block1")["zeros"] > 200).all()
    assert rows.filter(site="block3").select("low", "high").row(0) == (1.5, 2.5)


def test_histograms_of_a_run_that_diverged(splits: dict[str, Path], held_out: Split, tmp_path: Path) -> None:
    z = blurred(held_out)
    z[2][:, 0, 0, :4] = np.nan
    lost = [one * np.nan for one in z]
    one = write_activations(tmp_path / "a.parquet", {"block1.z": z, "block2.z": lost}, status="diverged")
    histograms.write(HistogramsSpec(8, 2), subject(splits, one), tmp_path / "h.parquet", RUN)
    table, about = read_rows(tmp_path / "h.parquet")
    rows = table.to_pylist()
    assert about["status"] == "diverged" and [row["step"] for row in rows] == [0, 40, 0, 40]
    assert [row["not_finite"] for row in rows] == [0, 240, 60 * 64, 60 * 64]
    assert [row["mean"] is None for row in rows] == [False, True, True, True]
    for row in rows:
        assert sum(row["counts"]) + row["below"] + row["above"] + row["not_finite"] == 60 * 64


def test_checkpoints_are_evenly_chosen() -> None:
    assert histograms.evenly([0, 1, 2, 5, 10, 20, 50], 3) == [0, 5, 50]
    assert histograms.evenly([0, 1], 8) == [0, 1]

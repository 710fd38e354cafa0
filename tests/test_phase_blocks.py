"""How additions compress: every verdict on planted activations, on made-up rows, and where nothing may be claimed."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infoplane.measures.families import anatomy, linear
from infoplane.measures.targets import prepare
from infoplane.phases.blocks import blocks
from infoplane.phases.results import BLOCKS
from infoplane.tables import MEASURES

N = 300
CPU = torch.device("cpu")
COLUMNS = MEASURES | {"status": pl.String}
KEYS = {"architecture": "resnet", "shortcut": "identity", "site": "block1", "depth": 1, "family": "anatomy"}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    common = dict.fromkeys(COLUMNS) | KEYS | {"seed": 0, "step": 640, "status": "finished", "n": N, "note": ""}
    return pl.DataFrame([common | row for row in rows], schema=COLUMNS)


def measured(x: Tensor, s: Tensor, f: Tensor, z: Tensor, **place: Any) -> list[dict[str, Any]]:
    """What the families really say of arrays of shape (n, ...), as rows."""
    targets = prepare(x.numpy(), np.arange(len(x)) % 2, CPU)
    found = [(p, e) for p, v in (("s", s), ("f", f), ("z", z)) for e in linear.estimate(v, targets, linear.Options())]
    found += list(anatomy.relations(s, f, z, targets, anatomy.Options(scales=(0.0, 0.5))))
    names = ("measure", "value", "stderr", "note", "detail", "n")
    return [{name: getattr(e, name) for name in names} | {"part": part} | place for part, e in found]


def only(frame: pl.DataFrame) -> dict[str, Any]:
    assert frame.height == 1 and frame.schema == pl.Schema(BLOCKS)
    return frame.to_dicts()[0]


# Planted activations


def cancelling(seed: int) -> tuple[Tensor, ...]:
    x = normal(N, 4, seed=seed)
    s = torch.cat([x, torch.zeros(N, 4)], 1)
    f = -0.97 * s + 0.2 * normal(N, 8, seed=seed + 100)
    return x, s, f, s + f


def cancelling_exactly(seed: int) -> tuple[Tensor, ...]:
    x = s = normal(N, 4, seed=seed)
    return x, s, -s, s - s


def outweighing(seed: int) -> tuple[Tensor, ...]:
    x = s = normal(N, 8, seed=seed)
    f = 10 * normal(N, 8, seed=seed + 100)
    return x, s, f, s + f


def outweighing_what_it_points_against(seed: int) -> tuple[Tensor, ...]:
    """The branch takes a little of s away, but it is what it adds that drowns the rest."""
    x = s = normal(N, 8, seed=seed)
    f = -0.4 * s + 6 * normal(N, 8, seed=seed + 100)
    return x, s, f, s + f


def normed_away(seed: int) -> tuple[Tensor, ...]:
    """X is the length of s, along one direction; a layer norm after the sum forgets lengths."""
    x = normal(N, 1, seed=seed).exp()
    s = x * torch.tensor([1.0, 2.0, 3.0, -4.0, -2.0, 0.5, 1.5, -2.0])
    f = 0.05 * normal(N, 8, seed=seed + 100)
    return x, s, f, F.layer_norm(s + f, (8,))


def normed_away_without_a_branch(seed: int) -> tuple[Tensor, ...]:
    x, s, _, _ = normed_away(seed)
    return x, s, torch.zeros_like(s), F.layer_norm(s, (8,))


def small(seed: int) -> tuple[Tensor, ...]:
    x = s = normal(N, 8, seed=seed)
    f = 0.05 * normal(N, 8, seed=seed + 100)
    return x, s, f, s + f


def helpful(seed: int) -> tuple[Tensor, ...]:
    """The branch brings what the shortcut lacks."""
    x = normal(N, 8, seed=seed)
    s, f = x.clone(), x.clone()
    s[:, 4:], f[:, :4] = 0, 0
    return x, s, f, s + f


PLANTED = [
    (cancelling, "cancelling"),
    (cancelling_exactly, "cancelling"),
    (outweighing, "out-weighing"),
    (outweighing_what_it_points_against, "out-weighing"),
    (normed_away, "norm or pooling"),
    (normed_away_without_a_branch, "norm or pooling"),
    (small, "none"),
    (helpful, "none"),
]


@pytest.mark.parametrize(("planted", "verdict"), PLANTED)
@pytest.mark.parametrize("seeds", [1, 3])
def test_planted_mechanisms(planted: Any, verdict: str, seeds: int) -> None:
    rows = [row for seed in range(seeds) for row in measured(*planted(seed), seed=seed)]
    found = only(blocks(table(rows)))
    assert found["verdict"] == verdict, found
    assert found["confidence"] > 0.9 and found["note"] in ("", "s or f is zero", "constant sum")
    assert found["seeds"] == seeds and found["basis"] == ("samples" if seeds == 1 else "samples and seeds")
    assert found["compression_low"] <= found["compression"] <= found["compression_high"]
    assert f"of z {found['zx_z']:.3f}" in found["evidence"] and found["evidence"].endswith(".")


def test_cancelling_tells_its_numbers() -> None:
    found = only(blocks(table(measured(*cancelling(0)))))
    assert found["regression"] == pytest.approx(-0.97, abs=0.02) and found["regression_low"] is None
    assert found["cross_share"] < -10 and found["cosine"] < -0.9
    assert found["cosine_low"] < found["cosine"] < found["cosine_high"]
    assert found["recovered"] > 0.9 * found["lost_in_sum"] > 0.7
    assert "coefficient of f on s −0.967" in found["evidence"] and "disappears" in found["evidence"]


def test_folds_see_fewer_samples_but_that_is_no_loss() -> None:
    """With hardly more samples than dimensions folds do worse than leave-one-out, of s and of s + f alike."""
    x = normal(60, 10)
    s = torch.cat([x, normal(60, 25, seed=1)], 1) + 0.3 * normal(60, 35, seed=2)
    rows = measured(x, s, 0.01 * normal(60, 35, seed=3), s + 0.01 * normal(60, 35, seed=3))
    value = {(row["part"], row["measure"]): row["value"] for row in rows}
    assert value["z", "zx_intact"] > value["z", "zx"] + 0.02
    assert only(blocks(table(rows)))["verdict"] == "none"


# Made-up rows


def made(
    seed: int = 0,
    s: float = 0.1,
    z: float = 0.4,
    intact: float = 0.45,
    removed: float = 0.12,
    without: float = 0.45,
    against: float = 0.0,
    ratio: float = 3.0,
    stderr: float | None = 0.01,
    equal: bool = True,
    **place: Any,
) -> list[dict[str, Any]]:
    """One addition at one checkpoint, by default one whose branch out-weighs the shortcut."""
    values = {
        ("s", "zx"): s,
        ("z", "zx"): z,
        ("f", "zx"): 0.9,
        ("z", "zx_intact"): intact,
        ("z", "zx_branch_x0_refitted"): removed,
        ("z", "zx_without_antiparallel_refitted"): without,
        ("f", "regression_f_on_s"): against,
        ("f", "cosine"): against / 2,
        ("f", "branch_ratio"): ratio**0.5,
        ("z", "variance_share_s"): 1.0,
        ("z", "variance_share_f"): ratio,
        ("z", "variance_share_cross"): 2 * against,
    }
    detail = f'{{"z_equals_s_plus_f":{str(equal).lower()}}}'
    return [
        {"part": part, "measure": name, "value": value, "seed": seed, "detail": detail}
        | {"stderr": stderr if name.startswith("zx") else None}
        | place
        for (part, name), value in values.items()
    ]


@pytest.mark.parametrize(
    ("shape", "verdict", "note"),
    [
        ({}, "out-weighing", ""),
        ({"against": -0.9, "without": 0.15}, "cancelling", ""),
        ({"intact": 0.14, "equal": False}, "norm or pooling", ""),
        ({"z": 0.105}, "none", ""),
        ({"z": 0.03}, "none", ""),
        ({"z": 0.12}, None, "its interval is not"),
        ({"ratio": 0.01}, None, "neither the test of cancelling"),
        ({"without": 0.2}, None, "neither the test of cancelling"),
        ({"intact": 0.14, "equal": True}, "out-weighing", ""),
    ],
)
def test_made_up_rows(shape: dict[str, Any], verdict: str | None, note: str) -> None:
    found = only(blocks(table(made(**shape))))
    assert (found["verdict"], found["confidence"] is None) == (verdict, verdict is None), found
    assert note in found["note"] and bool(found["note"]) == bool(note)


def test_evidence_that_is_divided_lowers_the_confidence() -> None:
    sure = only(blocks(table(made(against=-0.9, without=0.15))))
    weak = only(blocks(table(made(against=-0.9, without=0.275, stderr=0.02))))
    assert sure["confidence"] > 0.99 and weak["verdict"] == "cancelling" and 0.5 < weak["confidence"] < 0.8
    torn = [row for seed, against in enumerate((-0.6, -0.6, 0.25)) for row in made(seed, against=against, without=0.2)]
    found = only(blocks(table(torn)))
    assert found["verdict"] is None or found["confidence"] < 0.7


@pytest.mark.parametrize(
    ("shape", "verdict", "note"),
    [
        ({}, "out-weighing", "without counterfactuals"),
        ({"against": -0.6}, None, "it is not known how"),
        ({"equal": False}, None, "in the sum or after it"),
        ({"ratio": 0.01}, None, "it is not known how"),
        ({"z": 0.1}, "none", ""),
    ],
)
def test_without_counterfactuals(shape: dict[str, Any], verdict: str | None, note: str) -> None:
    """Where z is s + f, geometry can say that f does not cancel; it can never say that it does."""
    geometry = [row for row in made(**shape) if not row["measure"].startswith("zx_")]
    found = only(blocks(table(geometry)))
    assert found["verdict"] == verdict and note in found["note"] and bool(note) == bool(found["note"])


def test_geometry_that_was_not_measured() -> None:
    found = only(blocks(table([row for row in made() if row["measure"].startswith("zx")])))
    assert found["verdict"] is None and "how f relates to s was not measured" in found["note"]


def test_a_small_branch_may_cost_little_but_not_much() -> None:
    """Independent noise of a tenth of the variance of s adds 0.09 to Z-X."""
    small = only(blocks(table(made(z=0.18, intact=0.2, without=0.2, ratio=0.1))))
    assert small["verdict"] == "out-weighing"
    assert only(blocks(table(made(z=0.4, ratio=0.1))))["verdict"] is None


def test_no_shortcut_is_nothing_to_judge() -> None:
    rows = [row | {"shortcut": "none"} for row in made() if row["part"] != "s" and row["measure"] == "zx"]
    found = blocks(table(made() + rows)).filter(pl.col("shortcut") == "none").to_dicts()[0]
    assert (found["verdict"], found["note"], found["compression"], found["zx_z"]) == (None, "no shortcut", None, 0.4)


def test_the_last_checkpoint_decides_and_the_first_is_told() -> None:
    rows = made(step=0, z=0.11) + made(step=20, z=0.9, against=-1) + made(step=640)
    found = only(blocks(table(rows)))
    assert (found["verdict"], found["step"], found["first_step"]) == ("out-weighing", 640, 0)
    assert found["first_compression"] == pytest.approx(0.01) and "at step 0 +0.010" in found["evidence"]


def test_diverged_runs_count_only_where_none_finished() -> None:
    bad = made(seed=1, step=20, z=0.9, status="diverged")
    assert only(blocks(table(made() + bad)))["seeds"] == 1
    alone = only(blocks(table(bad + [row | {"step": 40, "value": math.nan} for row in bad])))
    assert alone["step"] == 20 and alone["compression"] == pytest.approx(0.8)


def test_tables_without_anatomy() -> None:
    plain = table(made()).with_columns(pl.lit("zx").alias("measure"), pl.lit("kernel").alias("family"))
    assert blocks(plain).is_empty() and blocks(plain).schema == pl.Schema(BLOCKS)
    assert blocks(pl.DataFrame({"run": ["a"], "zx": [0.5]})).schema == pl.Schema(BLOCKS)
    missing = [{"architecture": "vit", "site": None, "step": None, "status": "missing"}]
    assert set(blocks(table(made() + missing))["architecture"]) == {"resnet"}


def test_two_labels_of_the_family_are_judged_each() -> None:
    other = [row | {"family": "decoder"} for row in made(z=0.1)]
    found = blocks(table(made() + other)).select("family", "verdict").sort("family")
    assert found.rows() == [("anatomy", "out-weighing"), ("decoder", "none")]


def test_what_does_not_compress_is_rarely_said_to() -> None:
    """200 additions at the margin, three seeds, whose errors are as large as they are said to be."""
    random = np.random.default_rng(1)
    rows = [
        row
        for site in range(200)
        for seed, error in enumerate(random.normal(0, 0.01, 3) + random.normal(0, 0.01))
        for row in made(seed, s=0.1, z=0.11 + error, stderr=0.01 / math.sqrt(2), site=f"block{site}")
    ]
    verdicts = blocks(table(rows))["verdict"].to_list()
    assert len(verdicts) == 200 and sum(v not in ("none", None) for v in verdicts) <= 10


def test_order_of_rows_changes_nothing() -> None:
    frame = table([row for seed in range(3) for row in made(seed, z=0.4 + 0.01 * seed)])
    assert blocks(frame).equals(blocks(frame.sample(fraction=1, shuffle=True, seed=0)))

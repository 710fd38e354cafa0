"""Every chart of the registry on made-up results: whole, partial, diverged, tiny, deep and empty."""

import json
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from infoplane import registry
from infoplane.charts import render, scales, theme
from infoplane.charts.frames import Tables, curves, scores, spread
from infoplane.phases.curves import last_block
from infoplane.testing import results as synthetic

CHARTS = registry.names("chart")
QUICK = {"resamples": 100, "nulls": 5}

SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "tiny": {"architectures": ("resnet",), "shortcuts": ("identity",), "seeds": 1, "blocks": 1, "checkpoints": 2},
    "deep": {"architectures": ("resnet",), "shortcuts": ("identity", "none"), "seeds": 3, "blocks": 30},
    "one step": {"architectures": ("resnet",), "shortcuts": ("none",), "seeds": 1, "checkpoints": 1},
    "all diverged": {
        "architectures": ("resnet",),
        "shortcuts": ("none",),
        "seeds": 1,
        "diverged": ("resnet", "none", 0),
    },
    "linear only": {"families": ("linear",), "checkpoints": 4, "blocks": 1},
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.analysed(synthetic.made(tmp_path_factory.mktemp("experiment")), **QUICK)


@pytest.fixture(scope="module")
def specs(tables: Tables) -> dict[str, dict[str, Any]]:
    return {name: render.spec(name, {}, tables) for name in CHARTS}


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in spec["datasets"].values() for row in rows]


def words(spec: dict[str, Any]) -> str:
    return json.dumps(spec, ensure_ascii=False)


# ---- every chart ----


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tables]:
    """One shape after the other, and its tables with their phases."""
    made = synthetic.made(tmp_path_factory.mktemp("shape"), **SHAPES[request.param])
    return request.param, synthetic.analysed(made, **QUICK)


@pytest.mark.parametrize("name", CHARTS)
def test_every_shape_is_drawn(name: str, shaped: tuple[str, Tables], tmp_path: Path) -> None:
    shape, found = shaped
    spec = render.spec(name, {}, found)
    render.save(spec, None, tmp_path / "chart.svg", None, None)
    picture = ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert picture.tag.endswith("svg")
    assert 250 < float(picture.attrib["width"]) < 1400
    drawn = (tmp_path / "chart.svg").read_text()
    assert "NaN" not in drawn and "undefined" not in drawn and "Infinity" not in drawn
    if registry.reads("chart", name) and shape in ("one step", "all diverged"):
        assert "no phases" in drawn or "nothing" in drawn, "nothing can have moved"
    else:
        assert drawn.count("<path") > 10


@pytest.mark.parametrize("name", CHARTS)
def test_files(name: str, specs: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    outputs = [tmp_path / f"chart.{kind}" for kind in ("html", "svg", "png", "json")]
    render.save(specs[name], *outputs)
    with Image.open(outputs[2]) as picture:
        picture.verify()
    with Image.open(outputs[2]) as picture:
        width = float(ElementTree.parse(outputs[1]).getroot().attrib["width"])
        assert picture.width == pytest.approx(render.PNG_SCALE * width, abs=2)
        assert len(picture.convert("RGB").resize((200, 200)).getcolors(40_000) or []) > 10
    assert json.loads(outputs[3].read_text()) == specs[name]
    assert synthetic.loads(outputs[0]) == []


@pytest.mark.parametrize("name", CHARTS)
def test_specs_stay_small_for_fifty_runs(name: str, tmp_path: Path) -> None:
    shape = {"architectures": ("a", "b"), "shortcuts": ("identity", "none", "gated", "dense", "scaled"), "seeds": 5}
    tables = synthetic.made(tmp_path, **shape, checkpoints=14, blocks=8, families=("kernel",))
    assert len(words(render.spec(name, {}, tables))) < 700_000


# ---- particular charts ----


def test_plane_keeps_the_paths_in_order_of_steps(specs: dict[str, dict[str, Any]]) -> None:
    rows = [row for row in values(specs["information_plane"]) if "next_zx" in row]
    assert rows
    for row, after in pairwise(rows):
        if row["next_zx"] is not None:
            assert (after["site"], after["zx"], after["zy"]) == (row["site"], row["next_zx"], row["next_zy"])
            assert after["step"] > row["step"]


def test_plane_averages_over_seeds(tables: Tables, specs: dict[str, dict[str, Any]]) -> None:
    wanted = (
        tables.measures.filter(
            pl.col("architecture") == "resnet",
            pl.col("shortcut") == "none",
            pl.col("family") == "kernel",
            pl.col("site") == "block5",
            pl.col("part") == "z",
            pl.col("measure") == "zx",
            pl.col("step") == 0,
        )["value"]
    ).to_list()
    assert len(wanted) == 2
    mean = sum(wanted) / 2
    assert any(
        row.get("site") == "block5" and row.get("step") == 0 and row["zx"] == pytest.approx(mean, rel=1e-3)
        for row in values(specs["information_plane"])
    )


def test_plane_thins_a_deep_network(tmp_path: Path) -> None:
    tables = synthetic.made(tmp_path, **SHAPES["deep"])
    rows = values(render.spec("information_plane", {"most": 5}, tables))
    assert {row["site"] for row in rows if "site" in row} == {
        "stem",
        "block8",
        "block16",
        "block24",
        "block30",
        "logits",
    }


def test_own_axes(tmp_path: Path) -> None:
    tables = synthetic.made(tmp_path)
    shared, own = (render.spec("information_plane", {"shared_axes": each}, tables) for each in (True, False))

    def ranges(spec: dict[str, Any]) -> set[str]:
        return {json.dumps(layer["encoding"]["x"]["scale"]) for layer in layers(spec) if "x2" in layer["encoding"]}

    assert (len(ranges(shared)), len(ranges(own))) == (2, 5)  # both identities are made alike


def layers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [layer for cell in spec["concat"] for layer in cell.get("layer", [cell])]


def test_label_entropy_is_drawn(specs: dict[str, dict[str, Any]]) -> None:
    for name in ("information_plane", "dynamics"):
        marks = [row for row in values(specs[name]) if row.get("text") == "H(Y)"]
        assert marks and marks[0]["zy"] == pytest.approx(synthetic.LABEL_ENTROPY)


def test_contrast_rings_the_lowest_mean(tables: Tables, specs: dict[str, dict[str, Any]]) -> None:
    found = curves(tables).of("resnet", "projection").filter(pl.col("site") == "block5").sort("zx")
    rings = [layer for layer in layers(specs["contrast"]) if layer["mark"]["type"] == "point"]
    rows = specs["contrast"]["datasets"][rings[0]["data"]["name"]]
    assert {(row["shortcut"], row["step"]) for row in rows} >= {("projection", found["step"][0])}
    assert 0 < found["step"][0] < 640


def test_heat_map_shares_one_scale_per_measure(specs: dict[str, dict[str, Any]]) -> None:
    scales: dict[str, set[str]] = {}
    for cell in specs["heat_map"]["concat"]:
        if "color" in cell["encoding"]:
            colour = cell["encoding"]["color"]
            scales.setdefault(colour["field"], set()).add(json.dumps(colour["scale"]))
    assert {field: len(found) for field, found in scales.items()} == {"zx": 1, "zy": 1}


# ---- what charts are made from ----


def test_step_zero_has_a_place_left_of_the_first_step() -> None:
    steps = scales.Steps([0, 1, 10, 640])
    placed = steps.placed(pl.DataFrame({"step": [0, 1, 640]}))["at"].to_list()
    assert 0 < placed[0] < placed[1] == 1 and placed[2] == 640
    assert steps.ticks[0] == placed[0] and steps.ticks[1:] == [1, 10, 100, 640]
    assert scales.Steps([0]).ticks and scales.Steps([50, 60]).ticks


@pytest.mark.parametrize("kind", ["sqrt", "linear"])
def test_ticks_are_round_apart_and_inside(kind: scales.Kind) -> None:
    for values in ([0.0004, 0.9], [0.3, 0.34], [0.0, 0.0], [2e-5, 7e-5], [1.5, 40.0]):
        span = scales.Span(kind, pl.Series(values))
        places = [span.share(tick) * 200 for tick in span.ticks(200, 20)]
        assert len(places) >= 2 and places[0] >= -1e-6 and places[-1] <= 200
        assert all(after - before >= 19 for before, after in pairwise(places))
        low, high = span.scale.to_dict()["domain"]
        assert span.share(low) == pytest.approx(0, abs=1e-9) and span.share(high) == pytest.approx(1)
        assert low <= min(values) and max(values) <= high


@pytest.mark.parametrize("value", [0.0, -0.01])
def test_one_value_at_or_below_nothing_has_a_range(value: float) -> None:
    """A heat map's scale has no air, and a table may hold 0 everywhere."""
    span = scales.Span("sqrt", pl.Series([value] * 3), margin=0.0)
    assert span.share(value) == 0 and span.ticks(100, 20)


def test_square_root_spreads_small_values() -> None:
    linear, sqrt = (scales.Span(kind, pl.Series([0.0, 1.0]), margin=0.0) for kind in ("linear", "sqrt"))
    assert (linear.share(0.01), sqrt.share(0.01)) == (pytest.approx(0.01), pytest.approx(0.1))
    assert [span.scale.to_dict()["type"] for span in (linear, sqrt)] == ["linear", "sqrt"]


@pytest.mark.parametrize("name", [name for name in CHARTS if hasattr(registry.options_class("chart", name), "scale")])
def test_linear_scales_on_request(name: str, tables: Tables, specs: dict[str, dict[str, Any]]) -> None:
    linear = render.spec(name, {"scale": "linear"}, tables)
    assert '"sqrt"' in words(specs[name]) and '"sqrt"' not in words(linear)
    told = [" ".join(spec["usermeta"]["notes"]) for spec in (specs[name], linear)]
    assert "square-root scales" in told[0] and "square-root" not in told[1]


def test_diverged_seed_stays_out_of_the_mean_where_another_finished(tables: Tables) -> None:
    pair = curves(tables).of("vit", "none")
    assert pair["seeds"].unique().to_list() == [1]
    assert pair["step"].max() == 640


def test_last_block() -> None:
    assert last_block(["stem", "block1", "block2", "readout", "logits"]) == "block2"
    assert last_block(["stem", "block1_attention", "block1_mlp", "readout", "logits"]) == "block1_mlp"
    assert last_block(["stem", "hidden", "logits"]) == "hidden"
    assert last_block(["logits"]) == "logits"
    assert last_block([]) is None


def test_spread() -> None:
    assert spread("abc", 9) == ["a", "b", "c"]
    assert spread("abcdefghi", 3) == ["a", "e", "i"]
    assert spread("abcdefghi", 3, ["h"]) == ["a", "e", "h", "i"]
    assert spread("abc", 1) == ["a"]


def test_identity_comes_first_and_keeps_its_colour(tmp_path: Path) -> None:
    shape = {"architectures": ("resnet",), "shortcuts": ("none", "identity"), "seeds": 1}
    tables = synthetic.made(tmp_path, **shape, checkpoints=3, blocks=1, missing=None, diverged=None)
    assert tables.shortcuts == ["identity", "none"]
    scale = theme.shortcut_colours(tables).to_dict()
    assert scale["range"] == [theme.SHORTCUT_COLOURS["identity"], theme.SHORTCUT_COLOURS["none"]]


def test_accuracy_is_thinned(tmp_path: Path) -> None:
    tables = synthetic.made(tmp_path, architectures=("resnet",), shortcuts=("none",), seeds=1, checkpoints=3)
    rows = tables.history.head(1)
    steps = pl.DataFrame({"step": range(0, 20_001, 20)})
    crowded = Tables(tables.measures, steps.join(rows.drop("step"), how="cross").select(rows.columns), tables.metadata)
    found = scores(crowded)
    assert found["step"].n_unique() < 60
    assert (found["step"].min(), found["step"].max()) == (0, 20_000)

"""Pictures in the report: sheets of reconstructions and ridges of histograms, as their files have them."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from infoplane.charts import pictures, render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.measures import histograms, reconstruction
from infoplane.report.page import TEMPLATES
from infoplane.specs import in_short
from infoplane.storage.parquet import read_rows, write_rows
from infoplane.testing.results import made

RUN = {"architecture": "resnet", "shortcut": "identity", "seed": 0}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return made(tmp_path_factory.mktemp("tables"))


def sheet_file(
    path: Path, shape: tuple[int, ...] = (1, 8, 8), shortcut: str = "identity", images: int = 3, **about: Any
) -> Path:
    """Reconstructions of random images at two steps."""
    rng = np.random.default_rng(len(shortcut))
    size = int(np.prod(shape))
    originals = rng.integers(0, 256, (images, size), dtype=np.uint8)
    rows = [
        {"step": step, "epoch": 0.0, "site": "block6", "zx": zx, "image": image, "index": image, "label": image}
        | {"nmse": zx, "original": originals[image], "reconstruction": rng.integers(0, 256, size, dtype=np.uint8)}
        for step, zx in ((0, 0.25), (640, 0.5))
        for image in range(images)
    ]
    values = RUN | {"shortcut": shortcut, "site": "block6.z", "shape": list(shape), "class_names": None, "n": 400}
    values |= {"images": reconstruction.IMAGES, "status": "finished", "zx": {"steps": [0, 640]}} | about
    write_rows(path, pa.Table.from_pylist(rows, reconstruction.SCHEMA), values)
    return path


def histogram_file(path: Path) -> Path:
    """Histograms of nine blocks at two steps."""
    about = RUN | {"status": "finished", "n": 10}
    common = {"part": "z", "low": -1.0, "high": 3.0, "below": 1, "above": 0, "saturated": None, "epoch": 0.0}
    rows = [
        common
        | {"site": f"block{depth}", "depth": depth, "step": step, "counts": [2, 50 + depth, 4, 8], "zeros": 50}
        | ({"mean": 0.5, "deviation": 1.25, "not_finite": 0} if step else {"mean": None, "not_finite": 7})
        for depth in range(1, 10)
        for step in (0, 640)
    ]
    write_rows(path, pa.Table.from_pylist(rows, histograms.SCHEMA), about)
    return path


def opened(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as image:
        return np.asarray(image)


def page(part: str, context: dict[str, Any] | None) -> str:
    return render.templates(TEMPLATES).get_template(f"sections/{part}.html.j2").render({part: context})


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 1, 12)])
def test_a_sheet_shows_the_pixels_that_were_written(shape: tuple[int, ...], tables: Tables, tmp_path: Path) -> None:
    path = sheet_file(tmp_path / "r.parquet", shape)
    found = pictures.reconstructions([path], tables)
    assert found is not None and found["colours"] is None
    sheet = found["groups"]["resnet"][0]
    drawn = opened(sheet["uri"])
    times = {8: 3, 32: 1, 12: 6}[shape[-1]]
    height, width = (times * side for side in shape[1:])
    rows = pl.DataFrame(read_rows(path)[0])
    for image in range(3):
        mine = rows.filter(image=image).to_dicts()
        lefts = 0, width + pictures.BESIDE_INPUT, 2 * width + pictures.BESIDE_INPUT + pictures.GAP
        top = image * (height + pictures.GAP)
        for left, cell in zip(lefts, [mine[0]["original"], *(row["reconstruction"] for row in mine)], strict=True):
            expected = np.array(cell, np.uint8).reshape(shape).transpose(1, 2, 0)
            tile = drawn[top : top + height : times, left : left + width : times]
            assert (tile[..., :-1] == expected).all() and (tile[..., -1] == 255).all()
    assert drawn.shape[:2] == (sheet["height"], sheet["width"])
    assert (drawn[height, :, -1] == 0).all() and (drawn[:, width, -1] == 0).all()  # gaps are transparent
    assert [(column["step"], column["zx"], column["least"]) for column in sheet["columns"]] == [
        (0, "0.250", True),
        (640, "0.500", False),
    ]
    text = page("reconstructions", found)
    assert '<section id="reconstructions">' in text and "<h2>" in text
    assert "No image was seen by the decoder" in text and "held-out images" in text
    assert re.search(r'alt="resnet with shortcut identity: held-out images of the classes 0, 1, 2 ', text)


def test_many_colour_sheets_keep_to_the_budget(tables: Tables, tmp_path: Path) -> None:
    """Noise is the worst case: no two pixels are alike."""
    files = [sheet_file(tmp_path / f"{index}.parquet", (3, 32, 32), "x" * index, images=12) for index in range(1, 26)]
    found = pictures.reconstructions(files, tables)
    assert found is not None and found["colours"] in pictures.COLOURS
    with Image.open(io.BytesIO(base64.b64decode(found["groups"]["resnet"][0]["uri"].split(",", 1)[1]))) as sheet:
        shown = np.asarray(sheet.convert("RGBA"))
    assert (shown[:32, :32, 3] == 255).all() and (shown[32, :, 3] == 0).all()
    original = np.array(pl.DataFrame(read_rows(files[0])[0])["original"][0]).reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.abs(shown[:32, :32, :3].astype(int) - original).mean() < 40  # 85 for two images of noise
    text = page("reconstructions", found)
    assert len(text) < 1_600_000 and f"reduced to {found['colours']} colours" in text


def test_large_images_are_averaged_down(tables: Tables, tmp_path: Path) -> None:
    found = pictures.reconstructions([sheet_file(tmp_path / "r.parquet", (3, 200, 100))], tables)
    assert found is not None and found["reduced"]
    width = found["groups"]["resnet"][0]["width"]
    assert width == 3 * 32 + pictures.BESIDE_INPUT + pictures.GAP
    assert "averaged down" in page("reconstructions", found)


def test_sheets_stand_in_the_order_of_the_charts(tables: Tables, tmp_path: Path) -> None:
    files = [
        sheet_file(tmp_path / f"{shortcut}.parquet", shortcut=shortcut) for shortcut in ("zzz", "none", "identity")
    ]
    found = pictures.reconstructions(files, tables)
    assert found is not None
    assert [sheet["shortcut"] for sheet in found["groups"]["resnet"]] == ["identity", "none", "zzz"]


def test_a_run_without_pictures_says_so(tables: Tables, tmp_path: Path) -> None:
    path = sheet_file(tmp_path / "r.parquet", images=0, status="diverged")
    text = page("reconstructions", pictures.reconstructions([path], tables))
    assert "Nothing could be decoded" in text and "<img" not in text and "diverged" in text


def test_nothing_to_show(tables: Tables) -> None:
    assert pictures.reconstructions([], tables) is None and pictures.histograms([], tables) is None


def test_a_foreign_file_is_refused(tables: Tables, tmp_path: Path) -> None:
    path = sheet_file(tmp_path / "r.parquet")
    with pytest.raises(UserError, match=r"r\.parquet holds no histograms: delete it"):
        pictures.histograms([path], tables)


def test_ridges_follow_the_counts(tables: Tables, tmp_path: Path) -> None:
    path = histogram_file(tmp_path / "h.parquet")
    found = pictures.histograms([path], tables)
    assert found is not None
    panel = found["groups"]["resnet"][0]
    assert [column["site"] for column in panel["columns"]][::5] == ["block1", "block9"]
    assert len(panel["columns"]) == pictures.SITES
    first = panel["columns"][0]
    # 50 of the 51 in the second bin are exact zeros: a stick of its own, at a quarter of the width
    assert first["zero"] == 30 and first["ridges"][1]["zeros"] == round(50 / 66, 3)
    heights = [-int(point.split(",")[1]) for point in first["ridges"][1]["points"].split()]
    assert heights == [0, *(round(pictures.RIDGE * count / 8) for count in (2, 1, 4, 8)), 0]
    assert first["ridges"][1]["words"] == (
        "block1, step 640: mean 0.5, deviation 1.25, 75.8% exactly 0, 1.5% beyond the range"
    )
    assert "step 0: 68.5% exactly 0, 1.4% beyond the range, 9.6% not finite" in first["ridges"][0]["words"]
    text = page("histograms", found)
    assert '<section id="histograms">' in text and text.count("<polygon") == 2 * pictures.SITES
    assert 'aria-label="Activations of resnet with shortcut identity, at the end: block1' in text


def test_a_run_in_another_ones_place_is_refused(tables: Tables, tmp_path: Path) -> None:
    """A file copied over another run's would show one run twice, and the other not at all."""
    files = [sheet_file(tmp_path / f"{name}.parquet") for name in ("mine", "other")]
    with pytest.raises(UserError, match=r"mine\.parquet and .*other\.parquet are of the same run: delete both"):
        pictures.reconstructions(files, tables)


def test_another_experiments_run_is_refused(tables: Tables, tmp_path: Path) -> None:
    """Labels alone would not tell: two experiments have runs of the same name."""
    path = sheet_file(tmp_path / "r.parquet", train_spec={"seed": 0, "training": {"steps": 640}})
    runs = [{"architecture": "resnet", "shortcut": "identity", "seed": 0}]

    def told(**known: str) -> Tables:
        metadata = tables.metadata | {"runs": [run | known for run in runs]}
        return Tables(tables.measures, tables.history, metadata)

    same = in_short({"training": {"steps": 640}, "seed": 0})
    for right in (told(spec=same), told()):  # a table of one's own knows no specs
        assert pictures.reconstructions([path], right) is not None
    with pytest.raises(UserError, match=r"r\.parquet is of another experiment's run: delete it"):
        pictures.reconstructions([path], told(spec=in_short({"seed": 0, "training": {"steps": 641}})))

"""The information plane as a moving picture: what grows, when it ends, the same bytes."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageSequence

from infoplane.charts import animation, render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.testing import results as synthetic

SMALL: dict[str, Any] = {"architectures": ("resnet",), "shortcuts": ("identity", "none"), "seeds": 1, "blocks": 2}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.made(tmp_path_factory.mktemp("experiment"), **SMALL, missing=None, diverged=None)


@pytest.fixture(scope="module")
def pictures(tables: Tables) -> list[Image.Image]:
    return list(animation.frames(tables, {}, 2.0))


def inked(picture: Image.Image) -> int:
    """Pixels that are not white."""
    return int((np.asarray(picture.convert("L")) < 200).sum())


def test_paths_grow_with_every_frame(pictures: list[Image.Image]) -> None:
    assert len(pictures) == round(0.8 * 2.0 / animation.FRAME)
    assert len({picture.size for picture in pictures}) == 1
    assert all(ImageChops.difference(one, other).getbbox() for one, other in pairwise(pictures))
    assert inked(pictures[0]) < inked(pictures[len(pictures) // 2]) < inked(pictures[-1])


def test_it_goes_from_the_first_checkpoint_to_the_last(tables: Tables) -> None:
    vega, low, high = animation.compiled(tables, {})
    assert 0 < low < 1 and high == 640
    (signal,) = [one for one in vega["signals"] if one["name"] == "until"]
    assert signal["value"] == 640


def test_the_end_shows_the_charts_own_points(tables: Tables) -> None:
    """Same frame, same data: only what grows is different."""
    still = render.drawn("information_plane", {}, tables)
    moving = render.drawn("information_plane", {}, tables, "growing")
    for one, other in zip(still["concat"], moving["concat"], strict=True):
        assert (one["width"], one["height"], one["title"]) == (other["width"], other["height"], other["title"])
    points = []
    for spec in (still, moving):
        rows = [row for rows in spec["datasets"].values() for row in rows if "next_zx" in row]
        points.append({(row["site"], row["step"], row["zx"], row["zy"]) for row in rows})
    assert points[0] == points[1] and len(points[0]) > 50


def test_gif(tables: Tables, tmp_path: Path) -> None:
    for name in ("one", "two"):
        animation.write(tables, {}, 1.0, tmp_path / f"{name}.gif")
    found = (tmp_path / "one.gif").read_bytes()
    assert found == (tmp_path / "two.gif").read_bytes()
    assert len(found) < 3_000_000
    with Image.open(tmp_path / "one.gif") as picture:
        assert picture.info["loop"] == 0
        times = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
    assert sum(times) == pytest.approx(1000, abs=110) and times[-1] == max(times)


@pytest.mark.parametrize("shape", [{"checkpoints": 1}, {"diverged": ("resnet", "none", 0), "shortcuts": ("none",)}])
def test_nothing_to_follow(shape: dict[str, Any], tmp_path: Path) -> None:
    """One checkpoint is one picture; a run that diverged goes as far as it went."""
    tables = synthetic.made(tmp_path, **(SMALL | {"missing": None, "diverged": None} | shape))
    animation.write(tables, {}, 1.0, tmp_path / "plane.gif")
    with Image.open(tmp_path / "plane.gif") as picture:
        assert (picture.n_frames == 1) == ("checkpoints" in shape)


def test_linear_axes_and_other_measures(tables: Tables) -> None:
    vega, _, _ = animation.compiled(tables, {"scale": "linear"})
    assert '"sqrt"' not in str(vega)
    with pytest.raises(UserError, match="colour"):
        animation.compiled(tables, {"colour": "red"})


def test_mp4(tables: Tables, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    for name in ("one", "two"):
        animation.write(tables, {}, 1.0, tmp_path / f"{name}.mp4")
    found = (tmp_path / "one.mp4").read_bytes()
    assert found[4:8] == b"ftyp" and found == (tmp_path / "two.mp4").read_bytes()


def test_mp4_without_its_library(tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match=r"pip install 'infoplane\[mp4\]'"):
        animation.write(tables, {}, 1.0, tmp_path / "plane.mp4")
    assert not list(tmp_path.iterdir())


def test_another_ending(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"plane\.webm: a moving picture ends in \.gif or \.mp4"):
        animation.write(tables, {}, 1.0, tmp_path / "plane.webm")

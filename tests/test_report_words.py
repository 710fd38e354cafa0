"""What a report calls samples and what is learned of them: no image, label or class where there is none."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infoplane.charts.frames import Tables
from infoplane.metrics import Metric
from infoplane.options import Field, image
from infoplane.report import page as report
from infoplane.testing import results as synthetic

SOUND = Field((1, 128), "ct", "float32").to_dict()


def words(**metadata: Any) -> tuple[str, str]:
    tables = Tables(pl.DataFrame(), pl.DataFrame(), metadata)
    return tables.samples, tables.target


@pytest.mark.parametrize(
    ("metadata", "samples", "target"),
    [
        ({}, "held-out images", "label"),
        ({"input": image(1, 8, 8).to_dict(), "classes": 10}, "held-out images", "label"),
        ({"input": SOUND, "classes": 6}, "held-out samples", "label"),
        ({"input": SOUND, "classes": None}, "held-out samples", "target"),
        ({"input": image(1, 8, 8).to_dict(), "classes": None}, "held-out images", "target"),
        ({"input": SOUND, "config": {"data": {"held_out": "all"}}}, "samples, all there are", "target"),
    ],
)
def test_samples_and_targets_have_their_names(metadata: dict[str, Any], samples: str, target: str) -> None:
    assert words(**metadata) == (samples, target)


def text(path: Path) -> str:
    """What a reader sees, and what a screen reader says; without what scripts hold."""
    html = re.sub(r"<(script|style)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(re.findall(r'aria-label="([^"]*)"', html)) + re.sub(r"<[^>]*>", " ", html)


def test_a_page_on_sound_has_no_images_classes_or_accuracy(tmp_path: Path) -> None:
    tables = synthetic.made(tmp_path)
    gain = Metric("si_sdr_improvement", "SI-SDR improvement", "dB", better=1, margin=0.5)
    about = {"input": SOUND, "classes": None, "label_entropy": None, "metrics": [asdict(gain)], "images": None}
    history = tables.history.with_columns(pl.col("quantity").replace("accuracy", gain.name))
    measures = tables.measures.filter(pl.col("measure").is_in(["zx", "zy"]))
    sound = replace(tables, measures=measures, history=history, metadata=tables.metadata | about)
    report.write(sound, [], tmp_path / "sound.html")
    said = re.sub(
        r"The record of the estimators' accuracy.*?measures it", "", text(tmp_path / "sound.html"), flags=re.S
    )
    assert "SI-SDR improvement" in said and "held-out samples" in said and "the input and of the target" in said
    assert not re.search(r"\b(accuracy|held-out images?|class(es)?|of the label)\b", said), "words of classification"
    assert "from input (below) to answer (above)" in said
    report.write(tables, [], tmp_path / "images.html")
    said = text(tmp_path / "images.html")
    assert "held-out images" in said and "accuracy" in said and "of the input and of the label" in said

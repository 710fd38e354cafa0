"""Figures for print: their width, their letters, the same bytes; and what a chart may ask to read."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conftest import REPOSITORY

from infoplane import plugin_files, registry
from infoplane.charts import figure, render
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.phases.analysis import write
from infoplane.phases.results import TABLES as PHASES
from infoplane.testing import results as synthetic

CHARTS = registry.names("chart")
SMALLEST_LETTER = 6.5
"""Points, in a figure of three columns across a page."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiment")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    """Made-up results, which lie in the folder too."""
    found = synthetic.analysed(synthetic.made(folder), resamples=100, nulls=5)
    assert found.phases
    write(found.phases, phases_files(folder))
    return found


def phases_files(folder: Path) -> list[Path]:
    return [folder / "phases" / f"{name}.parquet" for name in PHASES]


def page_size(pdf: bytes) -> tuple[float, float]:
    """Width and height of the only page, points."""
    (box,) = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf))
    return float(box[0]), float(box[1])


def letters(svg: str, inches: float) -> list[float]:
    """The sizes of letters in print, points."""
    scale = 72 * inches / figure.size(svg)[0]
    return [float(size) * scale for size in re.findall(r'font-size="([\d.]+)px"', svg)]


@pytest.mark.parametrize("name", CHARTS)
def test_as_wide_as_the_text_with_letters_that_can_be_read(name: str, tables: Tables, tmp_path: Path) -> None:
    svg = figure.drawn(name, {}, tables, figure.WIDTH)
    figure.save(svg, figure.WIDTH, tmp_path / "chart.svg", tmp_path / "chart.pdf")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert root.attrib["width"] == "6.75in" and root.attrib["height"].endswith("in")
    found = (tmp_path / "chart.pdf").read_bytes()
    assert found.startswith(b"%PDF-")
    width, height = page_size(found)
    assert width == pytest.approx(486, abs=0.1)
    assert height / 72 == pytest.approx(float(root.attrib["height"].removesuffix("in")), rel=1e-3)
    assert min(letters(svg, figure.WIDTH)) > SMALLEST_LETTER
    assert max(letters(svg, figure.WIDTH)) < 13


@pytest.mark.parametrize("name", CHARTS)
def test_title_and_notes_are_the_captions(name: str, tables: Tables) -> None:
    about = render.spec(name, {}, tables)["usermeta"]
    text = " ".join(ElementTree.fromstring(figure.drawn(name, {}, tables, 5.0)).itertext())
    assert about["title"][:30] not in text and "Missing:" not in text


def test_same_figure_same_bytes(tables: Tables, tmp_path: Path) -> None:
    """The library would write fonts and resources in an order of chance: ten times the same is no accident."""
    svg = figure.drawn("contrast", {}, tables, figure.WIDTH)
    assert len({figure.pdf(svg) for _ in range(10)}) == 1


def unnumbered(picture: bytes) -> bytes:
    """Without the numbers of clips and gradients, which a process counts through all that it draws."""
    return re.sub(rb"(clip|gradient_)\d+", rb"\1", picture)


@pytest.mark.parametrize("name", CHARTS)
def test_same_tables_same_bytes(name: str, tables: Tables, folder: Path, tmp_path: Path) -> None:
    """Two processes: this one, and the script's as the workflow would run it."""
    here, there = ({kind: tmp_path / f"{turn}.{kind}" for kind in ("svg", "pdf", "json")} for turn in ("here", "there"))
    read = [f"--{table}={folder / f'{table}.parquet'}" for table in ("measures", "history")]
    if phased := bool(registry.reads("chart", name)):
        read += ["--phases", *map(str, phases_files(folder))]
    outputs = [f"--{kind}={path}" for kind, path in there.items()]
    script = REPOSITORY / "scripts" / "charts.py"
    subprocess.run([sys.executable, script, f"--chart={name}", *read, *outputs], check=True)
    known = tables if phased else Tables(tables.measures, tables.history, tables.metadata)
    figure.save(figure.drawn(name, {}, known, figure.WIDTH), figure.WIDTH, here["svg"], here["pdf"])
    render.save(render.spec(name, {}, known), None, None, None, here["json"])
    for kind, path in here.items():
        assert unnumbered(path.read_bytes()) == unnumbered(there[kind].read_bytes())


def test_narrow_figures_keep_their_width(tables: Tables) -> None:
    svg = figure.drawn("contrast", {}, tables, 3.25)
    assert ElementTree.fromstring(svg).attrib["width"] == "3.25in"
    assert figure.size(svg)[0] < figure.size(figure.drawn("contrast", {}, tables, 6.75))[0]


def test_a_figure_leaves_the_page_as_it_was(tables: Tables) -> None:
    before = render.spec("information_plane", {}, tables)
    figure.drawn("information_plane", {}, tables, 3.0)
    assert render.spec("information_plane", {}, tables) == before


# What a chart reads


def plugin(monkeypatch: pytest.MonkeyPatch, folder: Path, line: str) -> None:
    """Make this the source of the chart ``own``."""
    place = folder / f"own_{len(list(folder.iterdir()))}"
    (place / "charts").mkdir(parents=True)
    (place / "charts" / "own.py").write_text(f'"""A chart of our own."""\n\n{line}\n')
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    plugin_files.use([place])


def test_a_chart_says_what_it_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin(monkeypatch, tmp_path, 'READS = ("phases",)')
    assert registry.reads("chart", "own") == ("phases",)
    plugin(monkeypatch, tmp_path, "")
    assert registry.reads("chart", "own") == ()


@pytest.mark.parametrize("value", ['("phase",)', '"phases"', '("phases", "activations")', "1"])
def test_a_wrong_one_is_refused(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin(monkeypatch, tmp_path, f"READS = {value}")
    with pytest.raises(UserError, match=r"own\.py: READS is .*: expected a tuple of phases\."):
        registry.reads("chart", "own")


def test_every_plugins_own_is_right() -> None:
    for role in ("measure", "chart"):
        for name in registry.names(role):  # type: ignore[arg-type]
            assert set(registry.reads(role, name)) <= set(registry.READABLE[role])  # type: ignore[arg-type,index]

"""What the workflow draws and prints: figures, an animation, the phase table, Snakemake's own report."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from workflow import Workflow, tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """One small network with two shortcuts, with phases and an animation, run to the end."""
    config = tiny() | {
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "measures": {"linear": None},
        "charts": {"information_plane": None, "phase_diagram": None},
        "phases": {"resamples": 100, "nulls": 5},
        "reconstructions": {"images": 0},
        "histograms": {"bins": 0},
        "animation": {"format": "gif", "seconds": 1},
    }
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("workflow"), config)
    said = workflow.snakemake().stdout
    (workflow.root / "said").write_text(said)
    return workflow


@pytest.fixture
def edited(finished: Workflow) -> Iterator[Path]:
    """The theme of all charts, put back afterwards."""
    theme = finished.root / "src/infoplane/charts/theme.py"
    before = theme.read_bytes()
    yield theme
    theme.write_bytes(before)


def test_figures_and_animation_are_made(finished: Workflow) -> None:
    charts = finished.results / "charts"
    for name in ("information_plane", "phase_diagram"):
        assert (charts / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
        assert 'width="6.75in"' in (charts / f"{name}.svg").read_text()
    with Image.open(charts / "information_plane.gif") as picture:
        assert picture.n_frames > 3


def test_changing_a_colour_draws_again_and_measures_nothing(finished: Workflow, edited: Path) -> None:
    """The charts, the animation, and the page that holds charts."""
    source = edited.read_text()
    assert source.count("#0072B2") == 1
    edited.write_text(source.replace("#0072B2", "#0072B3"))
    assert finished.pending() == {"charts": 2, "animation": 1, "report": 1}


def test_one_charts_code_draws_one_chart(finished: Workflow) -> None:
    chart = finished.root / "src/infoplane/charts/gallery/phase_diagram.py"
    before = chart.read_bytes()
    chart.write_bytes(before + b"\nEXTRA = 1\n")
    assert finished.pending() == {"charts": 1, "report": 1}
    chart.write_bytes(before)


def test_a_figures_width_draws_again(finished: Workflow) -> None:
    before = finished.read()
    finished.write(before | {"figures": {"width": 5.0}})
    assert finished.pending() == {"charts": 2, "report": 1}
    finished.write(before)
    assert finished.pending() == {}


def test_a_run_ends_with_the_phase_table(finished: Workflow) -> None:
    said = (finished.root / "said").read_text()
    assert said.index("Phases of the last block (linear, Z-X)") < said.index("report: ")
    assert said.count("Phases of the last block") == 1


def test_the_phase_table_on_its_own(finished: Workflow) -> None:
    """Once, as the rule's output; Snakemake's own talk is not in it. And again, when it is asked for again."""
    for _ in range(2):
        assert finished.snakemake("summary").stdout.count("Phases of the last block") == 1


def test_snakemakes_report_without_network(finished: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched: a proxy that is not there would be an error."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    finished.snakemake("--report", "report.zip")
    names = {Path(name).name for name in zipfile.ZipFile(finished.root / "report.zip").namelist()}
    charts = {f"{chart}.{kind}" for chart in finished.read()["charts"] for kind in ("html", "svg", "pdf")}
    assert charts | {"report.html", "information_plane.gif"} <= names
    with zipfile.ZipFile(finished.root / "report.zip") as archive:
        page = archive.read("report/report.html").decode()
    for words in ("page, interactive", "figure, SVG", "figure, PDF", "animation, GIF"):
        assert words in page

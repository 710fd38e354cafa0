"""What the workflow draws and prints: figures, an animation, the phase table, Snakemake's own report."""

import re
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


def test_a_run_says_what_it_will_do_and_little_more(finished: Workflow) -> None:
    """No reason and no command for each of its jobs, and no control character; the log file has it all."""
    said = (finished.root / "said").read_text()
    lines = said.splitlines()
    opening = "tiny: 2 runs (1 architecture × 2 shortcuts × 1 seed) on digits"
    assert lines.index(opening) <= 3 and re.match(
        r"\d+ jobs, about .* \(a rough forecast: .*: data 1, train 2, ", lines[3]
    )
    answer = next(place for place, line in enumerate(lines) if line.startswith("mlp: "))
    steps = [line for line in lines[5:answer] if not re.match(r"\d of 2 runs, \d+ of \d+ jobs, ", line)]
    assert steps == [], "between the opening and the answer there are lines of progress alone"
    assert all(line.isprintable() for line in lines) and "Reason" not in said
    (log,) = re.findall(r"^full log: (\S+) ", said, re.MULTILINE)
    written = (finished.root / log).read_text()
    assert written.count("Reason: ") > 5 and "Train mlp with shortcut identity, seed 0" in written


def test_a_dry_run_counts_jobs_and_lists_them_when_asked(finished: Workflow) -> None:
    """Each with its reason; so does ``--verbose``."""
    short, full = (finished.snakemake("-n", "--forcerun", "charts", *more).stdout for more in ((), ("-p",)))
    assert "Job stats:" in short and "Reason" not in short and "With -p each job is listed" in short
    assert full.count("Reason: ") > 2 and len(short.splitlines()) < 14 < len(full.splitlines())


@pytest.mark.parametrize(("target", "answer"), [("why", "up to date: nothing would run"), ("purge", "removed")])
def test_what_answers_says_its_answer_and_no_table(finished: Workflow, target: str, answer: str) -> None:
    said = finished.snakemake(target).stdout
    assert answer in said and len(said.splitlines()) < 6
    assert "Phases of" not in said and "report: " not in said


def test_nothing_to_do_says_where_the_report_is(finished: Workflow) -> None:
    said = finished.snakemake().stdout
    assert "Nothing to be done" in said and f"report: {finished.results / 'report.html'}" in said


def test_the_phase_table_on_its_own(finished: Workflow) -> None:
    """Once, as the rule's output; Snakemake's own talk is not in it. And again, when it is asked for again."""
    for _ in range(2):
        assert finished.snakemake("summary").stdout.count("Phases of the last block") == 1


def test_what_prints_does_not_train(finished: Workflow) -> None:
    """Neither where there are no results, and then it says what makes them, nor where they are stale."""
    before = finished.read()
    finished.write(before | {"experiment": "other"})
    refused = finished.snakemake("summary", check=False)
    assert refused.returncode == 2
    assert (
        "error: summary: there are no results of 'other' yet: "
        "snakemake --cores all --configfile experiment.yaml makes them"
    ) in refused.stdout
    assert not finished.results.exists()
    finished.write(before | {"seeds": [0, 1]})
    assert "Phases of the last block" in finished.snakemake("summary").stdout
    assert not list(finished.results.glob("train/*/*/seed1"))
    finished.write(before)


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

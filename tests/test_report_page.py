"""The report's page in a real browser: open to everybody, saved in parts, and linked to as it was left."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from browsing import CHROMIUM, Seen, faults
from playwright.sync_api import Browser, Page
from test_picture_sheets import histogram_file, sheet_file
from test_report import beside

from infoplane.charts import render
from infoplane.charts.frames import Tables
from infoplane.report import downloads
from infoplane.report import page as report
from infoplane.report.numbers import Value
from infoplane.testing import results as synthetic

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PDF = b"%PDF-1.4 \x00\xff not for the eye"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return synthetic.analysed(synthetic.made(tmp_path_factory.mktemp("tables")), nulls=20, resamples=100)


@pytest.fixture(scope="module")
def html(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section in it."""
    folder = tmp_path_factory.mktemp("page")
    specs = [folder / f"{name}.json" for name in ("contrast", "phase_diagram")]
    for path in specs:
        render.save(render.spec(path.stem, {}, tables), None, None, None, path)
    (folder / "contrast.pdf").write_bytes(PDF)
    more = beside(folder)
    pictures = [sheet_file(folder / "sheet.parquet")], [histogram_file(folder / "histogram.parquet")]
    everything = report.Beside(more.verdicts, *pictures, more.accuracy, more.benchmarks, [folder / "contrast.pdf"])
    report.write(tables, specs, folder / "report.html", everything)
    return folder / "report.html"


@pytest.fixture
def seen(browser: Browser, html: Path) -> Iterator[Seen]:
    found = Seen(browser, html)
    yield found
    found.page.context.close()


def test_axe_finds_nothing_wrong(seen: Seen) -> None:
    page = seen.page
    page.wait_for_function("document.querySelectorAll('figure .chart svg.marks').length == 2")
    assert page.locator("#reconstructions img").count() and page.locator(".ridges svg").count()
    for width in (1280, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            seen.all()
            assert faults(page) == [], (width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_menu_wraps_and_the_configuration_is_folded(seen: Seen) -> None:
    menu, page = seen.page.locator("nav"), seen.page
    inside = "(menu) => [...menu.children].every((link) => link.getBoundingClientRect().right <= innerWidth)"
    lines = "(menu) => new Set([...menu.children].map((link) => link.offsetTop)).size"
    assert menu.evaluate(lines) == 1
    page.set_viewport_size({"width": 390, "height": 844})
    assert menu.evaluate(inside) and menu.evaluate(lines) > 1
    assert page.locator("details[open] summary", has_text="Configuration").count() == 0
    assert page.locator("details summary", has_text="Configuration").count() == 1


def saved(page: Page, selector: str) -> tuple[str, bytes]:
    """The name and the content of the file that a button saves."""
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    with page.expect_download() as waiting:
        page.locator(selector).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_figures_are_saved_as_svg_png_and_pdf(seen: Seen) -> None:
    seen.page.emulate_media(color_scheme="dark")
    name, svg = saved(seen.page, "[data-save='contrast.svg']")
    assert name.endswith("-contrast.svg") and svg.startswith(b"<svg") and b"white" in svg
    name, png = saved(seen.page, "[data-save='phase_diagram.png']")
    assert name.endswith("-phase_diagram.png") and png.startswith(b"\x89PNG")
    assert saved(seen.page, "[data-save='contrast.pdf']")[1] == PDF
    assert seen.page.locator("[data-save='phase_diagram.pdf']").count() == 0


def test_numbers_are_saved_as_csv(seen: Seen, tables: Tables) -> None:
    buttons = seen.page.locator("button[data-save$='.csv']")
    found = {
        name: rows(saved(seen.page, f"[data-save='{name}']")[1])
        for name in buttons.evaluate_all("(buttons) => buttons.map((one) => one.dataset.save)")
    }
    assert all(found.values())
    assert tables.phases is not None
    shown = tables.phases.phases.filter(pl.col("seed").is_null(), pl.col("family") == "kernel")
    values = {(row["architecture"], row["shortcut"], row["site"]): row["fit_depth"] for row in found["phases.csv"]}
    assert len(values) == shown.height
    for row in shown.iter_rows(named=True):
        text = values[row["architecture"], row["shortcut"], row["site"]]
        assert (float(text) if text else None) == row["fit_depth"]
    assert {row["verdict"] for row in found["verdicts.csv"]} == {"reproduced", "not reproduced", "undecided"}
    assert len(found["runs.csv"]) == 12 and "start_low" in found["numbers.csv"][0]


def test_curves_are_saved_as_they_are_shown(seen: Seen) -> None:
    page = seen.page
    page.locator("#explorer-shortcuts input").first.uncheck()
    page.locator(".picker summary").click()
    page.locator("#explorer-sites input").first.uncheck()
    name, content = saved(page, "#explorer-save")
    found = rows(content)
    label, shortcuts, layers, values = page.evaluate(
        """() => {
          const data = JSON.parse(document.getElementById("explorer-data").textContent);
          const [one] = data.architectures;
          const curve = one.curves.none.sites[one.chief];
          return [one.label, data.shortcuts.map((each) => each.label), one.sites, [one.chief, curve.x]];
        }"""
    )
    assert name.endswith(f"-{label}-curves.csv")
    assert {row["shortcut"] for row in found} == set(shortcuts[1:])
    assert {row["layer"] for row in found} == {*layers[1:], ""}
    mine = [row for row in found if (row["shortcut"], row["layer"], row["quantity"]) == ("none", values[0], "Z-X")]
    assert [float(row["mean"]) for row in mine] == values[1]
    assert {row["quantity"] for row in found} == {"Z-X", "Z-Y", "validation accuracy", "train accuracy"}


def look(seen: Seen) -> dict[str, object]:
    """Where every control of the explorer stands, and what is drawn."""
    controls = {name: seen.page.locator(f"#explorer-{name}").input_value() for name in CONTROLS}
    ticked = "(boxes) => boxes.filter((box) => box.checked).map((box) => box.value)"
    boxes = {name: seen.page.locator(f"#explorer-{name} input").evaluate_all(ticked) for name in ("shortcuts", "sites")}
    drawn = {name: seen.drawn(name) for name in ("dynamics_x", "dynamics_y", "score")}
    return controls | boxes | drawn | {"heads": seen.heads()}  # names of axes may be those of an earlier state


def state(seen: Seen) -> dict[str, object]:
    """The same, once nothing changes any more: a busy machine draws late. It gives up after half a minute."""
    before: dict[str, object] = {}
    for _ in range(100):
        if (now := look(seen)) == before:
            return now
        before = now
        seen.page.wait_for_timeout(300)
    raise AssertionError("the explorer does not come to rest")


CONTROLS = ("architecture", "site", "measure", "slider")


def test_a_link_opens_the_explorer_as_it_was_left(seen: Seen, browser: Browser) -> None:
    page = seen.page
    assert "#" not in page.url
    page.select_option("#explorer-architecture", "vit")
    page.wait_for_selector('#explorer-panels[data-ready="vit"]')
    page.locator("#explorer-shortcuts input").nth(1).uncheck()
    page.select_option("#explorer-site", "block2")
    page.locator(".picker summary").click()
    page.locator("#explorer-sites input").first.uncheck()
    page.select_option("#explorer-measure", "y")
    seen.slide(3)
    page.wait_for_function("location.hash.includes('colour=y') && location.hash.includes('step=')")
    page.wait_for_timeout(300)
    left = state(seen)
    assert (left["architecture"], left["site"], left["measure"], left["slider"]) == ("vit", "block2", "y", "3")
    again = Seen(browser, page.url)
    assert state(again) == left
    assert again.page.evaluate("document.getElementById('explorer').getBoundingClientRect().top < innerHeight")
    assert seen.said == again.said == []
    again.page.context.close()


def test_a_link_with_labels_that_are_not_there_opens_what_is(browser: Browser, html: Path, seen: Seen) -> None:
    wanted = "#explorer?architecture=gone&shortcut=gone&shown=gone&layer=gone&step=17.5&colour=z"
    other = Seen(browser, html.as_uri() + wanted)
    assert state(other) == state(seen) and other.said == []
    other.page.evaluate("location.hash = '#explorer?architecture=vit&step=0'")
    other.page.wait_for_selector('#explorer-panels[data-ready="vit"][data-step="0"]')
    other.page.context.close()


def test_a_table_of_correlations_without_values_is_a_sentence(tables: Tables, tmp_path: Path) -> None:
    assert tables.phases is not None
    gaps = tables.phases.gaps.with_columns(pl.lit(None, pl.Float64).alias("correlation"))
    phases = type(tables.phases)(**(vars(tables.phases) | {"gaps": gaps}))
    few = Tables(tables.measures, tables.history, tables.metadata, phases)
    report.write(few, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = text.split("Do pronounced phases go with generalisation?")[1].split("</section>")[0]
    assert "<table" not in section and "too few runs" in section


def test_a_table_of_rows_is_csv_with_full_precision() -> None:
    row = {"a": 0.1 + 0.2, "b": None, "c": Value(1.0, 0.5, 2.0), "d": {"e": [1, 'x"y']}}
    assert downloads.table([row, {"f": "g,h"}]) == (
        'a,b,c,c_low,c_high,d,f\n0.30000000000000004,,1.0,0.5,2.0,"{""e"": [1, ""x\\""y""]}",\n,,,,,,"g,h"\n'
    )

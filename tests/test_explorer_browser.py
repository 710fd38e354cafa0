"""The report in a real browser: every control of the explorer changes what is drawn, and no network is asked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CHARTS, CHROMIUM, VIEWS, Seen, faults, written
from playwright.sync_api import Browser

from infoplane.testing import results as synthetic

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

MADE = [Path(path).resolve() for path in os.environ.get("INFOPLANE_REPORT", "").split(os.pathsep) if path]
"""Reports that a real experiment made, to be driven as well."""

FIVE_MEGABYTES = 5_000_000


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    return written(synthetic.analysed(synthetic.made(folder), nulls=20, resamples=100), folder)


@pytest.fixture
def seen(browser: Browser, html: Path) -> Iterator[Seen]:
    found = Seen(browser, html)
    yield found
    found.page.context.close()


def test_nothing_is_said_and_nothing_is_asked_of_a_network(seen: Seen, html: Path) -> None:
    page = seen.page
    page.wait_for_function(f"document.querySelectorAll('figure .chart svg.marks').length == {len(CHARTS)}")
    seen.slide(3)
    page.select_option("#explorer-architecture", "vit")
    page.wait_for_selector('#explorer-panels[data-ready="vit"]')
    page.click("#theme")
    seen.all()
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith(("data:", "blob:"))] == [html.as_uri()]
    assert page.locator(".failed").count() == 0


def test_the_slider_moves_the_heads_of_the_paths(seen: Seen) -> None:
    heads, whole = seen.heads(), seen.drawn("plane")
    assert len(heads) == 3 * 8 and seen.step() == 640  # shortcuts x sites, at the end
    seen.slide(4)
    moved = seen.heads()
    assert len(moved) == len(heads) and not set(moved) & set(heads)
    assert seen.step() < 640 and seen.drawn("plane") != whole
    paths = '[data-view="plane"] .walked_marks path, [data-view="plane"] .walked_pathgroup path'
    lengths = "(paths) => paths.map((path) => (path.getAttribute('d') || '').split('L').length)"
    later = seen.page.locator(paths).evaluate_all(lengths)
    seen.slide(2)
    seen.heads()
    earlier = seen.page.locator(paths).evaluate_all(lengths)
    assert sum(earlier) < sum(later)


def test_play_walks_and_pauses(seen: Seen) -> None:
    button = seen.page.locator("#explorer-play")
    button.click()
    seen.page.wait_for_function("Number(document.getElementById('explorer-slider').value) == 2")
    assert "Pause" in button.inner_text()
    button.click()
    assert "Play" in button.inner_text()
    here = seen.step()
    seen.page.wait_for_timeout(1200)
    assert seen.step() == here


def test_nothing_moves_by_itself(browser: Browser, html: Path) -> None:
    found = Seen(browser, html, reduced_motion="reduce")
    before = found.heads()
    found.page.wait_for_timeout(1200)
    assert found.heads() == before
    found.page.context.close()


def test_every_control_changes_what_is_drawn(seen: Seen) -> None:
    page, before = seen.page, seen.all()

    def changed() -> set[str]:
        nonlocal before
        now = seen.all()
        found = {name for name in now if now[name] != before[name]}
        before = now
        return found

    page.locator("#explorer-shortcuts input").nth(1).uncheck()
    page.wait_for_function("document.querySelectorAll('#explorer-heat svg.marks').length == 2")
    assert changed() == {*VIEWS, "heat"}
    page.select_option("#explorer-site", "block2")
    assert changed() >= {"plane", "dynamics_x", "dynamics_y", "heat"}
    page.locator(".picker summary").click()
    page.locator("#explorer-sites input").first.uncheck()
    assert changed() >= {"plane", "dynamics_x", "dynamics_y", "heat"}
    page.select_option("#explorer-measure", "y")
    page.wait_for_function("document.querySelectorAll('#explorer-heat svg.marks').length == 2")
    assert changed() == {"heat"}
    page.select_option("#explorer-architecture", "vit")
    page.wait_for_selector('#explorer-panels[data-ready="vit"]')
    assert changed() >= {"plane", "dynamics_x", "heat"}


def test_pointing_at_a_block_lights_it_up_everywhere(seen: Seen) -> None:
    before = seen.all()
    seen.page.locator('[data-site="block2"]').hover()
    after = seen.all()
    assert seen.lit() == "block2"
    assert {name for name in after if after[name] != before[name]} == {"plane", "dynamics_x", "dynamics_y", "heat"}
    assert seen.page.locator("#explorer-readout-title").inner_text().startswith("block2 at step")
    seen.page.locator("h1").hover()
    seen.page.wait_for_function("document.getElementById('explorer-panels').dataset.focus == 'block5'")
    assert seen.all() == before
    seen.page.locator('[data-site="block2"]').click()
    seen.page.locator("h1").hover()
    assert seen.page.locator("#explorer-site").input_value() == "block2"


@pytest.mark.parametrize("view", ["[data-view=plane]", "[data-view=dynamics_x]", "#explorer-heat .view"])
def test_pointing_into_a_view_lights_up_the_others(seen: Seen, view: str) -> None:
    box = seen.page.locator(view).first
    box.scroll_into_view_if_needed()
    marks = box.locator(".mark-symbol path, .mark-rect path")
    seen.page.evaluate("scrollBy(0, 120)")
    before = seen.drawn("plane"), seen.lit()
    for index in range(0, marks.count(), 5):
        place = marks.nth(index).bounding_box()
        if place is None:
            continue
        seen.page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        seen.page.wait_for_timeout(60)
        if seen.lit() != before[1]:
            break
    assert seen.lit() != before[1]
    assert seen.drawn("plane") != before[0]
    assert seen.page.locator(f'[data-site="{seen.lit()}"].lit').count() == 1


def test_a_tooltip_has_values_and_intervals(seen: Seen) -> None:
    seen.page.locator('[data-view="plane"]').scroll_into_view_if_needed()
    head = seen.page.locator('[data-view="plane"] .heads_marks path').nth(5).bounding_box()
    assert head is not None
    seen.page.mouse.move(head["x"] + head["width"] / 2, head["y"] + head["height"] / 2)
    tooltip = seen.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    text = tooltip.inner_text()
    assert "Z-X" in text and "–" in text and "seeds" in text and "phase" in text


def test_it_is_worked_by_keyboard(seen: Seen) -> None:
    page = seen.page
    slider = page.locator("#explorer-slider")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.input_value() == "0"
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    seen.heads()
    assert "checkpoint 2 of" in (slider.get_attribute("aria-valuetext") or "")
    page.locator('[data-site="block2"]').focus()
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.site") == "block3"
    seen.heads()
    assert seen.lit() == "block3"
    page.keyboard.press("Enter")
    assert page.locator("#explorer-site").input_value() == "block3"
    page.evaluate("document.body.focus(); scrollTo(0, 0)")
    reached = set()
    page.locator(".skip").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.value || ''"))
    assert {
        "theme",
        "explorer-architecture",
        "identity",
        "explorer-site",
        "explorer-play",
        "explorer-slider",
    } <= reached


def test_themes(seen: Seen, browser: Browser, html: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = seen.page.evaluate(background)
    seen.page.click("#theme")
    dark = seen.page.evaluate(background)
    assert light == "rgb(255, 255, 255)" and dark != light
    assert seen.page.locator("#theme").inner_text() == "Light theme"
    night = Seen(browser, html, color_scheme="dark")
    assert night.page.evaluate(background) == dark
    night.page.click("#theme")
    assert night.page.evaluate(background) == light
    night.page.context.close()


def test_a_narrow_page_does_not_scroll_sideways(browser: Browser, html: Path) -> None:
    found = Seen(browser, html, viewport={"width": 390, "height": 844})
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert len(found.heads()) == 3 * 8
    found.page.context.close()


def test_on_paper_every_fold_is_open(seen: Seen) -> None:
    assert seen.page.locator("details:not([open]):not(.picker)").count() > 0
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.locator("details:not([open]):not(.picker)").count() == 0
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.page.locator("details:not([open]):not(.picker)").count() > 0
    assert len(seen.page.pdf()) > 10_000


def test_fifty_runs_stay_small(browser: Browser, tmp_path: Path) -> None:
    names = tuple(f"net{index}" for index in range(5))
    shortcuts = ("identity", "none", "projection", "scaled", "gated")
    shape = {"architectures": names, "shortcuts": shortcuts, "seeds": 2, "checkpoints": 30, "blocks": 9}
    tables = synthetic.made(tmp_path, **shape, missing=None, diverged=None)
    assert tables.measures.filter(status="finished").select("architecture", "shortcut", "seed").n_unique() == 50
    html = written(tables, tmp_path, ("contrast", "information_plane", "dynamics", "heat_map"))
    assert html.stat().st_size < FIVE_MEGABYTES
    found = Seen(browser, html)
    assert len(found.heads()) == 4 * 12  # the first four shortcuts
    found.page.context.close()


@pytest.mark.skipif(not MADE, reason="INFOPLANE_REPORT names no report that an experiment made")
@pytest.mark.parametrize("made", MADE or [Path()], ids=lambda path: path.parent.name)
def test_a_report_that_an_experiment_made(browser: Browser, made: Path) -> None:
    found = Seen(browser, made)
    page = found.page
    page.wait_for_function(
        "[...document.querySelectorAll('figure .chart')].every((one) => one.querySelector('svg.marks'))"
    )
    heads, whole = found.heads(), found.drawn("plane")
    found.slide(1)
    assert heads and found.heads() != heads and found.drawn("plane") != whole
    boxes = page.locator("#explorer-shortcuts input")
    if boxes.count() > 1:
        boxes.last.uncheck()
        assert len(found.heads()) < len(heads)
    for label in page.locator("#explorer-architecture option").all_inner_texts():
        page.select_option("#explorer-architecture", label)
        page.wait_for_selector(f'#explorer-panels[data-ready="{label}"]')
        assert found.heads()
    assert (found.said, page.locator(".failed").count()) == ([], 0)
    assert [url for url in found.asked if not url.startswith(("data:", "blob:"))] == [made.as_uri()]
    assert made.stat().st_size < FIVE_MEGABYTES
    assert faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()

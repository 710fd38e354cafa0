"""Reports in a real browser, for the tests that look at them there."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from infoplane.charts import render
from infoplane.charts.frames import Tables
from infoplane.report import page as report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHARTS = ("contrast", "information_plane")
PATIENCE_MS = 180_000
"""A machine that does much else may take long to draw a page; no test asks how long."""
VIEWS = ("plane", "dynamics_x", "dynamics_y", "score")


def opened() -> Iterator[Browser]:
    """A browser, closed in the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def written(tables: Tables, folder: Path, charts: tuple[str, ...] = CHARTS) -> Path:
    paths = [folder / f"{name}.json" for name in charts]
    for name, path in zip(charts, paths, strict=True):
        render.save(render.spec(name, {}, tables), None, None, None, path)
    report.write(tables, paths, folder / "report.html")
    return folder / "report.html"


def faults(page: Page) -> list[str]:
    """What axe finds wrong with a page, every fold open: the rule, and where."""
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found]


class Seen:
    """A page with everything that its console said and that it asked for."""

    def __init__(self, browser: Browser, html: Path | str, **context: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(html.as_uri() if isinstance(html, Path) else html)
        self.page.wait_for_selector("#explorer-panels[data-ready][data-step]")

    def drawn(self, view: str) -> str:
        return self.settled(f'[data-view="{view}"] svg')

    def settled(self, selector: str) -> str:
        """What is drawn there once all that was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")
        return self.page.locator(selector).first.evaluate("(svg) => svg.outerHTML")

    def all(self) -> dict[str, str]:
        return {view: self.drawn(view) for view in VIEWS} | {"heat": self.settled("#explorer-heat")}

    def heads(self) -> list[str]:
        """Where the heads of the paths in the plane are."""
        self.drawn("plane")
        marks = self.page.locator('[data-view="plane"] .heads_marks path')
        return [mark.get_attribute("transform") or "" for mark in marks.all()]

    def slide(self, index: int) -> None:
        self.page.locator("#explorer-slider").fill(str(index))

    def step(self) -> int:
        return int(self.page.locator("#explorer-panels").get_attribute("data-step") or -1)

    def lit(self) -> str:
        return self.page.locator("#explorer-panels").get_attribute("data-focus") or ""

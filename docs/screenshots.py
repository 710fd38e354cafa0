"""Take the pictures of a report that the documentation shows: light, dark and narrow, from a real Chromium.

python docs/screenshots.py results/demo/report.html docs/images
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WAYS = {
    "light": {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
TALLEST = 2600
MIDDLE = 0.6
"""Where on its way through training the explorer stands: heads that have come some way, and shadows of the rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="a report, HTML")
    parser.add_argument("folder", type=Path, help="where report-{light,dark,narrow}.png go")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not args.report.exists():
        sys.exit(f"error: {args.report if chromium else 'chromium'} is missing.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, way in WAYS.items():
            page = browser.new_context(**way).new_page()
            page.goto(args.report.resolve().as_uri())
            page.wait_for_selector("#explorer-panels[data-step]")
            last = int(page.locator("#explorer-slider").get_attribute("max") or 0)
            page.locator("#explorer-slider").fill(str(round(MIDDLE * last)))
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            page.wait_for_timeout(1000)
            end = page.locator("#explorer-panels").bounding_box()
            assert end is not None
            height = min(TALLEST, round(end["y"] + end["height"]) + 40)
            page.evaluate("document.querySelectorAll('nav, .player').forEach((bar) => (bar.style.position = 'static'))")
            page.set_viewport_size({"width": way["viewport"]["width"], "height": height})
            page.wait_for_timeout(500)
            page.screenshot(path=args.folder / f"report-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()

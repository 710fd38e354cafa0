"""The documentation as a site: whole, without a link that leads nowhere, and without a word to any other host."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from conftest import REPOSITORY
from playwright.sync_api import sync_playwright

from infoplane.errors import UserError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DOCS = REPOSITORY / "docs"


def built(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does."""
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--doctree-dir", str(site.with_suffix(".doctrees"))]
    command = [sys.executable, "-m", "sphinx", *options, "-c", str(source / "docs"), str(source), str(site)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = built(REPOSITORY, folder)
    assert done.returncode == 0, f"pip install -c constraints.txt -e '.[docs]', or: {done.stderr}"
    return folder


class Page(HTMLParser):
    """What a page names: where it can be linked to, where it links to, and what a browser fetches for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attributes if value}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.fetched += [found[name] for name in ("src", "srcset", "data", "poster", "action") if name in found]
        if tag == "link" and "href" in found:
            self.fetched.append(found["href"])
        self.fetched += re.findall(r"url\(([^)]+)\)", found.get("style", ""))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    checked = 0
    for path, page in pages.items():
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(site)} names {link}"
            if parts.fragment and target in pages:
                anchors = pages[target].ids | {""}
                assert unquote(parts.fragment) in anchors, f"{path.relative_to(site)} names {link}"
            checked += 1
    assert checked > 500


def test_every_page_of_the_documentation_is_in_the_sidebar(site: Path, pages: dict[Path, Page]) -> None:
    listed = {(site / "docs" / urlsplit(link).path).resolve() for link in pages[site / "docs/README.html"].links}
    written = [
        *DOCS.glob("*.md"),
        REPOSITORY / "README.md",
        REPOSITORY / "CONTRIBUTING.md",
        REPOSITORY / "config/README.md",
    ]
    for page in written:
        assert (site / page.relative_to(REPOSITORY)).with_suffix(".html") in listed | {site / "docs/README.html"}
    assert pages[site / "index.html"].links == ["docs/README.html"]


def test_no_page_asks_another_host(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert not [name for name in page.fetched if urlsplit(name).netloc], path.relative_to(site)
    for path in site.rglob("*.css"):
        asked = re.findall(r"(?:url\(|@import)\s*[\"']?(https?:|//)", path.read_text(encoding="utf-8"))
        assert not asked, path.relative_to(site)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_no_page_asks_another_host_in_a_browser(site: Path, pages: dict[Path, Page]) -> None:
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
        page.on("request", lambda request: asked.append(request.url))
        for path in pages:
            if path.name == "index.html":
                continue  # it leads on at once
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{path.name} is wider than a phone"
        page.goto(f"{(site / 'search.html').as_uri()}?q=kernel")
        page.wait_for_selector("ul.search li a")
        browser.close()
    assert len(asked) > len(pages)
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


@pytest.mark.parametrize("wrong", ["[there](nowhere.md)", "[there](measures.md#nowhere)", "![it](images/nowhere.svg)"])
def test_a_link_that_leads_nowhere_stops_the_build(wrong: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    for name in ("conf.py", "site.css"):
        shutil.copy(DOCS / name, source / "docs" / name)
    (source / "docs/README.md").write_text("# Pages\n\n## All\n\n- [Measures](measures.md)\n", encoding="utf-8")
    page = source / "docs/measures.md"
    page.write_text("# Measures\n\n[Up](README.md#all)\n", encoding="utf-8")
    assert built(source, tmp_path / "right").returncode == 0
    page.write_text(f"# Measures\n\n{wrong}\n", encoding="utf-8")
    done = built(source, tmp_path / "wrong")
    assert done.returncode != 0 and "nowhere" in done.stderr


# Pictures


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """What draws them, which is no part of the package."""
    monkeypatch.syspath_prepend(DOCS)
    import contract_picture
    import dag_picture

    yield dag_picture, contract_picture
    for name in ("dag_picture", "contract_picture", "svg"):
        sys.modules.pop(name, None)


def test_the_pictures_show_what_is(tmp_path: Path) -> None:
    source = {"PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [sys.executable, str(DOCS / "pictures.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | source,
    )
    assert done.returncode == 0, done.stderr
    for name in ("workflow.svg", "data-contract.svg"):
        kept = (DOCS / "images" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == kept, f"{name} is old: python docs/pictures.py docs/images"


def test_the_picture_of_the_workflow_has_every_arrow(modules: tuple[ModuleType, ModuleType]) -> None:
    dag, _ = modules
    rules, edges = dag.asked()
    drawn = (DOCS / "images/workflow.svg").read_text(encoding="utf-8")
    named = re.findall(r"<title>(.*?)</title><path", drawn)
    assert {tuple(arrow.split(" → ")) for arrows in named for arrow in arrows.split("; ")} == edges
    assert set(re.findall(r'class="ink mono bold" text-anchor="start">(\w+)<', drawn)) == rules
    written = {
        rule
        for path in (REPOSITORY / "workflow").rglob("*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    assert rules == written - {*dag.TARGETS}, "EVERYTHING in docs/dag_picture.py does not need every rule"


def test_a_new_rule_and_a_turned_arrow_are_refused(
    modules: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    dag, _ = modules
    rules, edges = dag.asked()
    monkeypatch.setattr(dag, "asked", lambda: (rules | {"novelty"}, edges))
    with pytest.raises(UserError, match="differ in novelty"):
        dag.draw()
    monkeypatch.setattr(dag, "asked", lambda: (rules, edges | {("report", "data")}))
    with pytest.raises(UserError, match="from report to data would run up"):
        dag.draw()


def test_the_picture_of_the_contract_has_every_column(modules: tuple[ModuleType, ModuleType]) -> None:
    _, contract = modules
    drawn = (DOCS / "images/data-contract.svg").read_text(encoding="utf-8")
    shown = set(re.findall(r'class="ink mono[ a-z]*" text-anchor="start">([^<]+)<', drawn))
    for card in contract.cards():
        assert {*card.columns, *(name.replace("<", "&lt;").replace(">", "&gt;") for name in card.tensors)} <= shown

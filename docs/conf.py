"""The documentation as a site (`make docs`): the pages that GitHub shows, with the same links, complete when offline.

Sphinx with MyST, because both are well kept and every broken link or anchor can be made an error. The site mirrors the
repository: `docs/phases.md` becomes `docs/phases.html`; a file or folder that a page links to becomes a page below
`files/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

project = "infoplane"
html_title = "infoplane"
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "config/README.md", "docs/*.md"]
exclude_patterns = [".*", "results", "datasets", "site", "build", "src", "tests", "bench"]

myst_heading_anchors = 4
html_theme = "furo"
html_sidebars = {
    "**": [f"sidebar/{part}.html" for part in ("brand", "search", "scroll-start", "navigation", "scroll-end")]
}  # furo's own list, without its place for advertisements
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_use_index = False

Files = dict[str, Path]


def navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make the sidebar of the index page's own lists, so that there is one list of pages."""
    if docname != root_doc:
        return
    for part in source[0].split("\n## ")[1:]:
        caption, _, listed = part.partition("\n")
        names = []
        for text, page in re.findall(r"\[([^]]+)\]\(([^)#]+\.md)\)", listed):
            path = Path(app.srcdir, "docs", page).resolve().relative_to(Path(app.srcdir).resolve())
            names.append(f"{text[0].upper()}{text[1:]} </{path.with_suffix('')}>")
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", *names, "```\n"])


def files(app: Sphinx, doctree: nodes.document) -> None:
    """Turn links to files and folders that are no pages into links to pages that show them."""
    root, docname = Path(app.srcdir).resolve(), app.env.docname
    shown: Files = app.env.shown_files  # type: ignore[attr-defined]
    linked = [node for kind in (addnodes.download_reference, addnodes.pending_xref) for node in doctree.findall(kind)]
    for node in linked:
        path = (root / docname).parent.joinpath(node["reftarget"]).resolve()
        if node.get("refdomain") or not path.is_relative_to(root) or not path.exists() or path == root:
            continue  # Sphinx's own to resolve, or to complain about
        for found in (path, *path.rglob("*")) if path.is_dir() else (path,):
            shown[str(found.relative_to(root))] = found
        uri = relative_uri(f"{docname}.html", f"files/{path.relative_to(root)}.html")
        node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each of those, highlighted."""
    shown: Files = app.env.shown_files  # type: ignore[attr-defined]
    for name, path in sorted(shown.items()):
        if path.is_dir():
            entries = sorted(
                f"{entry.name}{'/' * entry.is_dir()}" for entry in path.iterdir() if not entry.is_symlink()
            )
            links = (f'<li><a href="{path.name}/{entry.rstrip("/")}.html">{entry}</a></li>' for entry in entries)
            body = f"<ul>{''.join(links)}</ul>"
        else:
            text = path.read_text(encoding="utf-8")
            try:
                language = get_lexer_for_filename(path.name).aliases[0]
            except ClassNotFound:
                language = "text"
            body = app.builder.highlighter.highlight_block(text, language)  # type: ignore[attr-defined]
        yield f"files/{name}", {"title": name, "body": f"<h1><code>{name}</code></h1>{body}"}, "page.html"


def front_door(app: Sphinx, exception: Exception | None) -> None:
    """`index.html` leads to the first page, which stands where the repository has it."""
    if exception is None:
        door = '<!doctype html><meta charset="utf-8"><title>infoplane</title>'
        door += f'<meta http-equiv="refresh" content="0; url={root_doc}.html"><a href="{root_doc}.html">infoplane</a>\n'
        Path(app.outdir, "index.html").write_text(door, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", lambda app: setattr(app.env, "shown_files", {}))
    app.connect("source-read", navigation)
    app.connect("doctree-read", files, priority=100)  # before links to files are gathered as downloads
    app.connect("html-collect-pages", pages)
    app.connect("build-finished", front_door)

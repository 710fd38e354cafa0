"""Turn a chart plug-in into files: an offline page, SVG, PNG, and the Vega-Lite spec itself."""

import json
import textwrap
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from infoplane import registry
from infoplane.charts import theme, vega
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.options import NoOptions
from infoplane.storage.atomic import atomic_path, write_text

PNG_SCALE = 2
TITLE_CHARACTERS = 105
TEMPLATES = Path(__file__).parent / "templates"


def templates(folder: Path = TEMPLATES) -> jinja2.Environment:
    """A folder's templates; everything that is not marked safe is escaped."""
    loader = jinja2.FileSystemLoader(folder)
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: no ``<`` can end it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def drawn(name: str, options: dict[str, Any], tables: Tables, function: str = "draw") -> dict[str, Any]:
    """What a plug-in's function draws, as it is; raises `UserError` for unknown options."""
    plugin = registry.load("chart", name)
    try:
        chosen = getattr(plugin, "Options", NoOptions)(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"charts.{name}: {str(error).removeprefix('Options.__init__() ')}.") from None
    with alt.data_transformers.enable("default", consolidate_datasets=True):
        alt.data_transformers.disable_max_rows()
        found: dict[str, Any] = getattr(plugin, function)(tables, chosen).to_dict()
    return found


def spec(name: str, options: dict[str, Any], tables: Tables, label: str = "") -> dict[str, Any]:
    """The Vega-Lite spec of one chart, titled by itself or by its plug-in's docstring.

    label: tells several charts of one kind apart. ``usermeta`` keeps name, title and notes for the report; the same
    tables and options give the same spec. Raises `UserError` for unknown options.
    """
    found = drawn(name, options, tables)
    title = found.pop("title", "") or registry.summary("chart", name).rstrip(".")
    if label not in ("", name):
        title = f"{title} ({label.replace('_', ' ')})"
    notes = [text for text in (found.pop("description", ""), theme.note(tables)) if text]
    found["title"] = {
        "text": textwrap.wrap(title, TITLE_CHARACTERS),
        "subtitle": [line for text in notes for line in textwrap.wrap(text, TITLE_CHARACTERS + 20)],
        "fontSize": 15,
        "anchor": "start",
        "frame": "bounds",
        "offset": 14,
    }
    found["description"] = f"{title}. {' '.join(notes)}"
    found["config"] = theme.CONFIG
    found["usermeta"] = {"name": label or name, "title": title, "notes": notes}
    return found


def save(found: dict[str, Any], html: Path | None, svg: Path | None, png: Path | None, json_: Path | None) -> None:
    """Write the wanted files, each atomically; the page works offline."""
    if json_:
        write_text(json_, json.dumps(found, sort_keys=True, indent=1, allow_nan=False) + "\n")
    if svg or png:
        drawn = vl_convert.vegalite_to_svg(found, vl_version=vega.VEGA_LITE)
        if svg:
            write_text(svg, drawn)
        if png:
            with atomic_path(png) as temporary:
                temporary.write_bytes(vl_convert.svg_to_png(drawn, scale=PNG_SCALE))
    if html:
        page = templates().get_template("chart.html.j2")
        write_text(
            html,
            page.render(title=found["usermeta"]["title"], bundle=vega.bundle(), spec=script_json(found)),
        )

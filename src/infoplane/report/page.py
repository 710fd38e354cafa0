"""One page that a colleague opens from an e-mail: numbers, charts, how to read them, and where they come from.

The page holds everything it shows (Vega once, the charts as specs) and asks the network for nothing: its own
security policy forbids it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from infoplane.charts import render, theme
from infoplane.charts.frames import Tables, curves
from infoplane.errors import UserError
from infoplane.report.numbers import SPARK_HEIGHT, SPARK_WIDTH, diagnostics, headlines, run_state
from infoplane.storage.atomic import write_text

TEMPLATES = Path(__file__).parent / "templates"


def dressing() -> dict[str, Markup]:
    """What every page wears: the style sheet and the script that draws its charts."""
    files = {"style": "report.css", "script": "report.js"}
    return {part: Markup((TEMPLATES / file).read_text(encoding="utf-8")) for part, file in files.items()}


def write(tables: Tables, charts: Sequence[Path], output: Path) -> None:
    """Write the report, atomically; charts are Vega-Lite specs of `render`, in the order in which they are shown.

    Raises `UserError` for a chart that is missing or is no such spec.
    """
    environment = render.templates(TEMPLATES)
    environment.filters |= {"number": number, "percent": percent}
    page = environment.get_template("report.html.j2")
    write_text(output, page.render(contents(tables, [_chart(path) for path in charts])))


def contents(tables: Tables, charts: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that the template shows."""
    metadata = tables.metadata
    config = metadata.get("config") or {}
    found = curves(tables, measures=(tables.headline,))
    runs = [run | {"state": run_state(run)} for run in metadata.get("runs") or []]
    return {
        "title": config.get("experiment") or "experiment",
        "question": question(tables),
        "family": found.family,
        "decoded": tables.headline == "zx",
        "headline": theme.brief_title(tables.headline, found.units.get(tables.headline, "nmse")),
        "samples": tables.samples,
        "headlines": headlines(tables),
        "spark": (SPARK_WIDTH, SPARK_HEIGHT),
        "charts": charts,
        "diagnostics": diagnostics(tables),
        "runs": runs,
        "gaps": [run for run in runs if run["state"] != "finished"],
        "metadata": metadata,
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else "not recorded",
        "bundle": Markup(render.vega_bundle()),
        **dressing(),
    }


def question(tables: Tables) -> str:
    """What the experiment asks, and of which networks."""
    config = tables.metadata.get("config") or {}
    data, steps = (config.get("data") or {}).get("kind"), (config.get("training") or {}).get("steps")
    where = (f" on {data}" if data else "") + (f" for {steps} steps" if steps else "")
    whose = f"Asked of {_list(tables.architectures)} with the shortcuts {_list(tables.shortcuts)}, trained{where}."
    if tables.headline != "zx":
        return f"While it learns, do a network's layers lose information on their input, I(X;Z)? {whose}"
    return (
        "While it learns, does a network first fit its input (Z-X falls) and then compress it (Z-X rises), and does "
        f"an identity shortcut make it skip the fitting? {whose}"
    )


def _list(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"


def _chart(path: Path) -> dict[str, Any]:
    """One chart for the template: name, title, notes, and the spec without what the page says itself."""
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
        about = spec["usermeta"]
        shown = {key: value for key, value in spec.items() if key != "title"}
        return {
            "name": about["name"],
            "title": about["title"],
            "notes": about["notes"],
            "spec": Markup(render.script_json(shown)),
        }
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to draw it.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a chart of infoplane: delete it and run the workflow again.") from None


def number(value: float | None) -> str:
    """Three decimals, four below 0.01; or a dash."""
    return "–" if value is None else f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.4f}"


def percent(value: float | None) -> str:
    """Per cent with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"

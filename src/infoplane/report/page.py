"""Write the report, one page that can be sent by e-mail: the answer, charts to explore, details and provenance.

The page holds everything it shows (Vega once, the charts as specs) and asks the network for nothing: its own
security policy forbids it. What was not made is said in a line where it would stand.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from infoplane.charts import panels, pictures, render, theme, vega
from infoplane.charts.frames import Tables
from infoplane.errors import UserError
from infoplane.quantities import duration
from infoplane.report import downloads, explorer
from infoplane.report.answer import answer
from infoplane.report.durations import durations
from infoplane.report.estimators import accuracy
from infoplane.report.findings import blocks, phases
from infoplane.report.numbers import SPARK_HEIGHT, SPARK_WIDTH, diagnostics, headlines, run_state
from infoplane.report.origin import origin
from infoplane.storage.atomic import write_text

TEMPLATES = Path(__file__).parent / "templates"
HEADLINE_CHART = "contrast"
SECTIONS = {  # where the page's menu leads, and under which name
    "answer": "Answer",
    "explorer": "Explore",
    "numbers": "Numbers",
    "charts": "Charts",
    "phases": "Phases",
    "blocks": "Blocks",
    "reconstructions": "Images",
    "histograms": "Activations",
    "trust": "Estimators",
    "runs": "Runs",
    "provenance": "Provenance",
}


@dataclass(frozen=True)
class Beside:
    """What a page shows beside the tables and charts, where it was made.

    verdicts: their table; reconstructions, histograms: files of runs; accuracy: the estimators' record, JSON;
    benchmarks: the folder of the jobs' timings; figures: the charts for print, PDF, each named after its chart;
    runs: the folder of the runs' histories.
    """

    verdicts: Path | None = None
    reconstructions: Sequence[Path] = ()
    histograms: Sequence[Path] = ()
    accuracy: Path | None = None
    benchmarks: Path | None = None
    figures: Sequence[Path] = ()
    runs: Path | None = None


def text(*names: str) -> Markup:
    """Style sheets or scripts from the templates, one after another."""
    return Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names))


def dressing() -> dict[str, Markup]:
    """Give what every page needs: the style sheet and the script that draws its charts."""
    return {"style": text("report.css"), "script": text("report.js")}


def write(tables: Tables, charts: Sequence[Path], output: Path, beside: Beside | None = None) -> None:
    """Write the report, atomically; charts are Vega-Lite specs of `render`, in the order in which they are shown.

    Raises `UserError` for a chart that is missing or is no such spec, and for whatever else is damaged.
    """
    environment = render.templates(TEMPLATES)
    environment.filters |= FILTERS
    page, beside = environment.get_template("report.html.j2"), beside or Beside()
    figures = {path.stem: path for path in beside.figures}
    shown = contents(tables, [_chart(path, figures.get(path.stem)) for path in charts], beside)
    write_text(output, page.render(shown | {"csv": downloads.tables(shown)}))


def contents(tables: Tables, charts: list[dict[str, Any]], beside: Beside) -> dict[str, Any]:
    """Everything that the templates show."""
    metadata = tables.metadata
    config = metadata.get("config") or {}
    found = explorer.curves_shown(tables)
    measure = tables.headline
    runs = [run | {"state": run_state(run)} for run in metadata.get("runs") or []]
    first = next((chart for chart in charts if chart["name"] == HEADLINE_CHART), charts[0] if charts else None)
    others = [chart for chart in charts if chart is not first]
    return {
        "title": config.get("experiment") or "experiment",
        "question": question(tables),
        "family": found.family,
        "decoded": measure == "zx",
        "headline": theme.brief_title(measure, found.units.get(measure, "nmse")),
        "samples": tables.samples,
        "target": tables.target,
        "sections": {place: name for place, name in SECTIONS.items() if place != "charts" or others},
        "answer": answer(tables, found, beside.verdicts),
        "headline_chart": first,
        "explorer": _explorer(tables),
        "headlines": headlines(tables),
        "spark": (SPARK_WIDTH, SPARK_HEIGHT),
        "charts": others,
        "phases": phases(tables, found),
        "blocks": blocks(tables),
        "reconstructions": pictures.reconstructions(beside.reconstructions, tables),
        "histograms": pictures.histograms(beside.histograms, tables),
        "diagnostics": diagnostics(tables),
        "accuracy": accuracy(tables, beside.accuracy),
        "durations": durations(beside.benchmarks),
        "origin": origin(tables, beside.runs),
        "runs": runs,
        "gaps": [run for run in runs if run["state"] != "finished"],
        "metadata": metadata,
        "metric": tables.metric,
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else "not recorded",
        "bundle": Markup(vega.bundle()),
        "explorer_style": text("sections/explorer.css"),
        "explorer_script": text(*(f"sections/{name}.js" for name in ("diagram", "address", "rows", "explorer"))),
        **dressing(),
    }


def _explorer(tables: Tables) -> dict[str, Any] | None:
    data = explorer.dataset(tables)
    if data is None:
        return None
    specs = panels.specs(tables, explorer.curves_shown(tables))
    return {
        "x": data["measures"].get(panels.ACROSS),
        "y": data["measures"].get(panels.UP),
        "plane": "plane" in specs,
        "data": Markup(render.script_json(data)),
        "specs": Markup(render.script_json(specs)),
    }


def question(tables: Tables) -> str:
    """What the experiment asks, and of which networks."""
    config = tables.metadata.get("config") or {}
    data, steps = (config.get("data") or {}).get("kind"), (config.get("training") or {}).get("steps")
    own = [((one or {}).get("training") or {}).get("steps") for one in (config.get("architectures") or {}).values()]
    every = sorted({int(number) for number in (each or steps for each in own) if number})
    if len(every) > 1:
        steps = f"{every[0]} to {every[-1]}"
    where = (f" on {data}" if data else "") + (f" for {steps} steps" if steps else "")
    whose = f"Asked of {_list(tables.architectures)} with the shortcuts {_list(tables.shortcuts)}, trained{where}."
    if tables.headline != "zx":
        return f"While it learns, does the information of a network's layers on their input, I(X;Z), fall? {whose}"
    return (
        "While it learns, does a network first fit its input (Z-X falls) and then compress it (Z-X rises), and does "
        f"an identity shortcut make it skip the fitting? {whose}"
    )


def _list(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"


def _chart(path: Path, figure: Path | None) -> dict[str, Any]:
    """One chart for the template: name, title, notes, the spec, and the figure for print where there is one."""
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
        about = spec["usermeta"]
        return {
            "name": about["name"],
            "title": about["title"],
            "notes": about["notes"],
            "spec": Markup(render.script_json(spec)),
            "pdf": downloads.packed(figure.read_bytes()) if figure else "",
        }
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: run the workflow again to draw it.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a chart of infoplane: delete it and run the workflow again.") from None


def number(value: float | None) -> str:
    """Three decimals, four below 0.01, one from 10 on; or a dash."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 0 if size < 0.00005 else 4 if size < 0.01 else 3 if size < 10 else 1
    return f"{value:.{digits}f}".replace("-0", "0" if size < 0.00005 else "−0").replace("-", "−")


def chance(value: float | None) -> str:
    """A p value; or a dash."""
    return "–" if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def percent(value: float | None) -> str:
    """Per cent with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"


def confidence(value: float | None) -> str:
    """Per cent without decimals, never a hundred; or a dash."""
    return "–" if value is None else ">99%" if value > 0.995 else f"{value:.0%}"


def step(value: float | None) -> str:
    """A training step without decimals, or a dash."""
    return "–" if value is None else f"{value:.0f}"


FILTERS: dict[str, Callable[..., str]] = {
    "number": number,
    "chance": chance,
    "percent": percent,
    "confidence": confidence,
    "step": step,
    "duration": duration,
}
"""What the macros of all pages write values with."""

"""The accuracy table as one page: what each estimator gets right, what it cannot do, and every number."""

from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from infoplane.charts import render, vega
from infoplane.charts.accuracy import ABSENT, FEWEST, MARKS, VERDICTS, WRONG, Accuracy, scores
from infoplane.charts.accuracy_chart import QUANTITIES
from infoplane.report.page import FILTERS, TEMPLATES, dressing
from infoplane.storage.atomic import write_text

ROUNDING = 1e-15


def write(accuracy: Accuracy, spec: dict[str, Any], output: Path) -> None:
    """Write the page, atomically; it holds everything it shows."""
    environment = render.templates(TEMPLATES)
    environment.filters |= FILTERS | {"value": value, "seconds": seconds, "share": share}
    page = environment.get_template("accuracy.html.j2")
    write_text(output, page.render(contents(accuracy, spec)))


def contents(accuracy: Accuracy, spec: dict[str, Any]) -> dict[str, Any]:
    """Everything that the template shows."""
    rows = accuracy.rows
    return {
        "families": accuracy.metadata["families"],
        "sizes": sorted(rows["n"].drop_nulls().unique().to_list()),
        "repeats": rows["repeats"].max() or 0,
        "distributions": rows["distribution"].n_unique(),
        "scores": scores(rows).to_dicts(),
        "wrong": rows.filter(pl.col("verdict") == WRONG).height,
        "tables": {
            QUANTITIES.get(one, one): blocks(rows.filter(pl.col("quantity") == one)) for one in accuracy.measures
        },
        "marks": MARKS,
        "verdicts": VERDICTS,
        "absent": ABSENT,
        "fewest": FEWEST,
        "metadata": accuracy.metadata,
        "chart": spec["usermeta"] | {"spec": Markup(render.script_json(spec)), "pdf": ""},
        "bundle": Markup(vega.bundle()),
        **dressing(),
    }


def blocks(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows of one measure, a block per distribution."""
    found = []
    for (name,), block in rows.group_by("distribution", maintain_order=True):
        found.append({"distribution": name, "truth": block["truth"][0], "rows": block.to_dicts()})
    return found


def value(number: float | None) -> str:
    """Three decimals, a power of ten for what is small, 0 for what is rounding; or a dash."""
    if number is None:
        return "–"
    text = "0" if abs(number) < ROUNDING else f"{number:.3f}" if abs(number) >= 0.0005 else f"{number:.0e}"
    return text.replace("-", "−")


def share(number: float | None) -> str:
    """A share in percent; or a dash."""
    return "–" if number is None else f"{number:.0%}"


def seconds(number: float | None) -> str:
    """A duration in seconds, two digits; or a dash."""
    return "–" if number is None else f"{number:.2g}" if number >= 0.001 else "<0.001"

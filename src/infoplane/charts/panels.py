"""The views of the report's explorer: plane, dynamics, metric and heat map, each a Vega-Lite spec without data.

The page's script fills the data sources ``curves`` and ``scores`` and steers all views alike by these signals:
``shown`` (shortcuts) and ``sites`` (lists), ``focus`` (the highlighted site), ``series`` (the highlighted shortcut,
or empty), ``step``, and the ranges and ticks of both measures. Ranges belong to an architecture, so that what is
picked never moves the axes.
"""

from typing import Any

import altair as alt

from infoplane.charts import scales, theme
from infoplane.charts.frames import Curves, Tables
from infoplane.phases.targets import of_target

ACROSS, UP = "x", "y"
HEIGHTS = {"plane": 400, "dynamics": 150, "score": 110, "heat": 210}

PICKED = "indexof(shown, datum.shortcut) >= 0"
LISTED = f"{PICKED} && indexof(sites, datum.site) >= 0"
LIT = "datum.site == focus && (series == '' || series == datum.shortcut)"
BRIGHT = "series == '' || series == datum.shortcut"
REACHED, HEAD = "datum.step <= step", "datum.step <= step && datum.next > step"

ASIDE = alt.ExprRef("datum.rank % 2 ? 11 : -8")
"""Where a head's name stands: neighbours above and below."""

Chart = alt.LayerChart | alt.FacetChart
Tooltip = list[alt.Tooltip]


def specs(tables: Tables, found: Curves) -> dict[str, dict[str, Any]]:
    """Every view's spec by its name; dynamics of a measure, and the plane, only where they were measured."""
    steps = scales.Steps(found.steps)
    measured = [axis for axis, measure in zip((ACROSS, UP), found.measures, strict=True) if found.units.get(measure)]
    charts: dict[str, Chart] = {}
    if len(measured) == 2:
        charts["plane"] = plane(tables, found)
    for axis in measured:
        charts[f"dynamics_{axis}"] = dynamics(tables, found, steps, axis)
    charts["score"] = score(tables, steps)
    charts["heat"] = heat(found, measured)
    drawn = {}
    for name, chart in charts.items():
        drawn[name] = chart.add_params(*signals()).to_dict() | {"config": theme.CONFIG | {"padding": 2}}
    return drawn


def signals() -> list[alt.Parameter]:
    """What the page's script sets in every view."""
    values: dict[str, Any] = {
        "shown": [],
        "sites": [],
        "focus": "",
        "series": "",
        "step": 0,
        "only": "",
        "measure": "x",
    }
    values["measure"] = ACROSS
    for axis in (ACROSS, UP):
        values |= {f"{axis}_low": 0, f"{axis}_high": 1, f"{axis}_ticks": []}
    return [alt.param(name=name, value=value) for name, value in values.items()]


def plane(tables: Tables, found: Curves) -> Chart:
    """Every picked site's path up to the step, with a marker at its head; the rest of the path is a shadow."""
    x = _measure(alt.X, found, 0)
    y = _measure(alt.Y, found, 1)
    colour = _colour(tables)
    base = alt.Chart()
    path = base.encode(x, y, colour, detail="site:N", order="step:Q")
    tooltip = _tooltip(found)
    shadow = path.mark_line(interpolate="linear", strokeWidth=1).encode(opacity=_when(LIT, 0.35, 0.13))
    walked = path.transform_filter(REACHED).mark_line(strokeCap="round", strokeJoin="round").properties(name="walked")
    heads = base.transform_filter(HEAD)
    layers = [
        shadow,
        walked.encode(opacity=_when(LIT, 1, 0.3), strokeWidth=_when(LIT, 3, 1.1)),
        base.transform_filter(f"{REACHED} && datum.first && {LIT}")
        .mark_point(size=70, filled=True, fill="white", strokeWidth=1.8, opacity=1)
        .encode(x, y, _colour(tables, "stroke")),
        base.transform_filter(f"{REACHED} && datum.turn && {LIT}")
        .mark_point(size=110, shape="diamond", filled=True, fill="white", strokeWidth=2, opacity=1)
        .encode(x, y, _colour(tables, "stroke")),
        heads.properties(name="heads")
        .mark_circle()
        .encode(x, y, colour, size=_when(LIT, 120, 26), opacity=_when(LIT, 1, 0.55), tooltip=tooltip),
        base.mark_circle(size=130, opacity=0).encode(x, y, tooltip=tooltip),
        *(
            heads.transform_filter(LIT)
            .mark_text(align="left", dx=9, dy=ASIDE, fontSize=11, fontWeight=600, **look)
            .encode(x, y, text="shortcut:N")
            for look in theme.HALOED
        ),
    ]
    if found.measures[1] == "zy" and (entropy := found.label_entropy()) is not None:
        reference = alt.Chart(alt.InlineData(values=[{UP: entropy}]))
        rule = reference.mark_rule(strokeDash=[4, 3], color=theme.FAINT).encode(y)
        words = reference.mark_text(align="left", baseline="bottom", dx=4, dy=-2, fontSize=10, color=theme.FAINT)
        layers = [rule, words.encode(y, x=alt.value(0), text=alt.value("H(Y)")), *layers]
    chart = alt.layer(*layers, data=alt.NamedData(name="curves")).transform_filter(LISTED)
    return chart.properties(width="container", height=HEIGHTS["plane"])


def dynamics(tables: Tables, found: Curves, steps: scales.Steps, axis: str) -> Chart:
    """One measure of every picked site by step, the highlighted site's with the range over seeds."""
    index = (ACROSS, UP).index(axis)
    x, y, colour = steps.x(shown=axis == UP), _measure(alt.Y, found, index, few=True), _colour(tables)
    base, tooltip = alt.Chart(), _tooltip(found)
    band = _measure(alt.Y, found, index, field=f"{axis}_low", few=True)
    lines = base.mark_line().encode(x, y, colour, detail="site:N")
    return (
        alt.layer(
            base.transform_filter(f"{LIT} && isValid(datum.{axis}_low)")
            .mark_area(opacity=0.18)
            .encode(x, band, alt.Y2(f"{axis}_high:Q"), colour),
            lines.encode(opacity=_when(LIT, 1, 0.2), strokeWidth=_when(LIT, 2.4, 1)),
            _now(steps, x),
            base.transform_filter(f"datum.turn && {LIT}")
            .mark_point(size=80, shape="diamond", filled=True, fill="white", strokeWidth=1.8, opacity=1)
            .encode(x, y, _colour(tables, "stroke")),
            base.transform_filter(HEAD)
            .mark_circle()
            .encode(x, y, colour, size=_when(LIT, 80, 16), opacity=_when(LIT, 1, 0.45)),
            base.mark_circle(size=110, opacity=0).encode(x, y, tooltip=tooltip),
            data=alt.NamedData(name="curves"),
        )
        .transform_filter(f"{LISTED} && isValid(datum.{axis})")
        .properties(width="container", height=HEIGHTS["dynamics"])
    )


def score(tables: Tables, steps: scales.Steps) -> Chart:
    """The task's metric on validation (solid) and training samples (dashed) of the picked shortcuts by step."""
    x, metric = steps.x(), tables.metric
    form, brief = ("%", ".1%") if metric.unit == "share" else (scales.FORMAT, ".4g")
    axis = alt.Axis(title=metric.axis, format=form, tickCount=3, minExtent=theme.AXIS_EXTENT)
    bounds = [metric.low, metric.high]
    scale = alt.Scale(zero=False) if None in bounds else alt.Scale(domain=bounds)
    y, colour = alt.Y("score:Q", scale=scale, axis=axis), _colour(tables)
    tooltip = [
        alt.Tooltip("shortcut:N"),
        alt.Tooltip("split:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip("score:Q", format=brief, title=f"{metric.title}, mean"),
        alt.Tooltip("score_low:Q", format=brief, title="smallest seed"),
        alt.Tooltip("score_high:Q", format=brief, title="largest seed"),
    ]
    dash = alt.StrokeDash(
        "split:N", scale=alt.Scale(domain=["validation", "train"], range=[[1, 0], [3, 3]]), legend=None
    )
    base = alt.Chart()
    return (
        alt.layer(
            base.transform_filter(f"datum.split == 'validation' && ({BRIGHT})")
            .mark_area(opacity=0.15)
            .encode(x, alt.Y("score_low:Q", scale=scale, axis=axis), alt.Y2("score_high:Q"), colour),
            base.mark_line().encode(x, y, colour, dash, opacity=_when(BRIGHT, 1, 0.2), strokeWidth=alt.value(1.8)),
            _now(steps, x),
            base.mark_circle(size=110, opacity=0).encode(x, y, tooltip=tooltip),
            data=alt.NamedData(name="scores"),
        )
        .transform_filter(PICKED)
        .properties(width="container", height=HEIGHTS["score"])
    )


def heat(found: Curves, measured: list[str]) -> Chart:
    """Site by checkpoint of one shortcut (the signal ``only``); what is yet to come is pale."""
    value = f"measure == '{UP}' ? datum.{UP} : datum.{ACROSS}" if len(measured) == 2 else f"datum.{measured[0]}"
    axis = alt.Axis(title=scales.STEP, labelAngle=0, labelOverlap="greedy", ticks=False, labelFontSize=10)
    y = alt.Y("site:N", sort=alt.EncodingSortField("depth", order="descending"), axis=alt.Axis(title=None, ticks=False))
    x = alt.X("step:O", axis=axis)
    span = [alt.ExprRef(f"measure == '{UP}' ? {UP}_{end} : {ACROSS}_{end}") for end in ("low", "high")]
    kinds: scales.Kind = "sqrt" if found.measures[0] == "zx" else "linear"
    scale = alt.Scale(scheme="viridis", type=kinds, domain=span, nice=False, zero=False)
    base = alt.Chart()
    cells = base.mark_rect().encode(
        x,
        y,
        alt.Color("shade:Q", scale=scale, legend=None),
        opacity=_when(REACHED, 1, 0.25),
        tooltip=_tooltip(found),
    )
    frame: dict[str, Any] = {"filled": False, "stroke": theme.INK, "strokeWidth": 1.6}
    return (
        alt.layer(
            cells,
            base.transform_filter("datum.site == focus && datum.last").mark_rect(**frame).encode(y),
            base.transform_filter(f"datum.site == focus && {HEAD}").mark_rect(**frame).encode(x, y),
            data=alt.NamedData(name="curves"),
        )
        .transform_filter("datum.shortcut == only && indexof(sites, datum.site) >= 0")
        .transform_calculate(shade=value)
        .transform_filter("isValid(datum.shade)")
        .properties(width="container", height=HEIGHTS["heat"])
    )


def _now(steps: scales.Steps, x: alt.X) -> alt.Chart:
    """A line at the step."""
    line = alt.Chart(alt.InlineData(values=[{}])).transform_calculate(at=f"max(step, {steps.zero})")
    return line.mark_rule(color=theme.FAINT, strokeDash=[2, 2]).encode(x)


def _measure(channel: type[alt.X] | type[alt.Y], found: Curves, index: int, field: str = "", few: bool = False) -> Any:
    """An axis of a measure whose range the script sets."""
    axis, measure = (ACROSS, UP)[index], found.measures[index]
    scale = alt.Scale(
        type="sqrt" if of_target(measure)[0] in ("zx", "zy") else "linear",
        domain=[alt.ExprRef(f"{axis}_low"), alt.ExprRef(f"{axis}_high")],
        nice=False,
        zero=False,
    )
    unit = found.units.get(measure, "")
    title = theme.brief_title(measure, unit) if few else theme.zx_title(320) if measure == "zx" else None
    ticks = alt.ExprRef(f"{axis}_ticks")
    return channel(
        f"{field or axis}:Q",
        scale=scale,
        axis=alt.Axis(
            title=title or theme.axis_title(measure, unit),
            values=ticks,
            format=scales.FORMAT,
            labelOverlap="greedy" if few else False,
            minExtent=theme.AXIS_EXTENT if channel is alt.Y else 0,
        ),
    )


def _colour(tables: Tables, channel: str = "color") -> Any:
    kind = alt.Color if channel == "color" else alt.Stroke
    return kind("shortcut:N", scale=theme.shortcut_colours(tables), legend=None)


def _when(test: str, then: float, otherwise: float) -> Any:
    return alt.condition(test, alt.value(then), alt.value(otherwise))


def _tooltip(found: Curves) -> Tooltip:
    """Site, shortcut, step, and both measures with their range over seeds, as the script has written them out."""
    titles = [theme.brief_title(measure, found.units.get(measure, "")) for measure in found.measures]
    return [
        *(alt.Tooltip(f"{name}:N") for name in ("site", "shortcut", "step")),
        alt.Tooltip("x_words:N", title=titles[0]),
        alt.Tooltip("y_words:N", title=titles[1]),
        alt.Tooltip("seeds:N"),
        alt.Tooltip("phase:N"),
    ]

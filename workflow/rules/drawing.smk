"""What the rules of charts, and what shows their results, need to know: functions and paths only.

Needs: the configuration. Makes: nothing.
"""

CHART_FILES = ("html", "svg", "pdf", "png", "json")
PHASES = [
    f"{RESULTS}/{{scope}}phases/{name}.parquet"
    for name in ("phases", "differences", "gaps", "nulls", "blocks", "targets")
]
ANSWER = f"{RESULTS}/{{scope}}phases/answer.md"
PLANES = [chart for chart in PLAN.charts.values() if chart.kind == "information_plane"]
ANIMATED = PLANES and PLAN.config.animation.format != "none"
ANIMATION = f"{RESULTS}/charts/information_plane.{PLAN.config.animation.format}"


def chart_kind(wildcards):
    """The plug-in behind a chart's label."""
    return PLAN.charts[wildcards.chart].kind


def read_by_chart(what, paths):
    """An input function: the paths, where the chart reads this of the experiment; else nothing."""
    return lambda wildcards: (
        [path.format(scope=wildcards.scope) for path in paths]
        if what in registry.reads("chart", chart_kind(wildcards))
        else []
    )


def charts_labels(form):
    """Labels of one of a chart's files in Snakemake's own report."""
    return lambda wildcards: {"chart": wildcards.chart.replace("_", " "), "format": form}


def animation_options(wildcards):
    """Those of the experiment's first information plane."""
    return canonical(PLANES[0].options if PLANES else {})


def chart_options(wildcards):
    return canonical(PLAN.charts[wildcards.chart].options)


def every_chart(form):
    """An input function: one of the files of each chart, in the configuration's order."""
    return lambda wildcards: [f"{RESULTS}/{wildcards.scope}charts/{chart}.{form}" for chart in PLAN.charts]


def charts_order(wildcards):
    """In which order the page shows them; Snakemake compares files, and not their order."""
    return json.dumps({"charts": list(PLAN.charts)})


def summary_verdicts(scope=""):
    """The verdicts' table, where the experiment makes claims."""
    return [f"{RESULTS}/{scope}verdicts/verdicts.parquet"] if PLAN.config.claims else []

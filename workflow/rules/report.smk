"""Tables of the whole experiment, charts of the tables, and one page that holds it all.

Needs: train/ and measures/ of every run (or, under partial/, of those that exist).
Makes: tables/, charts/ and report.html.
"""


rule tables:
    """Gather every run's measures and history, and say what is missing or diverged."""
    input:
        script=f"{SCRIPTS}/tables.py",
        runs=tables_input,
        sources=sources("tables"),
    output:
        measures=f"{RESULTS}/{{scope}}tables/measures.parquet",
        history=f"{RESULTS}/{{scope}}tables/history.parquet",
    log:
        f"{LOGS}/{{scope}}tables.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}tables.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        grid=tables_grid,
        history=history_template,
        measures=measures_template,
        experiment=experiment_spec,
        existing=tables_existing,
    message:
        "Gather {wildcards.scope}tables of the experiment"
    shell:
        "python {input.script:q} --grid {params.grid:q} --run-history {params.history:q}"
        " --run-measures {params.measures:q} --config {params.experiment:q}"
        " --measures {output.measures:q} --history {output.history:q} >{log:q} 2>&1"


rule charts:
    """Draw one chart from the two tables."""
    input:
        script=f"{SCRIPTS}/charts.py",
        sources=charts_sources,
        measures=rules.tables.output.measures,
        history=rules.tables.output.history,
    output:
        html=report(
            f"{RESULTS}/{{scope}}charts/{{chart}}.html",
            category="Charts",
            labels={"chart": "{chart}", "format": "interactive"},
        ),
        svg=report(
            f"{RESULTS}/{{scope}}charts/{{chart}}.svg",
            category="Charts",
            labels={"chart": "{chart}", "format": "figure"},
        ),
        png=f"{RESULTS}/{{scope}}charts/{{chart}}.png",
        json=f"{RESULTS}/{{scope}}charts/{{chart}}.json",
    log:
        f"{LOGS}/{{scope}}charts/{{chart}}.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}charts/{{chart}}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        kind=chart_kind,
        options=chart_options,
    message:
        "Draw {wildcards.scope}{wildcards.chart}"
    shell:
        "python {input.script:q} --chart {params.kind:q} --label {wildcards.chart:q} --options {params.options:q}"
        " --measures {input.measures:q} --history {input.history:q} --html {output.html:q} --svg {output.svg:q}"
        " --png {output.png:q} --json {output.json:q} >{log:q} 2>&1"


rule report:
    """One self-contained page: answer, charts, provenance."""
    input:
        script=f"{SCRIPTS}/report.py",
        sources=report_sources,
        measures=rules.tables.output.measures,
        history=rules.tables.output.history,
        charts=charts_json,
    output:
        report(f"{RESULTS}/{{scope}}report.html", category="Report"),
    log:
        f"{LOGS}/{{scope}}report.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}report.tsv"
    conda:
        "../../envs/infoplane.yaml"
    message:
        "Write the {wildcards.scope}report"
    shell:
        "python {input.script:q} --measures {input.measures:q} --history {input.history:q}"
        " --charts {input.charts:q} --output {output:q} >{log:q} 2>&1"

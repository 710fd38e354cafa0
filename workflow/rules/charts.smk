"""Charts, each from the tables alone.

Needs: tables/. Makes: charts/.
"""


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

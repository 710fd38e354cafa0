"""Charts, each from the tables alone, and one of them as a moving picture.

Needs: tables/ and, for charts that read them, phases/. Makes: charts/.
"""


rule charts:
    """Draw one chart, for the page and for print."""
    input:
        measures=rules.tables.output.measures,
        history=rules.tables.output.history,
        phases=read_by_chart("phases", PHASES),
    output:
        html=report(
            f"{RESULTS}/{{scope}}charts/{{chart}}.html",
            category="Charts",
            labels=charts_labels("page, interactive"),
        ),
        svg=report(
            f"{RESULTS}/{{scope}}charts/{{chart}}.svg",
            category="Charts",
            labels=charts_labels("figure, SVG"),
        ),
        pdf=report(
            f"{RESULTS}/{{scope}}charts/{{chart}}.pdf",
            category="Charts",
            labels=charts_labels("figure, PDF"),
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
        script=script("charts"),
        code=charts_code,
        kind=chart_kind,
        options=chart_options,
        width=PLAN.config.figures.width,
    message:
        "Draw {wildcards.scope}{wildcards.chart}"
    shell:
        "python {params.script:q} --chart {params.kind:q} --label {wildcards.chart:q} --options {params.options:q}"
        " --measures {input.measures:q} --history {input.history:q} --phases {input.phases:q} --html {output.html:q}"
        " --png {output.png:q} --json {output.json:q} --svg {output.svg:q} --pdf {output.pdf:q} --width {params.width}"
        " >{log:q} 2>&1"


rule animation:
    """Draw the information plane's paths as they grow with the training step."""
    input:
        measures=f"{RESULTS}/tables/measures.parquet",
        history=f"{RESULTS}/tables/history.parquet",
    output:
        report(
            ANIMATION,
            category="Charts",
            labels={"chart": "information plane", "format": f"animation, {PLAN.config.animation.format.upper()}"},
        ),
    log:
        f"{LOGS}/animation.log",
    benchmark:
        f"{BENCHMARKS}/animation.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("animation"),
        code=code_behind("animation", ("chart", "information_plane")),
        options=animation_options,
        seconds=PLAN.config.animation.seconds,
    message:
        "Draw the animation of the information plane"
    shell:
        "python {params.script:q} --options {params.options:q} --seconds {params.seconds} --measures {input.measures:q}"
        " --history {input.history:q} --output {output:q} >{log:q} 2>&1"

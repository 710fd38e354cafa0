"""One page that holds it all.

Needs: tables/ and charts/. Makes: report.html.
"""


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

"""One page that holds it all.

Needs: tables/, phases/ and charts/; verdicts/, reconstructions/ and histograms/ where the experiment has them.
Makes: report.html.
"""


rule report:
    """One self-contained page: answer, charts to explore, detail, provenance."""
    input:
        measures=rules.tables.output.measures,
        history=rules.tables.output.history,
        phases=PHASES,
        verdicts=lambda wildcards: summary_verdicts(wildcards.scope),
        charts=every_chart("json"),
        figures=every_chart("pdf"),
        reconstructions=reconstructions_files,
        histograms=histograms_files,
    output:
        report(f"{RESULTS}/{{scope}}report.html", category="Report"),
    log:
        f"{LOGS}/{{scope}}report.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}report.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("report"),
        code=report_code,
        accuracy=apart(ACCURACY),
        reconstructions=reconstructions_shown,
        histograms=histograms_shown,
        benchmarks=BENCHMARKS,
        order=charts_order,
        runs=f"{RESULTS}/train",
    message:
        "Write the {wildcards.scope}report"
    shell:
        "python {params.script:q} --measures {input.measures:q} --history {input.history:q} --phases {input.phases:q}"
        " --verdicts {input.verdicts:q} --charts {input.charts:q} --figures {input.figures:q}"
        " --reconstructions {input.reconstructions:q} {params.reconstructions:q}"
        " --histograms {input.histograms:q} {params.histograms:q} --accuracy {params.accuracy:q} --benchmarks {params.benchmarks:q}"
        " --runs {params.runs:q}"
        " --output {output:q} >{log:q} 2>&1"

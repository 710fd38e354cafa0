"""One file that another person can open and rerun.

Needs: report.html, charts/, tables/, phases/; verdicts/, reconstructions/ and histograms/ where the experiment has
them. Makes: archive/.
"""


localrules:
    archive,


rule archive:
    """Pack results, code and the complete configuration, so that another person can open and rerun them."""
    input:
        shown=archive_shown(),
        given=archive_given,
    output:
        ARCHIVE,
    log:
        f"{LOGS}/archive.log",
    benchmark:
        f"{BENCHMARKS}/archive.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("archive"),
        code=archive_code,
        content=data_content,
        checkout=apart(str(BASE)),
        config=archive_config,
        results=apart(RESULTS),
        left_out=archive_left_out,
    message:
        f"Archive {PLAN.config.experiment}"
    shell:
        "python {params.script:q} --checkout {params.checkout:q} --config {params.config:q} --given {input.given:q}"
        " --results {params.results:q} --shown {input.shown:q} --left-out {params.left_out:q} --output {output:q}"
        " >{log:q} 2>&1"

"""From curves to answers: phases with confidence, differences between shortcuts, how each block compresses.

Needs: tables/. Makes: phases/.
"""


rule phases:
    """Label every curve, compare shortcuts, and try the labels on curves that never move."""
    input:
        measures=rules.tables.output.measures,
        history=rules.tables.output.history,
    output:
        phases=f"{RESULTS}/{{scope}}phases/phases.parquet",
        differences=f"{RESULTS}/{{scope}}phases/differences.parquet",
        gaps=f"{RESULTS}/{{scope}}phases/gaps.parquet",
        nulls=f"{RESULTS}/{{scope}}phases/nulls.parquet",
        blocks=f"{RESULTS}/{{scope}}phases/blocks.parquet",
        targets=f"{RESULTS}/{{scope}}phases/targets.parquet",
        answer=report(ANSWER, category="Answer"),
    log:
        f"{LOGS}/{{scope}}phases.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}phases.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("phases"),
        code=code_behind("phases"),
        settings=phases_settings,
    message:
        "Find the {wildcards.scope}phases of the experiment"
    shell:
        "python {params.script:q} --measures {input.measures:q} --history {input.history:q}"
        " --settings {params.settings:q} --output {output:q} >{log:q} 2>&1"

"""What became of the claims that the experiment states.

Needs: tables/ and phases/. Makes: verdicts/.
"""


rule verdicts:
    """Judge every claim: reproduced, not reproduced, or undecided."""
    input:
        measures=rules.tables.output.measures,
        phases=PHASES,
    output:
        table=f"{RESULTS}/{{scope}}verdicts/verdicts.parquet",
        markdown=report(f"{RESULTS}/{{scope}}verdicts/verdicts.md", category="Verdicts"),
    log:
        f"{LOGS}/{{scope}}verdicts.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}verdicts.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("verdicts"),
        code=code_behind("verdicts"),
        claims=verdicts_claims,
    message:
        "Judge the {wildcards.scope}claims of the experiment"
    shell:
        "python {params.script:q} --claims {params.claims:q} --measures {input.measures:q} --phases {input.phases:q}"
        " --table {output.table:q} --markdown {output.markdown:q} >{log:q} 2>&1"

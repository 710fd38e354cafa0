"""The phase table in the terminal.

Needs: phases/ and verdicts/. Makes: nothing; prints.
"""


localrules:
    summary,


rule summary:
    """Print the phases of the last blocks, and the verdicts."""
    input:
        script=f"{SCRIPTS}/summary.py",
        phases=[path.format(scope="") for path in PHASES],
        verdicts=summary_verdicts(),
    log:
        f"{LOGS}/summary.log",
    benchmark:
        f"{BENCHMARKS}/summary.tsv"
    conda:
        "../../envs/infoplane.yaml"
    message:
        "Print the phases"
    shell:
        "python {input.script:q} --phases {input.phases:q} --verdicts {input.verdicts:q} 2>{log:q}"

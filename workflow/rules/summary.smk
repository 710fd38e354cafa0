"""The phase table in the terminal.

Needs: phases/ and verdicts/. Makes: nothing; prints.
"""


localrules:
    summary,


rule summary:
    """Print the phases of the last blocks, and the verdicts."""
    input:
        phases=[path.format(scope="") for path in PHASES],
        verdicts=summary_verdicts(),
    log:
        f"{LOGS}/summary.log",
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("summary"),
        code=code_behind("summary"),
    message:
        "Print the phases"
    shell:
        "python {params.script:q} --phases {input.phases:q} --verdicts {input.verdicts:q} 2>{log:q}"

"""The phase table in the terminal.

Needs: nothing; shows what is there and trains nothing. Makes: nothing; prints.
"""


localrules:
    summary,


rule summary:
    """Print the phases of the last blocks, and the verdicts, as they are; refused where there are none yet."""
    log:
        f"{LOGS}/summary.log",
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("summary"),
        code=code_behind("summary"),
        phases=printed_phases,
        verdicts=printed_verdicts,
    message:
        "Print the phases"
    shell:
        "python {params.script:q} --phases {params.phases:q} --verdicts {params.verdicts:q} 2>{log:q}"

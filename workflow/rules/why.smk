"""Why each pending job would run, and what the whole plan would cost.

Needs: nothing; runs none of it. Makes: nothing; prints.
"""


localrules:
    why,


rule why:
    """Print the pending jobs with the reason for each, by the keys of the configuration."""
    log:
        f"{LOGS}/why.log",
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("why"),
        code=code_behind("why"),
        config=why_config,
    message:
        "Ask why"
    shell:
        "python {params.script:q} --config {params.config:q} 2>{log:q}"

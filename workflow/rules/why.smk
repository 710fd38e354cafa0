"""Why each pending job would run, and what the whole plan would cost.

Needs: nothing; runs none of it. Makes: nothing; prints.
"""


localrules:
    why,


def why_config(wildcards):
    """What is asked about; Snakemake is asked anew, and knows nothing of a storage provider then."""
    require_here("why")
    return json.dumps(config)


rule why:
    """Print the pending jobs with the reason for each, in the configuration's words."""
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

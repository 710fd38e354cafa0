"""Make room on the disk: remove activations that have been measured.

Needs: nothing; looks at what is there. Makes: nothing; removes activations/ of measured runs.
"""


localrules:
    purge,


rule purge:
    """Remove the activations of every run whose measures are done; nothing runs again because of it."""
    log:
        f"{LOGS}/purge.log",
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("purge"),
        code=code_behind("purge"),
        grid=tables_grid,
        activations=purge_activations,
        readers=purge_readers,
        pictures=purge_pictures,
        shared=SHARED,
    message:
        "Remove activations that have been measured"
    shell:
        "python {params.script:q} --grid {params.grid:q} --activations {params.activations:q}"
        " --readers {params.readers:q} --pictures {params.pictures:q} --shared {params.shared:q} 2>{log:q}"

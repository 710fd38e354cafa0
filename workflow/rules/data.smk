"""Images, split once for the whole experiment.

Needs: a bundled, downloaded or given data set. Makes: data/{train,validation,held_out}.parquet.
"""


rule data:
    """Split the images into train, validation and held_out."""
    input:
        files=data_files,
    output:
        train=TRAIN_SPLIT,
        validation=f"{RESULTS}/data/validation.parquet",
        held_out=f"{RESULTS}/data/held_out.parquet",
    log:
        f"{LOGS}/data.log",
    benchmark:
        f"{BENCHMARKS}/data.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        mem_mb=memory("data"),
        runtime=minutes("data"),
        folder=FOLDER,
    params:
        script=script("data"),
        code=data_code,
        content=data_content,
        spec=data_spec,
        known=apart(str(KNOWN)),
    message:
        f"Split the images of {PLAN.config.data.kind}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --folder {resources.folder:q}"
        " --train {output.train:q} --validation {output.validation:q} --held-out {output.held_out:q}"
        " --known {params.known:q} >{log:q} 2>&1"

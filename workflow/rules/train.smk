"""Training: one network per architecture, shortcut and seed.

Needs: data/. Makes: train/<run>/checkpoints.safetensors and train/<run>/history.parquet.
"""


rule train:
    """Train one network; an interrupted job goes on where it was."""
    input:
        script=f"{SCRIPTS}/train.py",
        sources=train_sources,
        train=rules.data.output.train,
        validation=rules.data.output.validation,
    output:
        checkpoints=f"{RESULTS}/train/{RUN}/checkpoints.safetensors",
        history=HISTORY,
    log:
        f"{LOGS}/train/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/train/{RUN}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=4000,
    params:
        spec=train_spec,
        state=STATE,
    message:
        "Train {wildcards.architecture} with shortcut {wildcards.shortcut}, seed {wildcards.seed}"
    shell:
        "OMP_NUM_THREADS={threads} python {input.script:q} --spec {params.spec:q} --train {input.train:q}"
        " --validation {input.validation:q} --checkpoints {output.checkpoints:q} --history {output.history:q}"
        " --state {params.state:q} --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"

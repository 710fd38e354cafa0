"""Training: one network per architecture, shortcut and seed, or all seeds of an architecture and shortcut at once.

Needs: data/. Makes: train/<run>/checkpoints.safetensors and train/<run>/history.parquet.
"""


rule train:
    """Train one network; an interrupted job goes on where it was."""
    input:
        train=rules.data.output.train,
        validation=rules.data.output.validation,
    output:
        checkpoints=CHECKPOINTS,
        history=HISTORY,
    log:
        f"{LOGS}/train/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/train/{RUN}.tsv"
    wildcard_constraints:
        architecture=ALONE,
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("train"),
        runtime=minutes("train"),
    params:
        script=script("train"),
        code=train_code,
        spec=train_spec,
        state=apart(STATE),
        shared=SHARED,
    message:
        "Train {wildcards.architecture} with shortcut {wildcards.shortcut}, seed {wildcards.seed}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --train {input.train:q}"
        " --validation {input.validation:q} --checkpoints {output.checkpoints:q} --history {output.history:q}"
        " --state {params.state:q} --shared {params.shared:q} --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"


rule train_stack:
    """Train all seeds of one architecture and shortcut side by side; every seed has the results of a run of its own."""
    input:
        train=rules.data.output.train,
        validation=rules.data.output.validation,
    output:
        checkpoints=of_stack(CHECKPOINTS),
        history=of_stack(HISTORY),
    log:
        f"{LOGS}/train_stack/{NETWORK}.log",
    benchmark:
        f"{BENCHMARKS}/train_stack/{NETWORK}.tsv"
    wildcard_constraints:
        architecture=STACKED,
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("train_stack"),
        runtime=minutes("train_stack"),
    params:
        script=script("train_stack"),
        code=train_stack_code,
        spec=train_stack_spec,
        state=apart(STATE),
        shared=SHARED,
    message:
        "Train {wildcards.architecture} with shortcut {wildcards.shortcut}, all seeds at once"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --train {input.train:q}"
        " --validation {input.validation:q} --checkpoints {output.checkpoints:q} --history {output.history:q}"
        " --state {params.state:q} --shared {params.shared:q} --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"

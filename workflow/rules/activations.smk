"""Activations of the held-out images at every checkpoint and site: one job per run, or per network with all its seeds.

Needs: train/<run>/checkpoints.safetensors and data/. Makes: activations/<run>.parquet.
"""


rule activations:
    """Read out one run."""
    input:
        checkpoints=read_with_room(CHECKPOINTS),
        train=rules.data.output.train,
        held_out=rules.data.output.held_out,
    output:
        ACTIVATIONS,
    log:
        f"{LOGS}/activations/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/activations/{RUN}.tsv"
    wildcard_constraints:
        architecture=ALONE,
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("activations"),
        runtime=minutes("activations"),
    params:
        script=script("activations"),
        code=activations_code,
        spec=PLAN.activations.to_json(),
        run=expected_run,
    message:
        "Read activations of {wildcards.architecture}, {wildcards.shortcut}, seed {wildcards.seed}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --run {params.run:q}"
        " --checkpoints {input.checkpoints:q} --train {input.train:q} --held-out {input.held_out:q} --output {output:q}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"


use rule activations as activations_stack with:
    input:
        checkpoints=read_with_room(*of_stack(CHECKPOINTS)),
        train=rules.data.output.train,
        held_out=rules.data.output.held_out,
    output:
        of_stack(ACTIVATIONS),
    log:
        f"{LOGS}/activations_stack/{NETWORK}.log",
    benchmark:
        f"{BENCHMARKS}/activations_stack/{NETWORK}.tsv"
    wildcard_constraints:
        architecture=STACKED,
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("activations_stack"),
        runtime=minutes("activations_stack"),
    params:
        run=expected_stack,
    message:
        "Read activations of {wildcards.architecture}, {wildcards.shortcut}, all seeds"

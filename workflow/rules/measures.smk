"""Measures: one job per run and measure family, or per network with all its seeds and measure family.

Needs: data/ and, as the family asks, activations/<run>.parquet or train/<run>/checkpoints.safetensors.
Makes: measures/<run>/<family>.parquet.
"""


rule measures:
    """Measure every site at every checkpoint of one run."""
    input:
        held_out=rules.data.output.held_out,
        activations=read_by_family("activations", ACTIVATIONS),
        checkpoints=read_by_family("checkpoints", CHECKPOINTS),
        train=read_by_family("checkpoints", TRAIN_SPLIT),
    output:
        MEASURES,
    log:
        f"{LOGS}/measures/{RUN}/{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/measures/{RUN}/{{family}}.tsv"
    wildcard_constraints:
        architecture=ALONE,
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("measures"),
        runtime=minutes("measures"),
    params:
        script=script("measures"),
        code=measures_code,
        spec=measures_spec,
        run=expected_run,
        seed=run_seed,
        shared=SHARED,
    message:
        "Measure {wildcards.architecture}, {wildcards.shortcut}, seed {wildcards.seed}: {wildcards.family}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --run {params.run:q}"
        " --held-out {input.held_out:q} --activations {input.activations:q} --checkpoints {input.checkpoints:q}"
        " --train {input.train:q} --output {output:q} --shared {params.shared:q}"
        " --architecture {wildcards.architecture:q} --shortcut {wildcards.shortcut:q} --seed {params.seed}"
        " --family {wildcards.family:q}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"


use rule measures as measures_stack with:
    input:
        held_out=rules.data.output.held_out,
        activations=read_by_family("activations", *of_stack(ACTIVATIONS)),
        checkpoints=read_by_family("checkpoints", *of_stack(CHECKPOINTS)),
        train=read_by_family("checkpoints", TRAIN_SPLIT),
    output:
        of_stack(MEASURES),
    log:
        f"{LOGS}/measures_stack/{NETWORK}/{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/measures_stack/{NETWORK}/{{family}}.tsv"
    wildcard_constraints:
        architecture=STACKED,
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("measures_stack"),
        runtime=minutes("measures_stack"),
    params:
        run=expected_stack,
        seed=apart(SEEDS),
    message:
        "Measure {wildcards.architecture}, {wildcards.shortcut}, all seeds: {wildcards.family}"

"""Measures of a run's activations: one job per run and measure family.

Needs: activations/<run>.parquet and data/probe.parquet. Makes: measures/<run>/<family>.parquet.
"""


rule measures:
    """Measure every site at every checkpoint of one run."""
    input:
        script=f"{SCRIPTS}/measures.py",
        sources=measures_sources,
        activations=rules.activations.output,
        probe=rules.data.output.probe,
    output:
        MEASURES,
    log:
        f"{LOGS}/measures/{RUN}/{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/measures/{RUN}/{{family}}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=4000,
    params:
        spec=measures_spec,
    message:
        "Measure {wildcards.architecture}, {wildcards.shortcut}, seed {wildcards.seed}: {wildcards.family}"
    shell:
        "OMP_NUM_THREADS={threads} python {input.script:q} --spec {params.spec:q}"
        " --activations {input.activations:q} --probe {input.probe:q} --output {output:q}"
        " --architecture {wildcards.architecture:q} --shortcut {wildcards.shortcut:q} --seed {wildcards.seed}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"

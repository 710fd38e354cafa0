"""Reconstructions of inputs, and how activations are distributed, for the first seed of each network.

Needs: activations/ and data/. Makes: reconstructions/ and histograms/.
"""


rule reconstructions:
    """Draw a few inputs as a decoder makes them from the last block."""
    input:
        held_out=rules.data.output.held_out,
        activations=ACTIVATIONS,
    output:
        RECONSTRUCTIONS,
    log:
        f"{LOGS}/reconstructions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/reconstructions/{RUN}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("measures"),
        runtime=minutes("measures"),
    params:
        script=script("reconstructions"),
        code=code_behind("reconstructions"),
        spec=PLAN.reconstructions.to_json() if PLAN.reconstructions else "",
    message:
        "Reconstruct inputs from {wildcards.architecture}, {wildcards.shortcut}, seed {wildcards.seed}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q}"
        " --held-out {input.held_out:q} --activations {input.activations:q} --output {output:q}"
        " --architecture {wildcards.architecture:q} --shortcut {wildcards.shortcut:q} --seed {wildcards.seed}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"


rule histograms:
    """Count how the activations of each site are distributed."""
    input:
        held_out=rules.data.output.held_out,
        activations=ACTIVATIONS,
    output:
        HISTOGRAMS,
    log:
        f"{LOGS}/histograms/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/histograms/{RUN}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("measures"),
        runtime=minutes("measures"),
    params:
        script=script("histograms"),
        code=code_behind("histograms"),
        spec=PLAN.histograms.to_json() if PLAN.histograms else "",
    message:
        "Count activations of {wildcards.architecture}, {wildcards.shortcut}, seed {wildcards.seed}"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q}"
        " --held-out {input.held_out:q} --activations {input.activations:q} --output {output:q}"
        " --architecture {wildcards.architecture:q} --shortcut {wildcards.shortcut:q} --seed {wildcards.seed}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"

"""Every measure family against distributions of known value; needs no run and no data set.

Needs: nothing but the configuration. Makes: truths/<family>.parquet and accuracy/.
"""


rule truths:
    """Compare one measure family with every distribution whose value it can measure."""
    output:
        TRUTHS,
    log:
        f"{LOGS}/truths/{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/truths/{{family}}.tsv"
    conda:
        "../../envs/infoplane.yaml"
    resources:
        gpu=GPU,
        device=DEVICE,
        slots=SLOTS,
        mem_mb=memory("truths"),
        runtime=minutes("truths"),
    params:
        script=script("truths"),
        code=truths_code,
        spec=truths_spec,
    message:
        "Hold {wildcards.family} against known truths"
    shell:
        "OMP_NUM_THREADS={threads} python {params.script:q} --spec {params.spec:q} --family {wildcards.family:q}"
        " --output {output:q}"
        " --device {resources.device} --slots {resources.slots} --threads {threads} >{log:q} 2>&1"


rule accuracy:
    """Collect the accuracy of all families into a table, a chart and a page."""
    input:
        truths=[TRUTHS.format(family=family) for family in PLAN.measures],
    output:
        table=f"{RESULTS}/accuracy/accuracy.parquet",
        html=report(f"{RESULTS}/accuracy/accuracy.html", category="Accuracy"),
        svg=report(f"{RESULTS}/accuracy/accuracy.svg", category="Accuracy"),
        png=f"{RESULTS}/accuracy/accuracy.png",
    log:
        f"{LOGS}/accuracy.log",
    benchmark:
        f"{BENCHMARKS}/accuracy.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("accuracy"),
        code=accuracy_code,
    message:
        "Gather the accuracy of all measure families"
    shell:
        "python {params.script:q} --truths {input.truths:q} --table {output.table:q} --html {output.html:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q} 2>&1"

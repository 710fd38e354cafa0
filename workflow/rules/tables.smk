"""The whole experiment in two tidy tables.

Needs: train/ and measures/ of every run (or, under partial/, of those that exist). Makes: tables/.
"""


rule tables:
    """Gather every run's measures and history, and say what is missing or diverged."""
    input:
        runs=tables_input,
    output:
        measures=f"{RESULTS}/{{scope}}tables/measures.parquet",
        history=f"{RESULTS}/{{scope}}tables/history.parquet",
    log:
        f"{LOGS}/{{scope}}tables.log",
    benchmark:
        f"{BENCHMARKS}/{{scope}}tables.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        script=script("tables"),
        code=code_behind("tables"),
        grid=tables_grid,
        history=history_template,
        measures=measures_template,
        experiment=experiment_spec,
        specs=tables_specs,
        existing=tables_existing,
    message:
        "Gather {wildcards.scope}tables of the experiment"
    shell:
        "python {params.script:q} --grid {params.grid:q} --run-history {params.history:q}"
        " --run-measures {params.measures:q} --config {params.experiment:q} --specs {params.specs:q}"
        " --measures {output.measures:q} --history {output.history:q} >{log:q} 2>&1"

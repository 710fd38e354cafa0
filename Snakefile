"""infoplane: train networks, read their activations, measure them, draw information planes.

snakemake --cores 8 --resources gpu=2                                    the demo, config/config.yaml
snakemake --cores 8 --configfile config/experiments/cifar10_parquet.yaml another experiment
snakemake --cores 8 partial                                              tables and report of what exists so far
snakemake --cores 1 summary                                              the phase table, in the terminal
snakemake --cores 1 why                                                  what would run, why, and what it would cost
snakemake --cores 1 purge                                                remove activations that have been measured
snakemake --cores 8 accuracy                                             the measures against known truths
snakemake --cores 8 archive                                              one file for another person, to open and rerun
"""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/index.smk"


rule all:
    """The report of the whole experiment, with its charts and tables."""
    default_target: True
    input:
        everything(),

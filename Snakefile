"""infoplane: train networks, read their activations, measure them, draw information planes.

snakemake --cores 8 --resources gpu=2                                    the demo, config/config.yaml
snakemake --cores 8 --configfile config/experiments/cifar10_parquet.yaml another experiment
snakemake --cores 8 partial                                              tables and report of what exists so far
snakemake --cores 1 summary                                              the phase table, in the terminal
snakemake --cores 8 accuracy                                             the measures against known truths
snakemake --cores 8 archive                                              one file for another person, to open and rerun
"""

from snakemake.utils import min_version

min_version("9.0")

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/drawing.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/measures.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/phases.smk"
include: "workflow/rules/verdicts.smk"
include: "workflow/rules/charts.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/accuracy.smk"
include: "workflow/rules/archived.smk"
include: "workflow/rules/archive.smk"


# These run here on a cluster too: the data may have to be downloaded, the others take less than being submitted.
localrules:
    data,
    tables,
    verdicts,
    charts,
    report,
    accuracy,


rule all:
    """The report of the whole experiment, with its charts and tables."""
    default_target: True
    input:
        everything(),


rule partial:
    """The same, of the runs that are measured so far; trains nothing."""
    input:
        everything("partial/"),


onsuccess:
    print_phases()
    print(made(), file=sys.stderr)


onerror:
    print(failures(), file=sys.stderr)

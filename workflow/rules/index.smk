"""All rules, in the order of the stages, and what is said when a run ends; but for the rule that comes first.

The Snakefile of a checkout and that of a deployed copy (workflow/Snakefile) both include this file and say themselves
what is made when nothing is asked for: an included file cannot.
"""

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "common.smk"
include: "checks.smk"
include: "drawing.smk"
include: "terminal.smk"
include: "ending.smk"
include: "code.smk"
include: "given.smk"
include: "data.smk"
include: "train.smk"
include: "activations.smk"
include: "measures.smk"
include: "tables.smk"
include: "pictures.smk"
include: "phases.smk"
include: "verdicts.smk"
include: "charts.smk"
include: "report.smk"
include: "summary.smk"
include: "purge.smk"
include: "accuracy.smk"


# These run here on a cluster too: the data may have to be downloaded, the others take less time than submitting them.
localrules:
    data,
    tables,
    verdicts,
    charts,
    report,
    accuracy,


if BASE:

    include: "why.smk"
    include: "archived.smk"
    include: "archive.smk"


rule partial:
    """The same, of the runs that are measured so far; trains nothing."""
    input:
        everything("partial/"),


onstart:
    begin(log)


onsuccess:
    finish()
    keep_code()
    print_results()


onerror:
    finish()
    keep_code()
    print(failures(), file=sys.stderr)


include: "planning.smk"

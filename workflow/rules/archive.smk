"""One file that another person can open and rerun.

Needs: report.html, charts/, tables/, phases/; verdicts/, reconstructions/ and histograms/ where the experiment has
them. Makes: archive/.
"""

from infoplane import checkout
from infoplane.config.complete import portable

ARCHIVE = f"{RESULTS}/archive/{PLAN.config.experiment}.zip"
PICTURES = ((RECONSTRUCTIONS, PLAN.reconstructions), (HISTOGRAMS, PLAN.histograms))


localrules:
    archive,


def archive_shown():
    """The results that are packed: whatever the report is made of, and all that was drawn."""
    drawn = everything() + [path.format(scope="") for path in PHASES]
    tables = [f"{RESULTS}/tables/{name}.parquet" for name in ("measures", "history")]
    verdicts = [f"{RESULTS}/verdicts/verdicts.{kind}" for kind in ("parquet", "md")] if PLAN.config.claims else []
    wanted = [path for path, spec in PICTURES if spec is not None]
    return drawn + tables + verdicts + [path.format(**vars(run)) for path in wanted for run in PLAN.shown]


def archive_left_out(wildcards):
    """What is too large to send and is only named; a run's history is in the table, but for its seconds."""
    data = [f"{RESULTS}/data/{split}.parquet" for split in ("train", "validation", "probe")]
    return [*data, CHECKPOINTS, ACTIVATIONS, MEASURES]


def archive_config(wildcards):
    return json.dumps(portable(PLAN))


def archive_code(wildcards):
    """So that an edit of any file of the checkout makes the archive stale, and nothing else."""
    return checkout.digest(BASE)


rule archive:
    """Pack results, code and the complete configuration, so that another person can open and rerun them."""
    input:
        script=f"{SCRIPTS}/archive.py",
        shown=archive_shown(),
        given=[os.path.relpath(path) for path in workflow.configfiles],
        data=data_files,
    output:
        ARCHIVE,
    log:
        f"{LOGS}/archive.log",
    benchmark:
        f"{BENCHMARKS}/archive.tsv"
    conda:
        "../../envs/infoplane.yaml"
    params:
        code=archive_code,
        checkout=str(BASE),
        config=archive_config,
        results=RESULTS,
        left_out=archive_left_out,
    message:
        f"Archive {PLAN.config.experiment}"
    shell:
        "python {input.script:q} --checkout {params.checkout:q} --config {params.config:q} --given {input.given:q}"
        " --results {params.results:q} --shown {input.shown:q} --left-out {params.left_out:q} --output {output:q}"
        " >{log:q} 2>&1"

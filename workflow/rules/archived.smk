"""What the archive holds: functions and paths only.

Needs: the configuration. Makes: nothing.
"""

from infoplane import checkout, plugin_files
from infoplane.config.complete import portable
from infoplane.sources import verbatim

ARCHIVE = f"{RESULTS}/archive/{PLAN.config.experiment}.zip"


def archive_shown():
    """Name the results that are packed: what the report is made of, and all charts."""
    pictures = [path.format(**vars(run)) for path in PICTURES for run in PLAN.shown]
    return drawn() + gathered() + pictures


def archive_left_out(wildcards):
    """Name the results that are too large to send; a run's history is in the table, except its seconds."""
    data = [f"{RESULTS}/data/{split}.parquet" for split in ("train", "validation", "held_out")]
    return [*data, CHECKPOINTS, ACTIVATIONS, MEASURES]


def archive_given(wildcards):
    """The configuration files as they were written."""
    require_here("archive")
    paths = [os.path.relpath(path) for path in workflow.configfiles]
    for path in paths:
        if "{" in path:
            refuse(f"archive: Snakemake takes the brace in {path} for a wildcard: give the file another name")
    return paths


def archive_config(wildcards):
    return json.dumps(portable(PLAN))


def archive_code(wildcards):
    """So that an edit of any file of the checkout makes the archive stale, and nothing else: it holds the very files."""
    own = [folder / path for folder in plugin_files.folders() for path in checkout.below(folder)]
    return code_of(verbatim([*(BASE / path for path in checkout.files(BASE)), *own], BASE))

"""What must hold before anything runs, or before activations are read; a sentence and the end, where it does not.

Needs: the configuration. Makes: nothing.
"""

from infoplane.config.disk import require_disk
from infoplane.config.workplace import other_run, require_writable
from infoplane.devices import require_gpus


def check_gpus():
    """Jobs would wait with a core in hand for GPUs that are not there. A cluster's GPUs are the scheduler's to know."""
    if GPU and workflow.resource_settings.nodes is None:
        gpus = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else 0
        require_gpus(gpus, SLOTS)


def check_folder():
    """A dry run writes nothing. Who has locked it is told and no more: some commands need no lock, one removes it."""
    if not workflow.output_settings.dryrun:
        require_writable(RESULTS)
    if locked := other_run(RESULTS):
        print(f"note: {locked}", file=sys.stderr)


def all_read(run):
    """Whether everything is there that is made of a run's activations, which may have been purged since."""
    readers = purge_readers(None) + (purge_pictures(None) if run in PLAN.shown else [])
    return all(Path(reader.format(**vars(run))).exists() for reader in readers)


def require_here(target):
    """Refuse what looks for results where they are made, if they lie elsewhere: it would find none, and say so."""
    if STORAGE and workflow.is_main_process:
        there = f"{STORAGE}/{RESULTS}"
        refuse(f"{target}: the results lie in object storage, {there}: copy them to {RESULTS}, and ask without it")


@cache
def require_room():
    """Refuse an experiment for whose activations there is no room; asked by the first of them that is to be had."""
    try:
        if workflow.is_main_process:
            require_disk(PLAN, None if STORAGE else Path(RESULTS, "activations"), all_read)
    except UserError as error:
        refuse(error)


if workflow.is_main_process:
    try:
        check_gpus()
        check_folder()
    except UserError as error:
        refuse(error)

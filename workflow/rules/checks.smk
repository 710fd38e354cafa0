"""Check what must hold before anything runs, or before activations are read; stop with one sentence where it does not.

Needs: the configuration. Makes: nothing.
"""

from infoplane.config.disk import require_disk
from infoplane.config.workplace import other_run, require_writable
from infoplane.devices import require_gpus


def check_gpus():
    """Refuse more GPUs than this machine has: jobs would wait and keep cores busy. A cluster's scheduler knows its own."""
    if GPU and workflow.resource_settings.nodes is None:
        gpus = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else 0
        require_gpus(gpus, SLOTS)


def check_folder():
    """A dry run writes nothing. A lock is only reported: some commands need no lock, and one removes it."""
    if not workflow.output_settings.dryrun:
        require_writable(RESULTS)
    if locked := other_run(RESULTS):
        print(f"note: {locked}", file=sys.stderr)


def all_read(run):
    """Whether everything is there that is made of a run's activations, which may have been purged since."""
    readers = purge_readers(None) + (purge_pictures(None) if run in PLAN.shown else [])
    return all(Path(reader.format(**vars(run))).exists() for reader in readers)


def require_here(target):
    """Refuse targets that look for results on this machine when the results are in object storage."""
    if STORAGE and workflow.is_main_process:
        there = f"{STORAGE}/{RESULTS}"
        refuse(f"{target}: the results lie in object storage, {there}: copy them to {RESULTS}, and ask without it")


@cache
def require_room():
    """Refuse an experiment for whose activations there is no room; called by the first of their rules."""
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

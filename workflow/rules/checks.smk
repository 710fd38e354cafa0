"""What must hold before anything runs; a sentence and the end, where it does not.

Needs: the configuration. Makes: nothing.
"""

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


if workflow.is_main_process:
    try:
        check_gpus()
        check_folder()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

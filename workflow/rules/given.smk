"""The user's own files behind the data set: functions and paths only.

Needs: a data set that is read by path. Makes: .state/files.json, digests that save reading the files again.
"""

from infoplane.given import files
from infoplane.given.record import in_short, record
from infoplane.why.config_keys import CONTENT

KNOWN = Path(STATE, "files.json")


@cache
def own_files():
    """Find the user's own files of a data set that is read by path; stop with one sentence where there are none."""
    source = PLAN.data.source
    try:
        return files.of(source.kind, source.options["path"]) if source.options.get("path") else {}
    except UserError as error:
        refuse(f"data.path: {error}")


def data_files(wildcards):
    """None: with 50,000 files Snakemake plans 10 s longer, and takes one that was replaced by an older one for the same.
    What they hold is a parameter; that there are any is found here, before anything runs."""
    own_files()
    return []


@cache
def own_content():
    try:
        found = record(own_files(), PLAN.data.source.kind == "image_folder", KNOWN, not workflow.output_settings.dryrun)
        return f"{CONTENT}{in_short(found)}"
    except UserError as error:
        refuse(f"data.path: {error}")


def data_content(wildcards):
    """What the user's own files hold, as a parameter: a changed, added or removed one makes the splits stale."""
    return own_content() if own_files() else ""


def data_spec(wildcards):
    """A function, for a path may hold what Snakemake takes for a wildcard."""
    return PLAN.data.to_json()

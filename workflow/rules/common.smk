"""The common ground of all rules: the checked configuration, result paths, specs and source files.

Needs: the configuration. Makes: nothing; holds functions only, and no science.
"""

import json
import os
import re
import sys
import time
from functools import cache
from pathlib import Path

# Where this checkout is, whichever workflow includes or imports this file; None where it was fetched from a repository
# file by file (a module deployed from GitHub), and the package and its Python are those that are installed.
HERE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
BASE = HERE.resolve().parents[1] if HERE.is_dir() else None
STARTED = time.time()

# The code whose digest decides what is stale is the code that runs: this checkout's package, and Snakemake's Python.
if BASE:
    sys.path.insert(0, str(BASE / "src"))
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(BASE / "src"), os.environ.get("PYTHONPATH")])))
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))

try:
    import infoplane
except ModuleNotFoundError:
    print(
        "error: the package infoplane is not installed here, and this workflow was not started from a checkout: "
        "pip install it from where the workflow is from, with its constraints.txt",
        file=sys.stderr,
    )
    sys.exit(2)

from infoplane import registry
from infoplane.config.complete import recorded
from infoplane.config.demand import demand
from infoplane.config.load import load
from infoplane.config.plan import Run
from infoplane.config.written import check_file
from infoplane.errors import UserError, printable
from infoplane.quantities import number
from infoplane.specs import canonical, harmless


def refuse(error):
    """Stop with one sentence for the person who wrote the configuration or called Snakemake."""
    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(2)


try:
    for path in filter(os.path.isfile, workflow.configfiles):
        check_file(Path(os.path.relpath(path)))
except UserError as error:
    refuse(error)
try:
    PLAN = load(config)
except UserError as error:
    where = ", ".join(os.path.relpath(path) for path in workflow.configfiles) or "the configuration"
    refuse(f"{where}: {error}")

RESULTS = f"{PLAN.config.results}/{PLAN.config.experiment}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
NETWORK = "{architecture}/{shortcut}"
RUN = f"{NETWORK}/seed{{seed}}"
STATE = f"{RESULTS}/.state"
FOLDER, DEVICE, SLOTS = PLAN.config.data.folder, PLAN.config.device, PLAN.config.slots
GPU = 0 if DEVICE == "cpu" else 1
PATHS = workflow.modifier.path_modifier
STORED = workflow.storage_settings
STORAGE = STORED.default_storage_provider and (STORED.default_storage_prefix or STORED.default_storage_provider)
"""Where results lie if not on this machine: what their addresses in object storage begin with; None: here."""


wildcard_constraints:
    architecture="[^/]+",
    shortcut="[^/]+",
    seed=r"\d+",
    family="[^/]+",
    chart="[^/]+",
    scope="(partial/)?",


def family_kind(wildcards):
    """The plug-in behind a measure's label."""
    return PLAN.measures[wildcards.family].family.kind


def read_by_family(what, *paths):
    """An input function: the paths, where the measure family reads this of a run; else nothing."""
    return lambda wildcards: (
        [path.format(**dict(wildcards.items())) for path in paths]
        if what in registry.reads("measure", family_kind(wildcards))
        else []
    )


def train_spec(wildcards):
    return PLAN.train_spec(wildcards.architecture, wildcards.shortcut, int(wildcards.seed)).to_json()


def expected_run(wildcards, output):
    """The same, for those who read what the run has made; it makes nothing stale, for what they read does."""
    return train_spec(wildcards)


def run_seed(wildcards, output):
    return wildcards.seed


def train_stack_spec(wildcards):
    return PLAN.stack_spec(wildcards.architecture, wildcards.shortcut).to_json()


def expected_stack(wildcards, output):
    """Of a stack, what `expected_run` is of a run."""
    return [PLAN.train_spec(wildcards.architecture, wildcards.shortcut, seed).to_json() for seed in SEEDS]


def of_stack(path):
    """The files of all seeds of a network, from the pattern of a run's file."""
    return expand(path, seed=SEEDS, allow_missing=True)


def read_with_room(*paths):
    """An input function: what activations are read from. A function, for the targets are not known when the rules are
    read: those that need no activations, such as partial or accuracy, never ask for room on the disk."""

    def found(wildcards):
        require_room()
        return [path.format(**dict(wildcards.items())) for path in paths]

    return found


def only(labels):
    """A pattern of these labels alone, which decides at parse time which rule makes a result."""
    return "|".join(map(re.escape, labels)) or "(?!)"


ALONE = only(label for label in PLAN.architectures if label not in PLAN.stacked)
STACKED = only(PLAN.stacked)
# Where nothing is stacked, one seed is listed: Snakemake compares every file with every output of every rule.
SEEDS = PLAN.config.seeds if PLAN.stacked else PLAN.config.seeds[:1]
MEASURES_SPECS = {family: spec.to_json() for family, spec in PLAN.measures.items()}


def measures_spec(wildcards):
    return MEASURES_SPECS[wildcards.family]


def phases_settings(wildcards):
    """How curves become phases; no part of what was measured."""
    return canonical(PLAN.config.phases.model_dump())


def verdicts_claims(wildcards):
    """What is claimed, in the configuration's order."""
    return harmless(json.dumps(PLAN.claims))


def truths_spec(wildcards):
    return PLAN.truths[wildcards.family].to_json()


TRAIN_SPLIT = f"{RESULTS}/data/train.parquet"
CHECKPOINTS = f"{RESULTS}/train/{RUN}/checkpoints.safetensors"
ACTIVATIONS = f"{RESULTS}/activations/{RUN}.parquet"
HISTORY = f"{RESULTS}/train/{RUN}/history.parquet"
MEASURES = f"{RESULTS}/measures/{RUN}/{{family}}.parquet"
TRUTHS = f"{RESULTS}/truths/{{family}}.parquet"
RECONSTRUCTIONS = f"{RESULTS}/reconstructions/{RUN}.parquet"
HISTOGRAMS = f"{RESULTS}/histograms/{RUN}.parquet"
ASKED = (RECONSTRUCTIONS, PLAN.reconstructions), (HISTOGRAMS, PLAN.histograms)
PICTURES = [path for path, spec in ASKED if spec is not None]
"""Those that the experiment asks for, of each shown run."""


def run_files(run):
    """What the tables gather of a run."""
    measures = [MEASURES.format(**vars(run), family=family) for family in PLAN.measures]
    return [HISTORY.format(**vars(run)), *measures]


def tables_input(wildcards):
    """Every run's tables; nothing for the partial target, which must not cause any training."""
    if wildcards.scope:
        require_here("partial")
        return []
    return [path for run in PLAN.runs for path in run_files(run)]


def tables_grid(wildcards):
    """The labels of every run, in the configuration's order."""
    return json.dumps(
        {
            "architectures": list(PLAN.architectures),
            "shortcuts": list(PLAN.shortcuts),
            "seeds": PLAN.config.seeds,
            "families": list(PLAN.measures),
        }
    )


def tables_specs(wildcards, output):
    """What the runs and measures must be made by; it makes nothing stale, for what is gathered does."""
    first, seed = list(PLAN.shortcuts)[0], PLAN.config.seeds[0]
    trained = {label: PLAN.train_spec(label, first, seed).to_dict() for label in PLAN.architectures}
    specs = {
        "architectures": {
            label: {key: spec[key] for key in ("architecture", "task", "training")} for label, spec in trained.items()
        },
        "shortcuts": {label: plugin.to_dict() for label, plugin in PLAN.shortcuts.items()},
        "measures": {family: spec.to_dict() for family, spec in PLAN.measures.items()},
    }
    return json.dumps(specs)


def placed(path):
    """Say where the file of a rule lies. Snakemake puts the prefix of a module before paths in rules, not elsewhere."""
    return PATHS.replace_prefix(path)


def copied(input):
    """What stands before a run's path where a job finds it: the folder of fetched results, or a module's prefix."""
    one = run_files(PLAN.runs[0])[0]
    return (str(input.runs[0]) if input.runs else placed(one)).removesuffix(one)


def history_template(wildcards, input):
    return copied(input) + HISTORY


def measures_template(wildcards, input):
    return copied(input) + MEASURES


def tables_existing(wildcards):
    """For the partial target: which tables exist and since when, so that a new one makes it stale."""
    if not wildcards.scope:
        return ""
    paths = (Path(placed(path)) for run in PLAN.runs for path in run_files(run))
    return canonical([[str(path), path.stat().st_mtime_ns] for path in paths if path.exists()])


def why_config(wildcards):
    """What is asked about; Snakemake is asked anew, and knows nothing of a storage provider then."""
    require_here("why")
    return json.dumps(config)


def purge_activations(wildcards):
    require_here("purge")
    return placed(ACTIVATIONS)


def purge_readers(wildcards):
    """What is made of every run's activations: the measures that read them."""
    families = [
        family for family, spec in PLAN.measures.items() if "activations" in registry.reads("measure", spec.family.kind)
    ]
    return [placed(MEASURES.replace("{family}", family)) for family in families]


def purge_pictures(wildcards):
    """What is made of the activations of each first seed."""
    return [placed(path) for path in PICTURES]


def experiment_spec(wildcards):
    """What the experiment is, for readers; labels in their own order, which charts follow."""
    return json.dumps(recorded(PLAN))


def pictures(path, spec, wildcards):
    """Every shown run's file; none where none are asked for, nor for the partial target, which must not train."""
    return [] if wildcards.scope or spec is None else [path.format(**vars(run)) for run in PLAN.shown]


def pictures_shown(path, spec, wildcards):
    """For the partial target, those that exist: as parameters, which bring nothing up to date."""
    if spec is None or not wildcards.scope:
        return []
    return [made for run in PLAN.shown if Path(made := placed(path.format(**vars(run)))).exists()]


def reconstructions_files(wildcards):
    return pictures(RECONSTRUCTIONS, PLAN.reconstructions, wildcards)


def histograms_files(wildcards):
    return pictures(HISTOGRAMS, PLAN.histograms, wildcards)


def reconstructions_shown(wildcards):
    return pictures_shown(RECONSTRUCTIONS, PLAN.reconstructions, wildcards)


def histograms_shown(wildcards):
    return pictures_shown(HISTOGRAMS, PLAN.histograms, wildcards)


@cache
def demanded(stage, architecture):
    return demand(PLAN, stage, architecture)


def memory(stage):
    """A resource function: MB, from the size of the experiment; more with every attempt."""
    return lambda wildcards, attempt: attempt * demanded(stage, wildcards.get("architecture")).memory


def minutes(stage):
    """The same, of time."""
    return lambda wildcards, attempt: attempt * demanded(stage, wildcards.get("architecture")).minutes


def drawn(scope=""):
    """What is there to be looked at."""
    charts = [f"{RESULTS}/{scope}charts/{chart}.{kind}" for chart in PLAN.charts for kind in CHART_FILES]
    if ANIMATED and not scope:
        charts.append(ANIMATION)
    return [f"{RESULTS}/{scope}report.html", *charts]


def gathered(scope=""):
    """The tables behind what is drawn."""
    tables = [f"{RESULTS}/{scope}tables/{name}.parquet" for name in ("measures", "history")]
    verdicts = [f"{RESULTS}/{scope}verdicts/verdicts.{kind}" for kind in ("parquet", "md")]
    return [
        *tables,
        *(path.format(scope=scope) for path in (*PHASES, ANSWER)),
        *(verdicts if PLAN.config.claims else []),
    ]


def everything(scope=""):
    """What the whole workflow makes in the end, all of which a finished run has: what somebody has removed is made
    again. But for activations, which may be purged, and are large."""
    runs = [] if scope else [path for run in PLAN.runs for path in (CHECKPOINTS.format(**vars(run)), *run_files(run))]
    data = [] if scope else [f"{RESULTS}/data/{split}.parquet" for split in ("train", "validation", "held_out")]
    return [*drawn(scope), *gathered(scope), *runs, *data]

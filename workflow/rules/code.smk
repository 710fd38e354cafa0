"""The code behind every stage: its script, and the source files that decide what its jobs compute.

Needs: nothing but the checkout. Makes: logs/code/, which file had which content when a result was made.
"""

from infoplane.reuse import FOLDER as SHELF
from infoplane.sources import closure, digest, manifest
from infoplane.why import code_record

TEMPLATES = registry.PACKAGE / "report" / "templates"
CHART_PAGE = registry.PACKAGE / "charts" / "templates" / "chart.html.j2"
CODE = {}
"""Digest -> file -> digest of what it means, of all code that a rule was asked for."""


def path_in_checkout(path):
    """Where a file of this repository is: in the checkout, or where Snakemake has put what it fetched."""
    return str(BASE / path if BASE else workflow.source_path(f"../../{path}"))


def path_of(name):
    """Where a stage's script is."""
    return path_in_checkout(f"scripts/{name}.py")


ACCURACY = path_in_checkout("bench/results/accuracy.json")


def apart(value):
    """A parameter that makes no result stale: Snakemake does not compare parameters that depend on the output."""
    return lambda wildcards, output: value


def script(name):
    """Where a stage's script is, as a parameter; its content is part of its `code`."""
    return apart(path_of(name))


SHARED = apart(f"{PLAN.config.results}/{SHELF}" if PLAN.config.reuse else [])
"""Where finished runs of all experiments lie; nothing, where they are not to be used."""


@cache
def code(name, *plugins, beside=(), quoted=()):
    """A digest of what the source files behind a script and its jobs' plug-ins mean: an edit there makes them stale.

    beside: files that a script reads and does not import; quoted: plug-ins of which it shows the first line, as it does
    of each chart that it draws. One short parameter and not fifty inputs per job, so that large DAGs are planned fast,
    and a checkout that moves keeps its results.
    """
    titles = [one for one in plugins if one[0] == "chart"]
    return code_of(manifest([*closure(Path(path_of(name)), *plugins), *beside], BASE or HERE, [*titles, *quoted]))


def code_behind(name, *plugins):
    """The same as a parameter; nothing is read before a job of the rule is looked at."""
    return lambda wildcards: code(name, *plugins)


def code_of(files):
    """A digest of these files, which is written down with them."""
    found = digest(files)
    CODE[found] = files
    return f"code {found}"


TASK = "task", PLAN.task.kind


def run_code(name, wildcards, *plugins):
    """The same for a job of one run: its architecture and its shortcut kind, no others."""
    architecture = PLAN.architectures[wildcards.architecture].kind
    shortcut = PLAN.shortcuts[wildcards.shortcut].kind
    return code(name, ("architecture", architecture), ("shortcut", shortcut), *plugins)


def data_code(wildcards):
    return code("data", ("data set", PLAN.data.source.kind))


def train_code(wildcards):
    return run_code("train", wildcards, TASK)


def train_stack_code(wildcards):
    return run_code("train_stack", wildcards, TASK)


def activations_code(wildcards):
    return run_code("activations", wildcards)


def measures_code(wildcards):
    """The measure family's; where it reads checkpoints, it builds the network too."""
    family = ("measure", family_kind(wildcards))
    if "checkpoints" in registry.reads("measure", family_kind(wildcards)):
        return run_code("measures", wildcards, family, TASK)
    return code("measures", family)


def truths_code(wildcards):
    return code("truths", ("measure", family_kind(wildcards)))


def accuracy_code(wildcards):
    names = ("accuracy.html.j2", "report.css", "report.js", "sections/macros.html.j2")
    return code("accuracy", beside=tuple(TEMPLATES / name for name in names))


def charts_code(wildcards):
    return code("charts", ("chart", chart_kind(wildcards)), beside=(CHART_PAGE,))


def report_code(wildcards):
    """With the first line of each shortcut kind, which the page shows beside its label."""
    shown = (*TEMPLATES.glob("report.*"), *TEMPLATES.glob("sections/*"), ACCURACY)
    return code("report", beside=shown, quoted=tuple(("shortcut", one.kind) for one in PLAN.shortcuts.values()))


def keep_code():
    """Write down which files were behind this run's results, so that a later one can name those that were edited."""
    code_record.keep(Path(LOGS, "code"), CODE)

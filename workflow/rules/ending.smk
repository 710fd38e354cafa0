"""What is said when a run ends: the newest phases, where the results are, or what went wrong.

Needs: the results and logs of this run. Makes: nothing.
"""

import subprocess

from infoplane.config.workplace import no_results


def newest_phases():
    """Whose phases are the newest: of all runs (""), or of those measured so far ("partial/"); None: there are none."""
    found = [scope for scope in ("", "partial/") if all(path.exists() for path in phases_files(scope))]
    return max(found, key=lambda scope: phases_files(scope)[0].stat().st_mtime, default=None)


def phases_files(scope):
    return [Path(placed(path.format(scope=scope))) for path in PHASES]


def printed_phases(wildcards=None):
    """The tables that are printed; a sentence and the end, where there are none: what prints must not train."""
    require_here("summary")
    scope = newest_phases()
    if scope is None:
        named = [os.path.relpath(path) for path in workflow.config_settings.configfiles]
        refuse(no_results(PLAN.config.experiment, named))
    return list(map(str, phases_files(scope)))


def printed_verdicts(wildcards=None):
    return [path for path in map(placed, summary_verdicts(newest_phases())) if Path(path).exists()]


def print_results():
    """After a run that made results: the answer, where everything is, and what else it left."""
    if RAN & {"all", "partial", "phases"} and not STORAGE and newest_phases() is not None:
        tables = ["--phases", *printed_phases(), "--verdicts", *printed_verdicts()]
        subprocess.run([sys.executable, path_of("summary"), *tables], stdout=sys.stderr)
    lines = made()
    if lines:
        print("\n".join(lines), file=sys.stderr)


def made():
    """What is printed at the end of a successful run: of what it made, where that is."""
    lines = []
    if RAN & {"all", "partial", "report"}:
        lines.append(f"{number(len(PLAN.runs), 'run')} of '{PLAN.config.experiment}'")
        lines += said(Path(LOGS, "data.log"), "note: ") + reports()
    if "accuracy" in RAN:
        lines.append(f"accuracy: {Path(RESULTS, 'accuracy', 'accuracy.html').resolve()}")
    lines += [f"archive: {Path(ARCHIVE).resolve()}"] if BASE and "archive" in RAN else []
    return lines


def reports():
    """Where the reports are, or all results in object storage."""
    pages = [Path(RESULTS, scope, "report.html") for scope in ("", "partial/")]
    stored = [f"results: {STORAGE}/{RESULTS}"] if STORAGE else []
    return [f"report: {page.resolve()}" for page in pages if page.exists()] + stored


def said(log, start):
    """The lines of a log that begin so."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return [line for line in text.splitlines() if line.startswith(start)]


def failures():
    """What is printed at the end of a failed run: each failed job's log, and the sentence in it."""
    lines = []
    for path in sorted(Path(LOGS).rglob("*.log")):
        if path.stat().st_mtime >= STARTED:
            lines += [f"{path}: {line}" for line in said(path, "error: ")]
    return "\n".join(lines) or f"The logs of all jobs are in {LOGS}."

"""What is said when a run ends: the newest phases, where the results are, or what went wrong.

Needs: the results and logs of this run. Makes: nothing.
"""

import subprocess


def print_phases():
    """After a run, the newest phases there are; unless it was a run of the rule that prints them."""
    log = Path(LOGS, "summary.log")
    if log.exists() and log.stat().st_mtime >= STARTED:
        return
    found = [scope for scope in ("", "partial/") if all(Path(path.format(scope=scope)).exists() for path in PHASES)]
    if not found:
        return
    newest = max(found, key=lambda scope: Path(PHASES[0].format(scope=scope)).stat().st_mtime)
    phases = [path.format(scope=newest) for path in PHASES]
    verdicts = [path for path in summary_verdicts(newest) if Path(path).exists()]
    command = [sys.executable, path_of("summary"), "--phases", *phases, "--verdicts", *verdicts]
    subprocess.run(command, stdout=sys.stderr)


def made():
    """What is printed at the end of a successful run."""
    scopes = [scope for scope in ("", "partial/") if Path(f"{RESULTS}/{scope}report.html").exists()]
    lines = [f"{number(len(PLAN.runs), 'run')} of '{PLAN.config.experiment}'"]
    lines += [f"report: {Path(RESULTS, scope, 'report.html').resolve()}" for scope in scopes]
    lines += [f"results: {STORAGE}/{RESULTS}"] if STORAGE else []
    lines += said(Path(LOGS, "data.log"), "note: ")
    page = Path(RESULTS, "accuracy", "accuracy.html")
    if page.exists():
        lines.append(f"accuracy: {page.resolve()}")
    archive = BASE and Path(ARCHIVE)  # only a checkout can be archived
    if archive and archive.exists() and archive.stat().st_mtime >= STARTED:
        lines.append(f"archive: {archive.resolve()}")
    return "\n".join(lines)


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
    return "\n".join(lines) or f"The logs of failed jobs, shown above, are in {LOGS}."

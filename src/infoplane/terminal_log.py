"""Show a run in the terminal: one line of progress, and whatever goes wrong.

Snakemake reports through Python's logging, and marks most records with an ``event``. Its own handler prints ten lines
for every job, and half of the bytes are reasons. This handler takes that one's place on the terminal. The log file has
a handler of its own, and still gets everything.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from infoplane.errors import printable
from infoplane.quantities import duration, number

LINE_EVERY_SECONDS = 30.0
"""Where the output is no terminal: at most one line of progress in this time."""
BAR = 12
"""Columns of the bar."""
SHOWN_JOBS = 2
"""Running jobs that the line names; the rest is counted."""
TAIL = 20
"""Last lines of a failed job's log that are shown."""
TRUST = 0.1
"""The forecast counts as much as this share of the work, so that the first job alone does not decide the time left."""

HIDDEN = {
    "workflow_started",
    "resources_info",
    "job_started",
    "shellcmd",
    "group_info",
    "progress",
    "debug_dag",
    "rulegraph",
}
"""Events that are for the log file alone."""

ROUTINE = (
    "Building DAG",
    "Using shell",
    "Conda environments: ignored",
    "Select jobs to execute",
    "Touching output file",
    "Storing in storage",
    "Storing output in storage",
    "Finished upload",
    "Retrieving from storage",
    "Finished retrieval",
    "Removing local copy of storage",
    "Reasons:",
    "Some jobs were triggered by provenance",
    "Rules with provenance triggered jobs",
    "Complete log",
    "Elapsed time",
    "Job ",
)
"""How messages without an event begin that are for the log file alone; "Job 7 has been submitted" is a cluster's."""


STYLES = ((logging.ERROR, "red"), (logging.WARNING, "yellow"))
NOTHING = "Nothing to be done"
INTERRUPT = "Terminating processes on user request"
INTERRUPTED = (
    "interrupted: the running jobs are ended; the same command goes on from there, and finished jobs stay finished"
)
DRY_RUN = "This was a dry-run"
DRY_RUN_MORE = " With -p each job is listed with its reason; the target `why` gives the reasons in short, and the cost."


@dataclass(frozen=True)
class Step:
    """A job of the plan: how long it may take, in seconds of one core, and the runs that are not done before it is."""

    seconds: float
    runs: frozenset[str] = frozenset()


class TerminalLog(logging.Handler):
    """Print one line of progress in place of what Snakemake says of each job; errors and warnings are printed at once.

    ``stream``: where to; on a terminal the line stays at the bottom, elsewhere it is printed now and then.
    ``dryrun``: the table of jobs is printed, once. ``idle``: gives the lines that follow "Nothing to be done".
    ``clock``: seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        dryrun: bool = False,
        color: bool = True,
        idle: Callable[[], list[str]] = list,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        super().__init__()
        self.console = console or Console(file=stream, no_color=not color, highlight=False, soft_wrap=True)
        self._dryrun, self._idle, self._clock = dryrun, idle, clock
        self._counted = self._interrupted = False
        self._last = ""
        self._running: dict[int, str] = {}
        self._steps: dict[int, Step] = {}
        self._waiting: dict[str, set[int]] = {}
        self._live: Live | None = None

    def begin(self, steps: Mapping[int, Step], runs: int, seconds: float) -> None:
        """Start the line.

        ``steps``: the plan's jobs by Snakemake's number. ``runs``: all, with those that are done.
        ``seconds``: how long it may take.
        """
        self._steps = dict(steps)
        self._jobs, self._runs = len(steps), runs
        self._total = self._left = sum(step.seconds for step in steps.values())
        for job, step in steps.items():
            for run in step.runs:
                self._waiting.setdefault(run, set()).add(job)
        self._pace = seconds / max(self._total, 1e-9)
        self._started = self._printed = self._clock()
        self._forecast()
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._line,
                console=self.console,
                transient=True,
                refresh_per_second=2,
                redirect_stdout=False,
            )
            self._live.start()

    def end(self) -> None:
        """Take the line away; what is printed from now on stays below what was printed before."""
        if self._live:
            self._live.stop()
            self._live = None
        self._steps = {}

    def close(self) -> None:
        self.end()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record)
        except Exception:
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> None:
        event, text = str(getattr(record, "event", None) or ""), record.getMessage()
        known = vars(record)
        if event == "job_info":
            self._running[known["jobid"]] = known["rule_msg"] or known["rule_name"]
        elif event == "job_finished":
            self._finished(known["job_id"])
        elif event == "job_error":
            if not self._interrupted:
                self._failed(known)
        elif event == "run_info":
            if self._dryrun and not self._counted:
                self._print(text)
            self._counted = True
        elif event in HIDDEN or (record.levelno <= logging.INFO and text.startswith(ROUTINE)):
            return
        elif event == "error" and "CalledProcessError" in text:
            return  # a job's command has failed, which its own record says
        elif text and text not in ("None", self._last):  # Snakemake repeats some every second
            self._last = text
            if text.startswith(INTERRUPT):
                self._interrupted, text = True, INTERRUPTED
            if text.startswith(DRY_RUN):
                text += DRY_RUN_MORE
            if text.startswith(NOTHING):
                text = "\n".join([text, *self._idle()])
            self._print(text, next((style for level, style in STYLES if record.levelno >= level), ""))

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(Text(printable(text), style))

    def _finished(self, job: int) -> None:
        self._running.pop(job, None)
        step = self._steps.pop(job, None)
        if step is None:
            return
        self._left -= step.seconds
        for run in step.runs:
            self._waiting[run].discard(job)
        self._forecast()
        now = self._clock()
        if not self._live and self._steps and now - self._printed >= LINE_EVERY_SECONDS:
            self._printed = now
            self._print(self.progress())

    def _failed(self, known: Mapping[str, Any]) -> None:
        """Say which job failed, what its log says last, and where the log is. ``rule_msg`` is what a cluster says."""
        name = self._running.pop(known["jobid"], known["rule_name"])
        self._print(f"failed: {name}", "bold red")
        if known["rule_msg"]:
            self._print(f"    {known['rule_msg']}")
        for log in known["log"]:
            for line in _last_lines(Path(log)):
                self._print(f"    {line}")
            self._print(f"  its log: {log}", "red")

    def _forecast(self) -> None:
        """Reckon anew when the run will end: from the time that the finished jobs took, and the forecast at first."""
        trust = TRUST * self._total
        spent = self._clock() - self._started
        pace = (spent + trust * self._pace) / max(self._total - self._left + trust, 1e-9)
        self._end = self._clock() + pace * self._left

    def progress(self) -> str:
        """Say how far the run is: runs done of all, jobs done of all, time left, and the jobs that are running."""
        done = []
        if self._waiting:
            waiting = sum(map(bool, self._waiting.values()))
            done.append(f"{self._runs - waiting} of {number(self._runs, 'run')}")
        done.append(f"{self._jobs - len(self._steps)} of {number(self._jobs, 'job')}")
        if self._steps:
            left = self._end - self._clock()
            done.append(f"about {duration(max(left, 1.0))} left" if left >= 0 else "longer than forecast")
        return f"{', '.join(done)}: {self._now()}"

    def _now(self) -> str:
        names = list(self._running.values())
        more = f" and {len(names) - SHOWN_JOBS} more" if len(names) > SHOWN_JOBS else ""
        return "; ".join(names[:SHOWN_JOBS]) + more

    def _line(self) -> Table:
        text = Text(self.progress())
        text.truncate(max(self.console.width - BAR - 2, 1), overflow="ellipsis")
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(max(self._total, 1e-9), self._total - self._left, width=BAR), text)
        return line


def _last_lines(log: Path) -> list[str]:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return [f"(its log cannot be read: {error.strerror})"]
    return lines[-TAIL:] or ["(its log is empty: the job was killed, for example because memory ran out)"]

"""What the terminal shows of a run: one line of progress, errors with their log, and nothing that steers a terminal."""

import io
import logging
from pathlib import Path

from rich.console import Console

from infoplane.terminal_log import Step, TerminalLog


class Shown:
    """A handler with a clock that the test turns, and records as Snakemake makes them."""

    def __init__(self, **options: object) -> None:
        self.stream, self.now = io.StringIO(), 0.0
        self.log = TerminalLog(self.stream, clock=lambda: self.now, **options)  # type: ignore[arg-type]

    def record(self, text: str | None, level: int = logging.INFO, **known: object) -> None:
        self.log.handle(logging.makeLogRecord({"msg": text, "levelno": level, **known}))

    def start(self, job: int, name: str) -> None:
        self.record(None, event="job_info", jobid=job, rule_msg=name, rule_name="rule", reason="Missing output files")

    def finish(self, job: int, at: float) -> None:
        self.now = at
        self.record(f"Finished jobid: {job}", event="job_finished", job_id=job)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


PLAN = {1: Step(10, frozenset({"a"})), 2: Step(10, frozenset({"a"})), 3: Step(10, frozenset({"b"})), 4: Step(10)}


def test_the_line_counts_runs_and_jobs_and_names_what_runs() -> None:
    shown = Shown()
    shown.log.begin(PLAN, runs=5, seconds=20)
    assert shown.log.progress() == "3 of 5 runs, 0 of 4 jobs, about 20 s left: "
    for job, name in ((1, "Train a"), (3, "Train b"), (9, "Draw c")):
        shown.start(job, name)
    assert shown.log.progress().endswith(": Train a; Train b and 1 more")
    shown.finish(1, 5.0)
    assert shown.log.progress().startswith("3 of 5 runs, 1 of 4 jobs, ")
    shown.finish(2, 10.0)
    assert shown.log.progress() == "4 of 5 runs, 2 of 4 jobs, about 10 s left: Train b; Draw c"


def test_time_left_follows_the_time_that_jobs_took_and_runs_down_between_them() -> None:
    shown = Shown()
    shown.log.begin({job: Step(10) for job in range(100)}, runs=0, seconds=1000)
    for job in range(50):
        shown.finish(job, 20.0 * (job + 1))  # twice as long as was forecast
    left = 500 * (1000 + 100) / (500 + 100)
    assert f"about {left // 60:.0f} min {round(left) % 60:02d} s left" in shown.log.progress()
    shown.now += left - 0.5
    assert "50 of 100 jobs, about 1.0 s left" in shown.log.progress()
    shown.now += 1
    assert "50 of 100 jobs, longer than forecast" in shown.log.progress()


def test_off_a_terminal_there_is_a_line_now_and_then_and_no_control_character() -> None:
    shown = Shown()
    shown.log.begin({job: Step(1) for job in range(100)}, runs=0, seconds=100)
    for job in range(100):
        shown.start(job, f"Measure {job}")
        shown.record(None, event="progress", done=job, total=100)
        shown.record("Select jobs to execute...")
        shown.finish(job, float(job + 1))
    assert len(shown.lines) == 3 and shown.lines[0].startswith("30 of 100 jobs, about ")
    shown.record("\x1b[2Jfrom a file's name", logging.WARNING)
    assert shown.lines[-1] == "\\x1b[2Jfrom a file's name"
    assert all(line.isprintable() for line in shown.lines)


def test_after_the_last_job_there_is_no_line_of_progress() -> None:
    shown = Shown()
    shown.log.begin({1: Step(1), 2: Step(1)}, runs=0, seconds=100)
    for job in (1, 2):
        shown.start(job, f"Measure {job}")
        shown.finish(job, 100.0 * job)
    assert len(shown.lines) == 1 and shown.lines[0].startswith("1 of 2 jobs, about ")


def test_on_a_terminal_the_line_stays_below_and_goes_at_the_end() -> None:
    stream = io.StringIO()
    shown = Shown(console=Console(file=stream, force_terminal=True, width=80, soft_wrap=True))
    shown.log.begin(PLAN, runs=2, seconds=40)
    shown.start(1, "Train a network whose name is much longer than any terminal is wide")
    shown.record("beware", logging.WARNING)
    shown.log.end()
    assert "beware" in stream.getvalue() and "Train a" in stream.getvalue() and "…" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the cursor is back, the line is gone"
    shown.log.close()


def failed(shown: Shown, log: Path) -> list[str]:
    shown.start(7, "Measure vit")
    shown.record(
        "Error in rule measures",
        logging.ERROR,
        event="job_error",
        jobid=7,
        rule_msg=None,
        rule_name="measures",
        log=[str(log)],
    )
    shown.record(
        "RuleException:\nCalledProcessError in file x", logging.ERROR, event="error", exception="RuleException"
    )
    return shown.lines


def test_a_failed_job_is_named_with_the_end_of_its_log_and_where_that_is(tmp_path: Path) -> None:
    log = tmp_path / "measures.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + "error: no space left\n")
    shown = Shown()
    lines = failed(shown, log)
    assert lines[0] == "failed: Measure vit"
    assert "line 80" not in "\n".join(lines) and "    line 99" in lines
    assert lines[-2:] == ["    error: no space left", f"  its log: {log}"]


def test_jobs_that_ctrl_c_has_ended_have_not_failed(tmp_path: Path) -> None:
    shown = Shown()
    shown.record("Terminating processes on user request, this might take some time.")
    (line,) = failed(shown, tmp_path / "any.log")
    assert line.startswith("interrupted: ") and "the same command goes on from there" in line


def test_a_failed_job_without_a_log(tmp_path: Path) -> None:
    assert "cannot be read" in failed(Shown(), tmp_path / "nowhere.log")[1]
    (tmp_path / "empty.log").touch()
    assert "its log is empty" in failed(Shown(), tmp_path / "empty.log")[1]


def test_a_dry_run_counts_its_jobs_once() -> None:
    shown = Shown(dryrun=True)
    for _ in range(2):
        shown.record("Job stats:\njob  count", event="run_info", stats={})
    shown.start(1, "Train a")
    shown.record("Reasons:\n    (check individual jobs above for details)")
    shown.record("This was a dry-run (flag -n).")
    assert shown.lines[:2] == ["Job stats:", "job  count"] and len(shown.lines) == 3
    assert "With -p each job is listed with its reason" in shown.lines[2]


def test_what_is_not_known_is_shown() -> None:
    """Nothing to be done, a lock, a sentence of a plug-in: only what is known to be routine is left to the log file."""
    shown = Shown()
    told = ["Nothing to be done (all requested files are present and up to date).", "Unlocked working directory."]
    for text in (told[0], *told, told[1]):  # and once, not as often as Snakemake repeats it
        shown.record(text)
    shown.record("Error: Directory cannot be locked.", logging.ERROR, event="error", exception="LockException")
    assert shown.lines == [*told, "Error: Directory cannot be locked."]


def test_nothing_to_do_is_followed_by_where_the_results_are() -> None:
    shown = Shown(idle=lambda: ["report: here"])
    shown.record("Nothing to be done (all requested files are present and up to date).")
    assert shown.lines[1:] == ["report: here"]

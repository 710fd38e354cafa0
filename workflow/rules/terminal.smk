"""What the terminal shows of a run: what it will do, a line of progress, and no more of Snakemake's log than that.

Needs: the plan of jobs, when a run starts. Makes: nothing. The whole log is in .snakemake/log, and with -p, --verbose or
--debug-dag on the terminal too.
"""

from infoplane.terminal_log import Step, TerminalLog

PRINTING = {"summary", "why", "purge"}
"""Rules whose answer is what they print: nothing is said around it."""

RAN = set()
"""The rules of this run."""


def own_log():
    """Put the line in the place of Snakemake's own handler for the terminal.

    Not where more or less of Snakemake's log is asked for, where another logger shows it, or where another workflow
    uses this one as a module.
    """
    asked = workflow.output_settings
    if asked.printshellcmds or asked.verbose or asked.debug_dag or asked.quiet:
        return None
    if not (workflow.is_main_process and workflow.modifier.is_main_snakefile()):
        return None
    for shown in logger.handlers:
        if shown.name == "DefaultStreamHandler":
            own = TerminalLog(shown.stream, dryrun=asked.dryrun, color=not shown.nocolor, idle=lambda: reports())
            own.filters = shown.filters
            logger.addHandler(own)
            logger.removeHandler(shown)
            return own


TERMINAL = own_log()


def begin(logs):
    """Say what a run that starts will do, and start the line."""
    RAN.update(job.rule.name for job in workflow.dag.needrun_jobs())
    if not TERMINAL or RAN <= PRINTING:
        return

    from infoplane.why import terminal
    from infoplane.why.cost import duration_at_once, estimate
    from infoplane.why.pending import Pending

    order = [rule.name for rule in workflow.rules]
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.rule.norun]
    jobs.sort(key=lambda job: order.index(job.rule.name))
    pending = [Pending(job.rule.name, dict(job.wildcards_dict), threads=job.threads) for job in jobs]
    limits = workflow.resource_settings
    places = limits.nodes or limits.cores or 1
    try:
        cost = estimate(pending, PLAN)
        each = cost.each
        seconds = duration_at_once(pending, each, places)
        print(*terminal.opening(pending, PLAN, cost, seconds), sep="\n", file=sys.stderr)
    except UserError as error:  # a timing of an earlier run that cannot be read
        each = [1.0] * len(pending)
        seconds = len(pending) / places
        print(f"note: no forecast: {error}", file=sys.stderr)
    print(f"full log: {', '.join(os.path.relpath(path) for path in logs)} (on the terminal with -p)", file=sys.stderr)
    waiting = [runs_behind(job) for job in pending]
    steps = {job.jobid: Step(seconds, runs) for job, seconds, runs in zip(jobs, each, waiting)}
    runs = len(PLAN.runs) if "all" in RAN else len(set().union(*waiting))
    TERMINAL.begin(steps, runs, seconds)


def runs_behind(job):
    """The runs that a job is part of: one; all seeds of a stack; none of tables and charts."""
    if "architecture" not in job.wildcards:
        return frozenset()
    seeds = [job.wildcards["seed"]] if "seed" in job.wildcards else PLAN.config.seeds
    return frozenset(RUN.format(**{**job.wildcards, "seed": seed}) for seed in seeds)


def finish():
    """Take the line away before something else is printed."""
    if TERMINAL:
        TERMINAL.end()

"""Say why each pending job would run, with the keys of the configuration, and what the whole plan would cost."""

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infoplane.errors import UserError, run_script
from infoplane.why.pending import Pending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="rules or files; default: everything")
    parser.add_argument("--snakefile", type=Path, default=Path(__file__).parents[1] / "Snakefile")
    parser.add_argument("--config", required=True, help="the experiment's configuration, JSON")
    parser.add_argument("--each", action="store_true", help="a line for every job, not for every reason")
    parser.add_argument("--json", action="store_true", help="the rules, their pending jobs and the reasons, as JSON")
    args = parser.parse_args()

    from infoplane.config.load import load
    from infoplane.why import terminal
    from infoplane.why.cost import estimate
    from infoplane.why.reasons import Surroundings, grouped

    config = json.loads(args.config)
    plan = load(config)
    jobs, code = pending(args.snakefile, config, args.targets)
    around = Surroundings(plan, Path(plan.config.results, plan.config.experiment), code)
    groups = grouped(jobs, around)
    if args.json:
        print(
            json.dumps([{"rule": one.rule, "jobs": len(one.jobs), "reasons": one.reasons} for one in groups], indent=1)
        )
    else:
        terminal.show(groups, plan, estimate(jobs, plan), args.each)


def pending(snakefile: Path, config: dict[str, Any], targets: list[str]) -> tuple[list[Pending], dict[str, Any]]:
    """The jobs that a run would start now, inputs before what reads them, and the files behind every code digest."""
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import print_exception
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    with tempfile.TemporaryDirectory() as folder:
        configfile = Path(folder, "config.json")
        configfile.write_text(json.dumps(config))
        settings = OutputSettings(dryrun=True, quiet={Quietness.ALL}, enable_file_logging=False)
        with SnakemakeApi(settings) as api:
            workflow_api = api.workflow(
                ResourceSettings(cores=1), ConfigSettings(configfiles=[configfile]), snakefile=snakefile
            )
            dag_api = workflow_api.dag(DAGSettings(targets=frozenset(targets)))
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    dag_api.summary()  # which plans the jobs, and starts none
            except Exception as error:
                print_exception(error, {})
                raise UserError("the jobs cannot be planned, for the reason above.") from None
            workflow = workflow_api._workflow
            return list(_records(workflow)), dict(workflow.globals["CODE"])


def _records(workflow: Any) -> Iterator[Pending]:
    """Each pending job as plain values; what Snakemake leaves out of its reasons once it has one is asked for too."""
    dag, known = workflow.dag, workflow.persistence
    for job in (job for level in dag.toposorted() for job in level if dag.needrun(job)):
        if job.rule.norun:
            continue
        reason, made_before = dag.reason(job), known.has_metadata(job)
        params = known.params_changed(job) if made_before else None
        inputs = {path for output in job.output for path in known.input(output) or ()} if made_before else set()
        upstream = {dependency.rule.name for dependency in dag.dependencies[job] if dag.needrun(dependency)}
        current = set(map(str, job.input)) if made_before else set()
        yield Pending(
            rule=job.rule.name,
            wildcards=dict(job.wildcards_dict),
            outputs=tuple(map(str, job.output)),
            missing=tuple(sorted(map(str, reason.missing_output))),
            made_before=made_before,
            incomplete=bool(reason.incomplete_output),
            forced=bool(reason.forced),
            upstream=tuple(sorted(upstream)),
            new_inputs=tuple(sorted(map(str, reason.updated_input))),
            params_before=tuple(sorted(params.only_old)) if params else (),
            params_now=tuple(sorted(params.only_new)) if params else (),
            inputs_before=tuple(sorted(inputs - current)),
            inputs_now=tuple(sorted(current - inputs)),
            command_changed=made_before and any(known.code_changed(job)),
            log=next(iter(map(str, job.log)), ""),
            gpu=bool(job.resources.get("gpu")),
            threads=job.threads,
        )


if __name__ == "__main__":
    run_script(main)

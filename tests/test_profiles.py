"""The profiles: Snakemake understands them, they ask for enough, and say in a sentence what is not to be had."""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from snakemake.cli import get_argument_parser
from workflow import SNAKEMAKE

from infoplane.config.demand import ALONE, OF_A_RUN, demand
from infoplane.config.load import load
from infoplane.devices import require_gpus
from infoplane.errors import UserError

PROFILES = sorted(path.parent.name for path in (REPOSITORY / "profiles").glob("*/config.yaml"))
PLUGINS = {
    "slurm-": "snakemake_executor_plugin_slurm",
    "storage-s3-": "snakemake_storage_plugin_s3",
    "kubernetes-": "snakemake_executor_plugin_kubernetes",
}
"""Settings of these beginnings belong to plug-ins, and are known to Snakemake where these are installed."""


def profile(name: str) -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "profiles" / name / "config.yaml").read_text())  # type: ignore[no-any-return]


def rules() -> set[str]:
    files = [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow" / "rules").glob("*.smk")]
    return {
        name
        for path in files
        for name in re.findall(r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:", path.read_text(), re.MULTILINE)
    }


def dry_run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SNAKEMAKE, "-n", "--cores", "2", *arguments],
        cwd=REPOSITORY,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The only line that it said, beside Snakemake's own about profiles and configuration."""
    assert done.returncode != 0
    (said,) = (line for line in done.stdout.splitlines() if not line.startswith(("Using workflow", "Config file")))
    return said


def test_there_is_one_for_each_engine() -> None:
    assert PROFILES == ["default", "gpu", "kubernetes", "lsf", "slurm"]


@pytest.mark.parametrize("name", PROFILES)
def test_every_setting_is_one_of_snakemakes(name: str) -> None:
    known = {option.lstrip("-") for action in get_argument_parser()._actions for option in action.option_strings}
    settings = {key for key in profile(name) if not key.startswith("__")}
    absent = tuple(beginning for beginning, module in PLUGINS.items() if find_spec(module) is None)
    assert {key for key in settings if not key.startswith(absent)} <= known


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_that_is_named_exists(name: str) -> None:
    settings = profile(name)
    assert {*settings.get("set-resources", {}), *settings.get("set-threads", {})} <= rules()


@pytest.mark.parametrize("name", PROFILES)
def test_what_all_profiles_share(name: str) -> None:
    """Snakemake reads one profile; the others repeat what is in the default one."""
    assert profile("default").items() <= profile(name).items()


@pytest.mark.parametrize("name", ("slurm", "lsf", "kubernetes"))
def test_an_engine_that_is_not_here_is_one_sentence(name: str, tmp_path: Path) -> None:
    """Neither its commands nor its plug-in, unless that is installed."""
    for command in ("bash", "which"):  # what Snakemake and its plug-ins cannot do without
        (tmp_path / command).symlink_to(shutil.which(command) or "/nowhere")
    done = dry_run("--workflow-profile", f"profiles/{name}", PATH=str(tmp_path), INFOPLANE_BUCKET="")
    assert sentence(done).startswith(f"error: profiles/{name}: ")


def test_the_gpu_profile_without_a_gpu_is_one_sentence() -> None:
    done = dry_run("--workflow-profile", "profiles/gpu", CUDA_VISIBLE_DEVICES="")
    assert sentence(done).startswith("error: profiles/gpu: there is no GPU here")


def test_the_gpu_profile_counts_gpus_and_their_slots() -> None:
    done = dry_run("--workflow-profile", "profiles/gpu", CUDA_VISIBLE_DEVICES="0,1,5")
    assert done.returncode == 0, done.stdout
    refused = dry_run("--workflow-profile", "profiles/gpu", "--config", "slots=1", CUDA_VISIBLE_DEVICES="0,1,5")
    assert sentence(refused).startswith("error: --resources gpu=6: this machine has room for 3 such jobs")


def test_more_gpus_than_there_are_is_one_sentence() -> None:
    done = dry_run("--resources", "gpu=3", CUDA_VISIBLE_DEVICES="0,1")
    assert sentence(done) == (
        "error: --resources gpu=3: this machine has room for 2 such jobs at a time (GPUs: 0, 1; slots of each: 1): say "
        "gpu=2, or raise slots in the configuration."
    )
    assert dry_run("--resources", "gpu=2", CUDA_VISIBLE_DEVICES="0,1").returncode == 0


def test_a_gpu_count_and_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    require_gpus(4, slots=2)
    require_gpus(0, slots=1)
    with pytest.raises(UserError, match="room for 4 such jobs"):
        require_gpus(5, slots=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match="there is no GPU here"):
        require_gpus(1, slots=2)


# --- what a job asks for

MEASURED = {"demo": "config/config.yaml", "cifar10_parquet": "config/experiments/cifar10_parquet.yaml"}


def configuration(path: str) -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / path).read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("experiment", MEASURED)
def test_demand_holds_what_the_benchmarks_measured(experiment: str) -> None:
    """More memory and time than every measured job took, and no more than fifteen times the memory."""
    plan = load(configuration(MEASURED[experiment]) | {"device": "cpu"})
    measured = json.loads((REPOSITORY / "bench" / "results" / f"experiment-{experiment}.json").read_text())
    for stage, seconds in measured["work_s"].items():
        asked = [demand(plan, stage, architecture) for architecture in plan.architectures]
        peak = measured["peak_memory_mb"][stage]
        assert all(peak < one.memory < 15 * peak for one in asked)
        jobs = len(plan.runs) * (len(plan.measures) if stage.startswith("measures") else 1)
        jobs //= len(plan.config.seeds) if stage.endswith("_stack") else 1
        assert all(seconds / jobs < 60 * one.minutes for one in asked)


def test_demand_grows_with_the_experiment() -> None:
    small = configuration("config/config.yaml") | {"device": "cpu", "architectures": {"resnet": None}}
    before = {stage: demand(load(small), stage, "resnet") for stage in OF_A_RUN}
    changes: list[tuple[dict[str, Any], set[str], set[str]]] = [
        ({"training": {"steps": 480_000}}, set(), {"train", "train_stack"}),
        (
            {"data": {"kind": "mnist", "held_out": 5000}},
            {"train", "train_stack", "activations", "measures"},
            {"measures"},
        ),
        ({"architectures": {"resnet": {"width": 512}}}, set(OF_A_RUN), set(OF_A_RUN)),
        ({"seeds": list(range(100))}, {"train_stack"}, {"train_stack"}),
        ({"measures": {"linear": None}}, set(), set()),
    ]
    for change, memory, minutes in changes:
        after = {stage: demand(load(small | change), stage, "resnet") for stage in OF_A_RUN}
        assert {stage for stage in OF_A_RUN if after[stage].memory > before[stage].memory} >= memory, change
        assert {stage for stage in OF_A_RUN if after[stage].minutes > before[stage].minutes} >= minutes, change
        if not memory | minutes:
            assert after == before


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "config" / "experiments").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_experiment_has_a_demand(path: Path) -> None:
    plan = load(configuration(str(path)))
    found = [demand(plan, stage) for stage in ALONE]
    found += [demand(plan, stage, architecture) for stage in OF_A_RUN for architecture in plan.architectures]
    assert all(one.memory >= 1000 and 10 <= one.minutes < 7 * 24 * 60 for one in found)

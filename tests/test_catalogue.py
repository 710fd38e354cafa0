"""What the Snakemake workflow catalogue's "standardized usage" asks of a repository, and what snakedeploy makes of it.

The rules are those of the catalogue's page on adding workflows and of the script behind it, as far as they can be held
without a network.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from workflow import GARBAGE, PARTS, SNAKEMAKE, job_counts

from infoplane import plugin_files
from infoplane.config.load import load

DEPLOYMENTS = {"conda", "apptainer", "apptainer+conda"}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    return read


def test_the_repository_is_found_and_counts_as_standardized() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme, "the catalogue searches for both words"
    assert (REPOSITORY / "workflow/Snakefile").is_file(), (
        "where there is a folder workflow, the Snakefile is sought there"
    )
    assert any(path.suffix == ".smk" for path in (REPOSITORY / "workflow/rules").iterdir())
    assert (REPOSITORY / "config/config.yaml").is_file(), "what a deployed copy reads"


def test_the_settings_say_what_the_catalogue_reads(settings: dict[str, Any]) -> None:
    assert set(settings) == {"usage"}
    usage = settings["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    flags = usage["mandatory-flags"]
    assert set(flags) == {"desc", "flags"} and flags["desc"]
    assert isinstance(flags["flags"], str) or all(isinstance(flag, str) for flag in flags["flags"])
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == DEPLOYMENTS and all(isinstance(works, bool) for works in deployment.values())
    assert any(deployment.values()) and isinstance(usage["report"], bool)


def test_the_settings_are_true(settings: dict[str, Any]) -> None:
    usage, rules = settings["usage"], {}
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        rules |= dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert usage["software-stack-deployment"]["conda"] == all(
        "conda:" in body for body in rules.values() if "shell:" in body
    )
    assert usage["software-stack-deployment"]["apptainer"] == all("container:" in body for body in rules.values())
    assert usage["report"] == any("report(" in body for body in rules.values())
    for profile in re.findall(r"profiles/\w+", usage["mandatory-flags"]["desc"]):
        assert (REPOSITORY / profile / "config.yaml").is_file()


def test_the_configuration_page_names_every_part_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "config/README.md").read_text(encoding="utf-8")
    assert page.startswith("# "), "the catalogue lowers headings by one level, of the first level only"
    keys = set(yaml.safe_load((REPOSITORY / "config/default.yaml").read_text(encoding="utf-8")))
    assert {"experiment", "measures"} <= keys
    missing = {key for key in keys if not re.search(rf"`{key}`", page)}
    assert missing <= {"results"}, f"config/README.md does not say what these are: {missing}"
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(\{.*\}|\[.*\])` \|$", page, flags=re.MULTILINE)
    assert len(rows) >= 7
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    for key, example in rows:
        value = yaml.safe_load(example)
        if key == "plugins":
            (folder,) = value
            (tmp_path / folder / "measures").mkdir(parents=True)
            value = [str(tmp_path / folder)]
            monkeypatch.setenv(plugin_files.VARIABLE, "")
        load(demo | {key: (demo["data"] | value) if key == "data" else value})


def deployed(folder: Path) -> Path:
    """A copy of the repository and, beside it, what `snakedeploy deploy-workflow` writes for it (0.17.1)."""
    source, copy = folder / "source", folder / "copy"
    for part in PARTS:
        if (REPOSITORY / part).is_dir():
            shutil.copytree(REPOSITORY / part, source / part, ignore=GARBAGE)
        else:
            (source / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / part, source / part)
    for part in ("config", "profiles"):
        shutil.copytree(REPOSITORY / part, copy / part)
    module = (
        'configfile: "config/config.yaml"\n\n\nmodule infoplane:\n'
        f'    snakefile:\n        "{source / "workflow/Snakefile"}"\n    config:\n        config\n\n\n'
        "use rule * from infoplane\n"
    )
    (copy / "workflow").mkdir()
    (copy / "workflow/Snakefile").write_text(module, encoding="utf-8")
    return copy


@pytest.mark.parametrize("name", ["copy", "source"])
def test_a_deployed_copy_plans_the_demo(name: str, tmp_path: Path) -> None:
    folder = deployed(tmp_path).parent / name
    command = [*SNAKEMAKE, "--snakefile", "workflow/Snakefile", "--cores", "1", "--dry-run", "--config", "device=cpu"]
    said = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert said.returncode == 0, said.stdout
    counts = job_counts(said.stdout)
    assert counts["train_stack"] == 9 and counts["report"] == 1

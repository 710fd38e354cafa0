"""Another workflow imports this one as a Snakemake module, with a configuration of its own."""

import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY
from workflow import GARBAGE, PARTS, SNAKEMAKE, job_counts, tiny

IMPORTING = '''
configfile: "mine.yaml"


module infoplane:
    snakefile:
        {snakefile}
    config:
        config["planes"]


use rule * from infoplane as infoplane_*


rule fit_depths:
    """What another workflow makes of our tables."""
    default_target: True
    input:
        rules.infoplane_tables.output.measures.replace("{{scope}}", ""),
    output:
        "mine/rows.txt",
    shell:
        "python -c 'import sys, pyarrow.parquet as pq; print(pq.read_table(sys.argv[1]).num_rows)'"
        " {{input}} >{{output}}"
'''


def importing(folder: Path, snakefile: str) -> Path:
    """A workflow of somebody else's: one run of ours, and a rule of its own that reads our table."""
    folder.mkdir()
    (folder / "Snakefile").write_text(IMPORTING.format(snakefile=snakefile))
    less = {
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"none": None},
        "measures": {"linear": None},
        "charts": {"contrast": None},
        "reconstructions": {"images": 0},
        "histograms": {"bins": 0},
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump({"theirs": 1, "planes": tiny() | less}))
    return folder


def snakemake(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*SNAKEMAKE, "--cores", "1", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


JOBS = {f"infoplane_{rule}": 1 for rule in ("data", "train", "activations", "measures", "tables")}


def test_a_rule_of_theirs_reads_a_table_of_ours(tmp_path: Path) -> None:
    folder = importing(tmp_path / "theirs", repr(str(REPOSITORY / "Snakefile")))
    assert job_counts(snakemake(folder, "-n")) == JOBS | {"fit_depths": 1, "total": 6}
    snakemake(folder)
    assert int((folder / "mine" / "rows.txt").read_text()) > 10
    assert "Nothing to be done" in snakemake(folder)


def test_what_is_finished_is_found_under_a_prefix(tmp_path: Path) -> None:
    """`partial` and `purge` look for results themselves; Snakemake puts the prefix before the paths of rules alone."""
    folder = importing(tmp_path / "theirs", repr(str(REPOSITORY / "Snakefile")))
    text = (folder / "Snakefile").read_text()
    (folder / "Snakefile").write_text(text.replace("    config:", '    prefix:\n        "below"\n    config:', 1))
    snakemake(folder)
    snakemake(folder, "infoplane_partial")
    made = folder / "below" / "results" / "tiny"
    partial = pq.read_table(made / "partial" / "tables" / "measures.parquet")
    assert partial.num_rows == pq.read_table(made / "tables" / "measures.parquet").num_rows > 10
    assert list(made.glob("activations/**/*.parquet"))
    snakemake(folder, "infoplane_purge")
    assert not list(made.glob("activations/**/*.parquet"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_the_same_from_a_repository(tmp_path: Path) -> None:
    """Its files are fetched one by one, as from GitHub; the package is the installed one. The first job is run."""
    repository = tmp_path / "repository"
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, repository / part, ignore=GARBAGE)
        else:
            (repository / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, repository / part)
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    folder = importing(tmp_path / "theirs", f'gitfile("{repository}", path="workflow/Snakefile", ref="main")')
    assert job_counts(snakemake(folder, "-n")) == JOBS | {"fit_depths": 1, "total": 6}
    snakemake(folder, "--until", "infoplane_data")
    assert (folder / "results" / "tiny" / "data" / "held_out.parquet").stat().st_size > 0

"""Only the stale steps rerun, and a user is told why: one change at a time, and exactly which rules rerun."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from staleness import MUTATIONS, PAGE, Mutation, written
from workflow import Workflow, tiny

from infoplane.config.load import load
from infoplane.why.code_record import edited, keep, recall
from infoplane.why.config_keys import Change, changes
from infoplane.why.pending import Pending
from infoplane.why.reasons import Surroundings, grouped, reasons

EDITED = ("src", "results/tiny")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The tiny experiment, run to the end as far as Snakemake can tell."""
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("staleness"), tiny())
    workflow.hollow()
    return workflow


@pytest.fixture
def workflow(finished: Workflow, tmp_path: Path) -> Iterator[Workflow]:
    """The finished experiment; what a test edits is put back, and then nothing is stale."""
    for name in EDITED:
        shutil.copytree(finished.root / name, tmp_path / name)
    yield finished
    finished.write(tiny())
    for name in EDITED:
        for path in (path for path in (tmp_path / name).rglob("*") if path.is_file()):
            there = finished.root / path.relative_to(tmp_path)
            if not there.exists() or there.read_bytes() != path.read_bytes():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, there)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what.replace(" ", "-"))
def test_what_a_change_reruns_and_why(workflow: Workflow, mutation: Mutation) -> None:
    mutation.make(workflow)
    pending: dict[str, int] = {}
    reasons = set()
    for group in workflow.why():
        pending[group["rule"]] = pending.get(group["rule"], 0) + group["jobs"]
        reasons |= set(group["reasons"])
    assert pending == mutation.reruns
    assert any(mutation.why in reason for reason in reasons) == bool(pending), reasons


def test_snakemake_itself_would_run_the_same(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rule prints it, as often as it is asked."""
    monkeypatch.setenv("COLUMNS", "200")
    assert workflow.pending() == {}
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.what == "a measure's option")
    mutation.make(workflow)
    assert workflow.pending() == mutation.reruns
    for _ in range(2):
        said = workflow.snakemake("why").stdout
        assert "measures.kernel.folds: 5 → 4" in said and "it reads what will be made anew by tables" in said


def test_the_documentation_has_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "python tests/staleness.py writes it"


def test_two_changes_at_once_are_both_told(workflow: Workflow) -> None:
    workflow.write(tiny() | {"training": tiny()["training"] | {"batch_size": 16, "steps": 9}, "seeds": [0, 3]})
    reasons = {(group["rule"], *group["reasons"]) for group in workflow.why()}
    assert ("train", "training.batch_size: 32 → 16", "training.steps: 6 → 9") in reasons
    assert ("train", "seeds: 3 is new") in reasons
    assert ("activations", "it reads what will be made anew by train") in reasons


def test_an_experiment_that_has_not_begun(workflow: Workflow) -> None:
    workflow.write(tiny() | {"experiment": "other"})
    assert {reason for group in workflow.why() for reason in group["reasons"]} == {"it has not been made yet"}
    assert {group["rule"] for group in workflow.why("data")} == {"data"}


# --- the parts

PLAN = load(tiny() | {"architectures": {"mlp": {"width": 8, "blocks": 1, "training": {"steps": 9}}, "resnet": None}})
OF = {"architecture": "mlp", "shortcut": "identity", "seed": "0"}


def stored(*values: object) -> list[str]:
    """Parameters as Snakemake keeps them: the ``repr`` of each; here specs are JSON."""
    return [repr(json.dumps(value) if isinstance(value, dict) else value) for value in values]


def test_every_part_of_a_spec_has_its_key() -> None:
    spec = PLAN.train_spec("mlp", "identity", 0).to_dict()
    other = json.loads(json.dumps(spec))
    other["architecture"]["options"]["width"] = 16
    other["training"]["steps"], other["training"]["checkpoints"]["log"] = 12, 5
    found = changes("train", OF, stored(spec, "code 1"), stored(other, "code 2"), PLAN)
    assert list(map(str, found)) == [
        "architectures.mlp.training.steps: 9 → 12",
        "architectures.mlp.width: 8 → 16",
        "training.checkpoints.log: 2 → 5",
    ]
    data = PLAN.data.to_dict()
    moved = data | {"seed": 3, "source": {"kind": "mnist", "options": {}}}
    found = changes("data", {}, stored(data), stored(moved), PLAN)
    assert list(map(str, found)) == ['data.kind: "digits" → "mnist"', "data.split_seed: 0 → 3"]


def test_two_specs_of_one_job_are_not_mistaken_for_each_other() -> None:
    before, now = stored({"family": "linear", "x": "zx"}, 6.75), stored({"family": "kernel", "x": "zx"}, 5.0)
    found = changes("charts", {"chart": "plane"}, before, now, PLAN)
    assert found == [Change("charts.plane.family", "linear", "kernel"), Change("figures.width", 6.75, 5.0)]


def test_what_is_too_long_is_cut() -> None:
    assert len(str(Change("claims.a", {"sentence": "x" * 500}, None))) < 100


def around(results: Path, **code: dict[str, str]) -> Surroundings:
    return Surroundings(PLAN, results, code)


def test_code_is_named_by_file_where_it_was_written_down(tmp_path: Path) -> None:
    then, now = {"a.py": "1", "b.py": "1", "c.py": "1"}, {"a.py": "2", "b.py": "1", "d.py": "1"}
    assert edited(then, now) == {"a.py": "edited", "c.py": "removed", "d.py": "added"}
    job = Pending("train", OF, params_before=("'code aa'",), params_now=("'code bb'",))
    assert reasons(job, around(tmp_path, bb=now)) == ["source files of it were edited (which ones is not recorded)"]
    keep(tmp_path / "logs" / "code", {"aa": then})
    assert recall(tmp_path / "logs" / "code", "aa") == then
    assert reasons(job, around(tmp_path, bb=now)) == ["a.py was edited", "c.py was removed", "d.py was added"]


def test_reasons_that_have_no_parameter(tmp_path: Path) -> None:
    here = around(tmp_path)
    assert reasons(Pending("train", OF, incomplete=True), here) == ["it was interrupted"]
    assert reasons(Pending("train", OF, forced=True), here) == ["it was asked for by --force or --forcerun"]
    assert reasons(Pending("data", new_inputs=("mine.parquet",)), here) == ["mine.parquet has changed"]
    assert "the rule's command was edited" in reasons(Pending("data", command_changed=True), here)[0]
    more = Pending("tables", inputs_now=("a", "b"), inputs_before=("c",))
    assert reasons(more, here) == ["it reads 2 files that it did not read before and 1 file fewer"]
    log = tmp_path / "train.log"
    log.write_text("Traceback\nerror: no space left on the disk\n")
    failed = Pending("train", OF, missing=("x",), made_before=False, log=str(log))
    assert reasons(failed, here) == ["the last attempt failed: no space left on the disk"]
    assert len(grouped([failed, failed, more], here)) == 2

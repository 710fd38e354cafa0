"""What is finished is not computed again: shared runs, settings that were tried before, purged activations."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from workflow import Workflow, tiny

from infoplane.purge import Dump, purge
from infoplane.reuse import Shelf, fingerprint
from infoplane.specs import Plugin

TAKEN = "taken from there"
CODE = Path(__file__)


# --- the shelf


@pytest.fixture
def made(tmp_path: Path) -> list[Path]:
    """Two finished files of an experiment."""
    paths = [tmp_path / "one" / "weights.safetensors", tmp_path / "one" / "history.parquet"]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(path.name)
    return paths


def others(made: list[Path]) -> list[Path]:
    return [path.parents[1] / "two" / path.name for path in made]


def kept(shelf: Path) -> list[Path]:
    return sorted(path for path in shelf.rglob("*") if path.is_file())


def test_what_is_kept_is_taken_as_a_copy(made: list[Path], tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shared")
    assert not shelf.take("ab12", others(made))
    shelf.keep("ab12", made)
    assert shelf.take("ab12", others(made)) and not shelf.take("ab13", others(made))
    for mine, theirs in zip(made, others(made), strict=True):
        assert theirs.read_bytes() == mine.read_bytes()
        assert not theirs.samefile(mine)  # a date on one is no date on the other


def test_it_outlives_what_snakemake_removes_and_takes_no_room_meanwhile(made: list[Path], tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", made)
    assert shelf.clear() == 0
    for path in made:
        path.unlink()
    assert shelf.take("ab12", made)
    assert len(kept(tmp_path / "shared")) == 2, "the copy has taken the place of what no experiment has"
    for path in made:
        path.unlink()
    assert shelf.clear() == sum(len(path.name) for path in made)
    assert not shelf.take("ab12", made) and kept(tmp_path / "shared") == []


def test_it_stays_as_long_as_any_experiment_has_it(made: list[Path], tmp_path: Path) -> None:
    """Whoever has made it, and whoever has taken it."""
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", made)
    shelf.take("ab12", others(made))
    for path in made:
        path.unlink()
    assert shelf.clear() > 0
    assert shelf.take("ab12", made)
    for path in others(made):
        path.unlink()
    assert shelf.clear() > 0 and shelf.take("ab12", others(made))


def test_it_stays_where_an_experiment_has_one_of_its_files(made: list[Path], tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", made)
    made[0].unlink()
    assert shelf.clear() == 0 and shelf.take("ab12", others(made))


def test_half_an_entry_is_none(made: list[Path], tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", [made[0], tmp_path / "missing.parquet"])
    assert not shelf.take("ab12", others(made)) and kept(tmp_path / "shared") == []
    shelf.keep("ab12", made)
    kept(tmp_path / "shared")[-1].unlink()
    assert not shelf.take("ab12", others(made))


def test_what_was_changed_in_place_is_not_taken(
    made: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hard link is one file: who writes into an experiment's result writes into the shelf's."""
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", made)
    with made[1].open("r+") as file:
        file.write("wrong")
    assert not shelf.take("ab12", others(made)) and not others(made)[1].exists()
    assert "was changed since it was put there: it is not used" in capsys.readouterr().err
    made[1].write_text("right")
    shelf.keep("ab12", made)
    assert shelf.take("ab12", others(made)) and others(made)[1].read_text() == "right"


def test_without_a_shelf_or_hard_links_everything_is_computed(
    made: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = Shelf(None)
    none.keep("ab12", made)
    assert not none.take("ab12", made) and none.clear() == 0

    def refuse(self: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    shelf = Shelf(tmp_path / "shared")
    shelf.keep("ab12", made)
    assert not shelf.take("ab12", others(made)) and not list((tmp_path / "shared").rglob("*.parquet"))


def test_a_fingerprint_is_of_spec_code_data_labels_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, same = tmp_path / "data", tmp_path / "same"
    data.write_text("1")
    same.write_text("1")
    plugins = [("shortcut", "identity")]
    first = fingerprint(Plugin("a"), CODE, plugins, data, seed=1)
    assert first == fingerprint(Plugin("a"), CODE, plugins, same, seed=1)
    other = tmp_path / "other"
    other.write_text("2")
    assert len({
        first,
        fingerprint(Plugin("b"), CODE, plugins, data, seed=1),
        fingerprint(Plugin("a"), CODE, [("shortcut", "none")], data, seed=1),
        fingerprint(Plugin("a"), other, plugins, data, seed=1),
        fingerprint(Plugin("a"), CODE, plugins, other, seed=1),
        fingerprint(Plugin("a"), CODE, plugins, data, seed=2),
    }) == 6  # fmt: skip
    monkeypatch.setattr("infoplane.reuse.versions", lambda: {"torch": "0"})
    assert fingerprint(Plugin("a"), CODE, plugins, data, seed=1) != first


# --- purging


def test_only_what_has_been_read_is_removed(tmp_path: Path) -> None:
    def at(name: str, when: int) -> Path:
        path = tmp_path / name
        path.write_text(name)
        os.utime(path, ns=(when, when))
        return path

    measured = Dump(at("a", 10), (at("a1", 10), at("a2", 30)))
    unmeasured = Dump(at("b", 10), (at("b1", 20), tmp_path / "missing"))
    made_anew = Dump(at("c", 50), (at("c1", 20),))
    unread = Dump(at("d", 10), ())
    gone = Dump(tmp_path / "gone", (at("e1", 10),))
    purged = purge([measured, unmeasured, made_anew, unread, gone], Shelf(None))
    assert purged.removed == [measured.path] and purged.freed == 1
    assert purged.left == [unmeasured.path, made_anew.path, unread.path]
    assert "left those of 3 runs not measured yet" in str(purged)
    assert not measured.path.exists() and all(path.exists() for path in purged.left)


# --- in the workflow


def experiment(**changes: Any) -> dict[str, Any]:
    """One run of one measure and one chart."""
    less = {
        "architectures": {"mlp": {"width": 8, "blocks": 1}},
        "shortcuts": {"identity": None},
        "measures": {"linear": None},
        "charts": {"contrast": None},
        "reconstructions": {"images": 0},
        "histograms": {"bins": 0},
    }
    return tiny() | less | changes


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow.copy_to(tmp_path_factory.mktemp("reuse"), experiment())
    workflow.snakemake()
    return workflow


@pytest.fixture
def workflow(finished: Workflow) -> Iterator[Workflow]:
    yield finished
    finished.write(experiment())


def logs(workflow: Workflow, stage: str) -> list[str]:
    found = sorted((workflow.results / "logs" / stage).rglob("*.log"))
    return [path.read_text() for path in found]


def contents(workflow: Workflow, stage: str) -> dict[str, bytes]:
    folder = workflow.results / stage
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_two_experiments_share_their_runs_and_what_was_measured_of_them(workflow: Workflow) -> None:
    first = {stage: contents(workflow, stage) for stage in ("train", "measures")}
    workflow.write(experiment(experiment="second", seeds=[0, 1]))
    workflow.snakemake("--until", "measures")
    taken = [TAKEN in text for text in logs(workflow, "train")]
    assert (taken.count(True), taken.count(False)) == (1, 1)
    assert [TAKEN in text for text in logs(workflow, "measures")].count(True) == 1
    for stage, files in first.items():
        assert files.items() <= contents(workflow, stage).items()
    workflow.write(experiment(experiment="third", reuse=False))
    workflow.snakemake("--until", "train")
    assert not any(TAKEN in text for text in logs(workflow, "train"))
    for name, content in contents(workflow, "train").items():
        before = first["train"][name]
        if name.endswith("history.parquet"):  # it tells the seconds that it took
            now, then = (
                pl.read_parquet(io.BytesIO(one)).filter(pl.col("quantity") != "seconds") for one in (content, before)
            )
            assert now.equals(then) and now.height
        else:
            assert content == before


def test_a_setting_that_was_tried_before_trains_nothing(workflow: Workflow) -> None:
    before = contents(workflow, "train")
    steps = experiment()["training"] | {"steps": 7}
    workflow.write(experiment(training=steps))
    workflow.snakemake("--until", "train")
    assert contents(workflow, "train") != before
    workflow.write(experiment())
    workflow.snakemake()
    assert all(TAKEN in text for text in logs(workflow, "train")) and contents(workflow, "train") == before
    assert workflow.pending() == {}


def test_a_purge_restales_nothing_and_only_new_measures_need_the_dumps(workflow: Workflow) -> None:
    measured = contents(workflow, "measures")
    workflow.write(experiment(measures={"linear": None, "kde": None}))
    assert "left those of 1 run" in workflow.snakemake("purge").stdout
    workflow.write(experiment())
    assert "removed the activations of 1 run" in workflow.snakemake("purge").stdout
    assert not list((workflow.results / "activations").rglob("*.parquet"))
    assert workflow.pending() == {}
    workflow.write(experiment(charts={"dynamics": None}))
    assert workflow.pending() == {"charts": 1, "report": 1}

    workflow.write(experiment(measures={"linear": None, "kde": None}))
    assert "train" not in workflow.pending()
    workflow.snakemake("--until", "measures")
    taken = {path.name: TAKEN in path.read_text() for path in (workflow.results / "logs/measures").rglob("*.log")}
    assert taken == {"linear.log": True, "kde.log": False}
    assert measured.items() <= contents(workflow, "measures").items()


def test_a_removed_experiment_frees_its_room_with_the_next_purge(workflow: Workflow) -> None:
    workflow.write(experiment(experiment="fourth", training=experiment()["training"] | {"steps": 8}))
    workflow.snakemake("--until", "train")
    shutil.rmtree(workflow.results)
    workflow.write(experiment())
    assert "shared results that no experiment uses any more" in workflow.snakemake("purge").stdout
    assert "finished results" not in workflow.snakemake("purge").stdout

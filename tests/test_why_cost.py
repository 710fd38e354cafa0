"""What a plan would cost is told from finished jobs of its kind, scaled; and says where there are none."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from workflow import tiny

from infoplane.config.demand import work_seconds
from infoplane.config.disk import dump_bytes
from infoplane.config.load import load
from infoplane.config.plan import Plan
from infoplane.storage.parquet import write_rows
from infoplane.why.cost import START_SECONDS, UNKNOWN_SECONDS, duration_at_once, estimate
from infoplane.why.pending import Pending

OF = {"architecture": "mlp", "shortcut": "identity", "seed": "0"}


def plan(results: Path, **changes: Any) -> Plan:
    return load(tiny() | {"results": str(results)} | changes)


def finished(results: Path, job: str, seconds: float, said: str = "", written: int = 0, **config: Any) -> None:
    """A job that an experiment has finished, with what its log says and the bytes that it wrote."""
    name = (tiny() | config)["experiment"]
    for kind, text in (("benchmarks", f"s\tmax_rss\n{seconds}\t300\n"), ("logs", said)):
        path = results / name / kind / f"{job}{'.tsv' if kind == 'benchmarks' else '.log'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if written:
        (results / name / job).mkdir(parents=True, exist_ok=True)
        (results / name / job / "file").write_bytes(b"0" * written)
    write_rows(results / name / "tables" / "measures.parquet", pa.table({"a": [1]}), {"config": tiny() | config})


def test_with_nothing_to_compare_it_is_reckoned_and_called_rough(tmp_path: Path) -> None:
    here = plan(tmp_path)
    cost = estimate([Pending("train", OF), Pending("phases")], here)
    assert (cost.jobs, cost.compared, cost.rough, cost.unsized) == (2, 0, 2, 2)
    assert cost.seconds == pytest.approx(START_SECONDS + work_seconds(here, "train", "mlp") + UNKNOWN_SECONDS)


def test_the_same_labels_in_this_experiment_come_first(tmp_path: Path) -> None:
    finished(tmp_path, "train/mlp/identity/seed1", 12.0, written=1000)
    finished(tmp_path, "train/mlp/identity/seed1", 500.0, experiment="other")
    finished(tmp_path, "train/resnet/identity/seed1", 90.0)
    cost = estimate([Pending("train", OF)], plan(tmp_path))
    assert (cost.seconds, cost.written) == (pytest.approx(12.0), 1000)
    assert (cost.compared, cost.rough, cost.unsized) == (3, 0, 0)
    elsewhere = estimate([Pending("train", OF)], plan(tmp_path, experiment="third", architectures={"mlp": None}))
    assert elsewhere.rough == 0


def test_what_is_larger_takes_longer(tmp_path: Path) -> None:
    finished(tmp_path, "train/mlp/identity/seed1", 12.0)
    longer = plan(tmp_path, training=tiny()["training"] | {"steps": 600})
    cost = estimate([Pending("train", OF)], longer)
    assert cost.seconds == pytest.approx(START_SECONDS + 100 * (12.0 - START_SECONDS), rel=0.01)


def test_a_rule_takes_no_less_than_its_longest_job() -> None:
    jobs = [Pending("train")] * 4 + [Pending("report")]
    each = (10.0, 10.0, 10.0, 10.0, 6.0)
    assert [duration_at_once(jobs, each, places) for places in (1, 2, 100)] == [46.0, 26.0, 16.0]


def test_jobs_that_computed_nothing_are_no_measure_of_work(tmp_path: Path) -> None:
    finished(tmp_path, "train/mlp/identity/seed1", 0.3, said="trained before: taken from there\n")
    assert estimate([Pending("train", OF)], plan(tmp_path)).rough == 1


def test_gpu_time_is_shared_by_slots_and_threads_count_as_cores(tmp_path: Path) -> None:
    finished(tmp_path, "train/mlp/identity/seed1", 12.0)
    jobs = [Pending("train", OF, gpu=True, threads=3)] * 4
    cost = estimate(jobs, plan(tmp_path, slots=2))
    assert (cost.seconds, cost.gpu_seconds) == (pytest.approx(144.0), pytest.approx(24.0))


def test_dumps_are_predicted_and_not_compared(tmp_path: Path) -> None:
    here = plan(tmp_path)
    cost = estimate([Pending("activations", OF)], here)
    assert cost.written == dump_bytes(here, "mlp", "identity") and cost.unsized == 0


def test_charts_are_compared_with_charts(tmp_path: Path) -> None:
    finished(tmp_path, "charts/dynamics", 3.0)
    finished(tmp_path, "charts/information_plane", 5.0)
    cost = estimate([Pending("charts", {"chart": "dynamics"}), Pending("charts", {"chart": "new"})], plan(tmp_path))
    assert cost.seconds == pytest.approx(3.0 + 4.0)


def test_an_experiment_without_tables_or_of_another_version_is_passed_over(tmp_path: Path) -> None:
    finished(tmp_path, "train/mlp/identity/seed1", 12.0)
    (tmp_path / "tiny" / "tables" / "measures.parquet").write_text("damaged")
    finished(tmp_path, "train/mlp/identity/seed1", 12.0, experiment="old", architectures={"gone": None})
    assert estimate([Pending("train", OF)], plan(tmp_path)).compared == 0

"""The GPU lease, with fake devices and real processes."""

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_gpus import DEADLINE_SECONDS, PAIR, RECORD, SNAKEFILE, Machine, environment, until

from infoplane import devices
from infoplane.devices import lease, parse_listing, visible_gpus
from infoplane.errors import UserError


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """This process as on a machine without GPU settings, its leases in a folder of their own."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "CUDA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INFOPLANE_LEASES", str(tmp_path / "leases"))
    return monkeypatch


def test_no_gpu_ever_serves_two_jobs_at_once(tmp_path: Path) -> None:
    files = [tmp_path / f"job{index}" for index in range(6)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RECORD, str(tmp_path), str(file)],
            env=environment("0,1"),
            stderr=subprocess.DEVNULL,
        )
        for file in files
    ]
    try:
        until(lambda: all(file.with_suffix(".ready").exists() for file in files), "six processes")
        (tmp_path / "go").touch()
        assert [process.wait(DEADLINE_SECONDS) for process in processes] == [0] * 6
    finally:
        for process in processes:
            process.kill()
            process.wait()
    lines = "".join(file.read_text() for file in files).splitlines()
    assert len(lines) == 18
    check_intervals(lines)


def check_intervals(lines: list[str]) -> None:
    """Lines of GPU, start and end: no GPU is used by two jobs at once."""
    held: dict[str, list[tuple[int, int]]] = {"0": [], "1": []}
    for line in lines:
        gpu, start, end = line.split()
        held[gpu].append((int(start), int(end)))
    for intervals in held.values():
        intervals.sort()
        for (_, end), (start, _) in itertools.pairwise(intervals):
            assert end < start


def test_snakemake_with_two_gpus_uses_both_at_once(tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(PAIR)
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("{PYTHON}", sys.executable))
    call = [sys.executable, "-m", "snakemake", "--cores", "4", "--resources", "gpu=2"]
    env = environment("0,1", INFOPLANE_LEASES=str(tmp_path / "leases"))
    done = subprocess.run(call, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr
    lines = [(tmp_path / f"job{number}.txt").read_text() for number in range(4)]
    assert {line.split()[0] for line in lines} == {"0", "1"}
    check_intervals(lines)


def test_two_jobs_use_both_gpus_and_a_third_waits_for_the_first_that_ends(machine: Machine) -> None:
    first, second = machine.start("0,1"), machine.start("0,1")
    assert {first.gpu, second.gpu} == {"0", "1"}
    third = machine.start("0,1")
    third.is_refused()
    second.finish()
    assert third.gpu == second.gpu
    assert (machine.folder / "leases").stat().st_mode & 0o077 == 0


def test_slots_share_every_gpu_evenly(machine: Machine) -> None:
    jobs = [machine.start("0,1", slots=2) for _ in range(2)]
    assert Counter(job.gpu for job in jobs) == {"0": 1, "1": 1}
    jobs += [machine.start("0,1", slots=2) for _ in range(2)]
    assert Counter(job.gpu for job in jobs) == {"0": 2, "1": 2}
    machine.start("0,1", slots=2).is_refused()


def test_a_new_job_goes_to_the_gpu_with_fewer_jobs(machine: Machine) -> None:
    jobs = [machine.start("0,1", slots=3) for _ in range(6)]
    assert Counter(job.gpu for job in jobs) == {"0": 3, "1": 3}
    of = {gpu: [job for job in jobs if job.gpu == gpu] for gpu in "01"}
    for job in (of["0"][0], *of["1"][:2]):
        job.finish()
    assert machine.start("0,1", slots=3).gpu == "1"


def test_a_job_that_wants_a_gpu_to_itself_shares_it_with_nobody(machine: Machine) -> None:
    sharing = machine.start("0", slots=2)
    assert sharing.gpu == "0"
    alone = machine.start("0", slots=1)
    alone.is_refused()
    sharing.finish()
    assert alone.gpu == "0"
    machine.start("0", slots=2).is_refused()


def test_runs_that_see_different_gpus_agree_about_the_one_they_share(machine: Machine) -> None:
    assert machine.start("1").gpu == "1"
    assert machine.start("1,2").gpu == "2"
    machine.start("2,1").is_refused()
    assert machine.start("2,3").gpu == "3"


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("child", ["", "fork", "exec"])
def test_death_frees_the_gpu_even_if_a_child_lives_on(machine: Machine, death: signal.Signals, child: str) -> None:
    victim = machine.start("0", child=child)
    assert victim.gpu == "0"
    heir = machine.start("0")
    heir.is_refused()
    if child:
        orphan = victim.file.with_suffix(".child")
        until(lambda: orphan.exists() and orphan.read_text() != "", "a child")
    victim.process.send_signal(death)
    assert victim.process.wait(DEADLINE_SECONDS) == -death
    assert heir.gpu == "0"
    if child:
        os.kill(int(orphan.read_text()), 0)


def test_a_child_that_ends_leaves_its_parent_the_gpu(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "0")
    with lease("cuda", works=lambda: True):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert [path.name for path in (tmp_path / "leases").glob("gpu-*")] == ["gpu-0.slot0.lock"]
        assert devices._take(["0"], 1, tmp_path / "leases") is None


def test_a_lock_file_that_a_dead_job_left_behind_holds_nothing(machine: Machine) -> None:
    victim = machine.start("0")
    assert victim.gpu == "0"
    victim.process.kill()
    victim.process.wait()
    left = machine.folder / "leases" / "gpu-0.slot0.lock"
    assert left.exists()
    job = machine.start("0")
    assert job.gpu == "0"
    job.finish()
    assert not left.exists()


def test_jobs_of_different_slurm_steps_do_not_wait_for_each_other(machine: Machine) -> None:
    for job, step in (("7", "0"), ("7", "1"), ("8", "0")):
        assert machine.start("0", SLURM_JOB_ID=job, SLURM_STEP_ID=step).gpu == "0"


def test_jobs_within_one_slurm_allocation_share_what_it_was_given(machine: Machine) -> None:
    jobs = [machine.start("0,1", SLURM_JOB_ID="7") for _ in range(2)]
    assert {job.gpu for job in jobs} == {"0", "1"}
    machine.start("0,1", SLURM_JOB_ID="7").is_refused()


# What is visible


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("0,1", ["0", "1"]),
        ("3", ["3"]),
        (" 2 , 0 ", ["2", "0"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
        ("NoDevFiles", []),
        ("1,1", ["1"]),
        ("GPU-8f3a,MIG-41c2", ["GPU-8f3a", "MIG-41c2"]),
        ("MIG-GPU-8f3a/1/0", ["MIG-GPU-8f3a/1/0"]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(here: pytest.MonkeyPatch, value: str, gpus: list[str]) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


def test_without_a_setting_nvidia_smi_names_the_gpus(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n")
    fake.chmod(0o755)
    here.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert visible_gpus() == ["0", "1"]
    fake.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert visible_gpus() == []


def test_a_gpu_split_by_mig_is_replaced_by_its_instances() -> None:
    listing = (
        "GPU 0: NVIDIA H200 (UUID: GPU-a)\n"
        "  MIG 1g.18gb     Device  0: (UUID: MIG-b)\n"
        "  MIG 1g.18gb     Device  1: (UUID: MIG-c)\n"
        "GPU 1: NVIDIA H200 (UUID: GPU-d)\n"
    )
    assert parse_listing(listing) == ["MIG-b", "MIG-c", "1"]
    assert parse_listing("No devices found.\n") == []


# What a job is given


def test_the_leased_gpu_is_the_only_visible_one_and_settings_return(here: pytest.MonkeyPatch) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with lease("auto", works=lambda: True) as device:
        assert device == "cuda"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_a_mig_instance_is_leased_by_its_uuid(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-8f3a/1/0,MIG-GPU-8f3a/2/0")
    with lease("cuda", works=lambda: True):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-GPU-8f3a/1/0"
        assert [path.name for path in (tmp_path / "leases").glob("gpu-*")] == ["gpu-MIG-GPU-8f3a_1_0.slot0.lock"]
    assert not list((tmp_path / "leases").glob("gpu-*"))


def test_a_failing_job_gives_its_gpu_back(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ZeroDivisionError), lease("cuda", works=lambda: True):
        raise ZeroDivisionError
    assert not list((tmp_path / "leases").glob("gpu-*"))


@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_without_a_gpu_nothing_is_set_and_nothing_is_kept(
    here: pytest.MonkeyPatch, tmp_path: Path, asked: devices.Device
) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "")
    before = dict(os.environ)
    with lease(asked) as device:
        assert device == "cpu"
        assert dict(os.environ) == before
    assert not (tmp_path / "leases").exists()


def test_a_job_for_the_cpu_takes_no_gpu(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "0")
    with lease("cpu", works=lambda: True) as device:
        assert device == "cpu"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert not (tmp_path / "leases").exists()


def test_a_gpu_that_pytorch_cannot_use_is_given_back(
    here: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.setenv("CUDA_VISIBLE_DEVICES", "5")
    with lease("auto", works=lambda: False) as device:
        assert device == "cpu"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
        assert not list((tmp_path / "leases").glob("gpu-*"))
    assert "PyTorch cannot use GPU 5" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"there is no GPU, but device is 'cuda'.*PyTorch cannot use GPU 5"):
        lease("cuda", works=lambda: False).__enter__()


@pytest.mark.parametrize(("visible", "reason"), [("", "CUDA_VISIBLE_DEVICES names none"), (None, "none was found")])
def test_no_gpu_where_one_is_demanded_is_one_sentence(
    here: pytest.MonkeyPatch, tmp_path: Path, visible: str | None, reason: str
) -> None:
    if visible is None:
        here.setattr(devices, "_gpus_of_this_machine", lambda: [])
    else:
        here.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match="there is no GPU, but device is 'cuda'") as error:
        lease("cuda").__enter__()
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_less_than_one_slot_is_refused(here: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="slots is 0: expected"):
        lease("auto", 0).__enter__()


def test_a_folder_that_cannot_be_written_is_one_sentence(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    here.setenv("INFOPLANE_LEASES", str(tmp_path / "file"))
    here.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError, match="set INFOPLANE_LEASES to a folder"):
        lease("cuda", works=lambda: True).__enter__()


def test_leases_do_not_import_torch() -> None:
    code = "import sys, infoplane.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment("")).returncode == 0

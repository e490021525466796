"""What Slurm alone does to a job: queues, full partitions, lost nodes, requeues, and a loop that goes away."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.machine import slurm_commands
from fakes.machine.clusters import Cluster, slurm_resources
from fakes.trials import wait_until

from tunesmith.evaluator.executors import slurm
from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec
from tunesmith.evaluator.executors.slurm import SlurmExecutor, result_for_state, run_job


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm of our own, whose commands stand on PATH."""
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{slurm_commands.install(folder)}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("FAKE_SLURM", str(folder))
        patch.setattr(slurm, "QUERY_S", 0.3)
        yield folder


@pytest.fixture(scope="module")
def cluster(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    wanted = replace(
        slurm_resources("slurm"), partition="gpu", account="ours", gpus=2, memory_bytes=2**30, options={"qos": "night"}
    )
    executor = SlurmExecutor(tmp_path_factory.mktemp("study"), wanted, lambda: None)
    yield Cluster(executor, tmp_path_factory.mktemp("trials"))
    executor.close()


def finished(cluster: Cluster, launch: CommandSpec) -> CommandResult:
    job = cluster.executor.start(launch)
    wait_until(job.poll)
    end = job.poll()
    assert end is not None
    return end


def latest(commands: Path) -> int:
    return len(list(commands.glob("pid-*")))


def test_a_job_asks_for_what_the_study_says_and_keeps_its_nodes_gpus(cluster: Cluster, commands: Path) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "5,6"  # as Slurm would set it on the node
    try:
        launch = cluster.launch('echo "loss=[$CUDA_VISIBLE_DEVICES] [$SLURM_JOB_ID]"', line_words=("loss",))
        launch = replace(launch, environment={**launch.environment, "SLURM_JOB_ID": "of the loop"})
        job = cluster.executor.start(launch)
        wait_until(job.poll)
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    assert job.lines() == [f"loss=[5,6] [{latest(commands)}]"]
    script = (commands / f"script-{latest(commands)}").read_text()
    for option in ("partition=gpu", "account=ours", "gpus-per-node=2", "cpus-per-task=1", "mem=2GB", "qos=night",
                   "no-requeue", "time=10"):  # fmt: skip
        assert f"#SBATCH --{option}\n" in script


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("NODE_FAIL", Cause.LOST),
        ("PREEMPTED", Cause.LOST),
        ("CANCELLED by 0", Cause.CANCELLED),
        ("OUT_OF_MEMORY", Cause.MEMORY),
    ],
)
def test_a_job_that_slurm_ends_says_how(cluster: Cluster, commands: Path, state: str, cause: Cause) -> None:
    job = cluster.executor.start(cluster.launch("echo loss=1; sleep 60", line_words=("loss",)))
    wait_until(job.lines)
    number = latest(commands)
    os.killpg(int((commands / f"pid-{number}").read_text()), signal.SIGKILL)
    (commands / f"state-{number}").write_text(state)
    wait_until(job.poll)
    assert job.poll() == CommandResult(status=-9, cause=cause)


def test_a_job_that_waits_in_the_queue_can_be_ended(cluster: Cluster, commands: Path) -> None:
    (commands / "held").touch()
    try:
        before = latest(commands)
        job = cluster.executor.start(cluster.launch("echo never"))
        wait_until(lambda: latest(commands) > before)
        job.stop()
        wait_until(job.poll)
        assert job.poll() == CommandResult(status=-9, cause=Cause.STOP)
        wait_until((commands / f"state-{latest(commands)}").exists)  # scancel was called
    finally:
        (commands / "held").unlink()


def test_a_wrong_request_fails_at_once_and_a_queue_that_is_full_for_a_while_does_not(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "SUBMIT_RETRY_S", 0.05)
    executor = SlurmExecutor(tmp_path, slurm_resources("slurm"), lambda: None)
    fresh = Cluster(executor, tmp_path / "trials")
    (commands / "full").touch()
    try:
        end = finished(fresh, fresh.launch("echo never"))
        assert end.status is None
        assert "could not be submitted: sbatch: error: QOSMaxSubmitJobPerUserLimit" in end.error
        (commands / "full").unlink()
        assert finished(fresh, fresh.launch("exit 5")).status == 5
        (commands / "full").touch()
        job = executor.start(fresh.launch("exit 6"))
        time.sleep(0.3)
        assert job.poll() is None
    finally:
        (commands / "full").unlink()
    wait_until(job.poll)
    assert job.poll() is not None
    executor.close()


def test_a_job_that_slurm_starts_a_second_time_does_not_run(tmp_path: Path, cluster: Cluster) -> None:
    channel, beat = tmp_path / "channel", tmp_path / "beat"
    channel.mkdir()
    beat.touch()
    (channel / "started").touch()
    run_job(cluster.launch("echo again > again"), channel, beat)
    assert '"lost"' in (channel / "result").read_text()
    assert not list(tmp_path.rglob("again"))


@pytest.mark.parametrize("sign", ["the trial's folder is made anew", "the beat stands still"])
def test_a_job_whose_loop_is_gone_ends_itself(
    tmp_path: Path, cluster: Cluster, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, beat = tmp_path / "channel", tmp_path / "beat"
    channel.mkdir()
    beat.touch()
    if sign == "the beat stands still":
        monkeypatch.setattr(slurm, "HEARTBEAT_TIMEOUT_S", 0.4)
        run_job(cluster.launch("sleep 60"), channel, beat)
        assert '"kill"' in (channel / "result").read_text()
    else:
        shutil.rmtree(channel)
        run_job(cluster.launch("sleep 60"), channel, beat)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it never closes its logs
def test_submitits_debug_cluster_runs_in_this_process(tmp_path: Path) -> None:
    executor = SlurmExecutor(tmp_path, slurm_resources("debug"), lambda: None)
    cluster = Cluster(executor, tmp_path / "trials")
    assert finished(cluster, cluster.launch("exit 4")).status == 4
    executor.close()
    assert not list((tmp_path / "slurm").glob("heartbeat-*"))


def test_the_states_of_slurm_have_their_causes() -> None:
    causes = {"TIMEOUT": Cause.TIMEOUT, "PREEMPTED": Cause.LOST, "BOOT_FAIL": Cause.LOST, "": Cause.LOST}
    assert {state: result_for_state(state).cause for state in causes} == causes

"""What only Slurm does to a job: queues, full partitions, lost nodes, requeues, and a loop that has ended."""

from __future__ import annotations

import os
import shutil
import signal
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
    """The folder of a fake Slurm, whose commands are on PATH."""
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{slurm_commands.install(folder)}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("FAKE_SLURM", str(folder))
        patch.setattr(slurm, "QUERY_S", 0.1)
        patch.setattr(slurm, "LEAVE_QUEUE_S", 0.5)
        yield folder


@pytest.fixture(scope="module")
def cluster(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    resources = replace(
        slurm_resources("slurm"), partition="gpu", account="ours", gpus=2, memory_bytes=2**30, options={"qos": "night"}
    )
    executor = SlurmExecutor(tmp_path_factory.mktemp("study"), resources, lambda: None)
    yield Cluster(executor, tmp_path_factory.mktemp("trials"))
    executor.close()


def finished(cluster: Cluster, spec: CommandSpec) -> CommandResult:
    job = cluster.executor.start(spec)
    wait_until(job.poll)
    result = job.poll()
    assert result is not None
    return result


def latest(commands: Path) -> int:
    return len(list(commands.glob("pid-*")))


def test_a_job_asks_for_what_the_study_says_and_keeps_its_nodes_gpus(cluster: Cluster, commands: Path) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "5,6"  # as Slurm would set it on the node
    try:
        spec = cluster.command('echo "loss=[$CUDA_VISIBLE_DEVICES] [$SLURM_JOB_ID]"', line_words=("loss",))
        spec = replace(spec, environment={**spec.environment, "SLURM_JOB_ID": "of the loop"})
        job = cluster.executor.start(spec)
        wait_until(job.poll)
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    assert [line.text for line in job.lines()] == [f"loss=[5,6] [{latest(commands)}]"]
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
def test_the_result_of_a_job_that_slurm_ends_has_its_cause(
    cluster: Cluster, commands: Path, state: str, cause: Cause
) -> None:
    job = cluster.executor.start(cluster.command("echo loss=1; sleep 60", line_words=("loss",)))
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
        job = cluster.executor.start(cluster.command("echo never"))
        wait_until(lambda: latest(commands) > before)
        job.stop()
        wait_until(job.poll)
        assert job.poll() == CommandResult(status=-9, cause=Cause.STOP)
        wait_until((commands / f"state-{latest(commands)}").exists)  # scancel was called
    finally:
        (commands / "held").unlink()


def test_a_first_job_that_is_rejected_fails_at_once_and_a_later_one_is_submitted_again(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "SUBMIT_RETRY_S", 0.05)
    executor = SlurmExecutor(tmp_path, slurm_resources("slurm"), lambda: None)
    fresh = Cluster(executor, tmp_path / "trials")
    (commands / "full").touch()
    try:
        result = finished(fresh, fresh.command("echo never"))
        assert result.status is None
        assert "could not be submitted: sbatch: error: QOSMaxSubmitJobPerUserLimit" in result.error
        (commands / "full").unlink()
        assert finished(fresh, fresh.command("exit 5")).status == 5
        (commands / "full").touch()
        (commands / "refused").unlink()
        job = executor.start(fresh.command("exit 6"))
        wait_until(lambda: (commands / "refused").exists() and len((commands / "refused").read_text()) >= 2)
        assert job.poll() is None
    finally:
        (commands / "full").unlink()
    wait_until(job.poll)
    assert job.poll() is not None
    executor.close()


def test_a_job_that_slurm_requeues_does_not_run_again(tmp_path: Path, cluster: Cluster) -> None:
    channel, heartbeat = tmp_path / "channel", tmp_path / "heartbeat"
    channel.mkdir()
    heartbeat.touch()
    (channel / "started").touch()
    run_job(cluster.command("echo again > again"), channel, heartbeat)
    assert '"lost"' in (channel / "result").read_text()
    assert not list(tmp_path.rglob("again"))


@pytest.mark.parametrize("sign", ["the trial's folder was replaced", "the heartbeat stops"])
def test_a_job_whose_loop_is_gone_ends_itself(
    tmp_path: Path, cluster: Cluster, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, heartbeat = tmp_path / "channel", tmp_path / "heartbeat"
    channel.mkdir()
    heartbeat.touch()
    if sign == "the heartbeat stops":
        monkeypatch.setattr(slurm, "HEARTBEAT_TIMEOUT_S", 0.4)
        run_job(cluster.command("sleep 60"), channel, heartbeat)
        assert '"kill"' in (channel / "result").read_text()
    else:
        shutil.rmtree(channel)
        run_job(cluster.command("sleep 60"), channel, heartbeat)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it never closes its logs
def test_submitits_debug_cluster_runs_in_this_process(tmp_path: Path) -> None:
    executor = SlurmExecutor(tmp_path, slurm_resources("debug"), lambda: None)
    cluster = Cluster(executor, tmp_path / "trials")
    assert finished(cluster, cluster.command("exit 4")).status == 4
    executor.close()
    assert not list((tmp_path / "slurm").glob("heartbeat-*"))


def test_the_states_of_slurm_have_their_causes() -> None:
    causes = {"TIMEOUT": Cause.TIMEOUT, "PREEMPTED": Cause.LOST, "BOOT_FAIL": Cause.LOST, "": Cause.LOST}
    assert {state: result_for_state(state).cause for state in causes} == causes

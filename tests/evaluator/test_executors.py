"""One contract, every executor: local, Slurm (submitit's own local cluster), and Ray where it is installed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psutil
import pytest
from fakes.machine.clusters import CLUSTERS, DATA, Cluster
from fakes.trials import wait_until

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Job

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with CLUSTERS[request.param](tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


def finished(job: Job, timeout_s: float = 20) -> CommandResult:
    wait_until(lambda: job.poll() is not None, timeout_s)
    end = job.poll()
    assert end is not None
    return end


def test_a_command_runs_in_its_folder_and_reports_how_it_ended(cluster: Cluster) -> None:
    """Start, lines, exit status, report, files, environment and log, in one command: each start costs a second."""
    os.environ["OF_THE_LOOP_ALONE"] = "1"
    launch = cluster.launch(
        """
        echo noise; echo loss=0.5; echo "$GIVEN" >&2; echo "loss=lone[$OF_THE_LOOP_ALONE]"
        printf '{"values": {"loss": 1}}\\n' >> "$TUNESMITH_REPORT"
        cat data.txt; wc -c < large/data.bin; rm data.txt; echo mine > made.txt
        mkdir -p "$ARTIFACTS/deep"; echo kept > "$ARTIFACTS/deep/model"
        exit 3
        """,
        environment={"GIVEN": "a b"},
        line_words=("loss",),
    )
    job = cluster.executor.start(launch)
    end = finished(job)
    assert job.lines() == ["loss=0.5", "loss=lone[]"]
    assert (end.status, end.cause, end.error, end.tail) == (3, Cause.EXIT, "", "a b")
    assert end.wall_s > 0
    assert end.peak_rss_gib > 0.0001
    assert launch.report is not None
    assert launch.report.read_text() == '{"values": {"loss": 1}}\n'
    assert launch.log.read_text().count(DATA) == 1
    assert "2000000" in launch.log.read_text()
    assert not (launch.cwd / "data.txt").exists()
    assert (launch.cwd / "made.txt").read_text() == "mine\n"
    assert (cluster.artifacts(launch) / "deep" / "model").read_text() == "kept\n"


def test_lines_come_while_it_runs_and_stop_gives_it_its_grace(cluster: Cluster) -> None:
    script = """
        trap 'echo loss=saved; exit 7' TERM
        echo loss=1
        while true; do sleep 0.05; done
    """
    job = cluster.executor.start(cluster.launch(script, line_words=("loss",)))
    seen: list[str] = []
    wait_until(lambda: seen.extend(job.lines()) or seen)  # type: ignore[func-returns-value]  # extend, then look
    assert job.poll() is None
    for _ in range(3):
        job.stop()
    end = finished(job)
    job.stop()
    assert (end.status, end.cause) == (7, Cause.STOP)
    assert seen + job.lines() == ["loss=1", "loss=saved"]


LEAVES_CHILDREN = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "311"])
subprocess.Popen(["sleep", "312"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(313)
    os._exit(0)
print("loss=0.5", flush=True)
"""


def left_of(launch: CommandSpec) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == launch.environment["MARK"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.mark.parametrize(
    ("order", "cause", "options"),
    [
        ("stop", Cause.STOP, {}),
        ("kill", Cause.KILL, {"grace_s": 60.0}),
        ("", Cause.TIMEOUT, {"timeout_s": 0.5}),
        ("", Cause.EXIT, {}),
    ],
    ids=["stopped", "killed", "timed out", "ends"],
)
def test_it_ends_with_all_its_descendants(
    cluster: Cluster, order: str, cause: Cause, options: Mapping[str, Any]
) -> None:
    rest = "" if cause is Cause.EXIT else "time.sleep(60)"
    launch = cluster.launch(IGNORES + LEAVES_CHILDREN + rest, program=sys.executable, line_words=("loss",), **options)
    job = cluster.executor.start(launch)
    if order:
        wait_until(job.lines)
        assert len(left_of(launch)) >= 4
        job.stop() if order == "stop" else job.kill()
    end = finished(job)
    assert (end.cause, end.status) == (cause, 0 if cause is Cause.EXIT else -9)
    wait_until(lambda: not left_of(launch), timeout_s=3)


def test_the_log_keeps_to_its_cap_and_no_file_grows_over_the_limit(cluster: Cluster) -> None:
    script = """
        i=0; while [ $i -lt 3000 ]; do echo "0123456789012345678901234567890123456789"; i=$((i + 1)); done
        head -c 3000000 /dev/zero > big
    """
    launch = cluster.launch(script, log_bytes=10_000, file_bytes=1_000_000)
    end = finished(cluster.executor.start(launch))
    assert end.status not in (0, None)
    assert launch.log.stat().st_size < 10_200
    assert b"bytes left out" in launch.log.read_bytes()
    assert b"0123456789" in launch.log.read_bytes()[-200:] or b"File" in launch.log.read_bytes()[-200:]


def test_a_command_that_cannot_start_says_why(cluster: Cluster) -> None:
    launch = cluster.launch("", program="no-such-program")
    end = finished(cluster.executor.start(launch))
    assert end.status is None
    assert "no-such-program was not found on PATH" in end.error


def test_it_reads_what_lies_beside_its_folder(cluster: Cluster) -> None:
    launch = cluster.launch('cat "$BESIDE/checkpoint"')
    beside = launch.cwd.parent.parent / "beside"
    beside.mkdir()
    (beside / "checkpoint").write_text("loss=epoch 3\n")
    launch = replace(
        launch, environment={**launch.environment, "BESIDE": str(beside)}, reads=[beside], line_words=("loss",)
    )
    job = cluster.executor.start(launch)
    assert finished(job).status == 0
    assert job.lines() == ["loss=epoch 3"]


def test_jobs_run_beside_each_other_and_leave_nothing_of_their_own(cluster: Cluster) -> None:
    launches = [cluster.launch("sleep 0.3; exit 0") for _ in range(2)]
    began = time.monotonic()
    jobs = [cluster.executor.start(launch) for launch in launches]
    assert [finished(job).status for job in jobs] == [0, 0]
    assert time.monotonic() - began < 10
    for launch in launches:
        assert launch.folder is not None
        wait_until(lambda launch=launch: not list(launch.folder.glob(".job-*")))

"""The contract of every executor: local, Slurm (submitit's local cluster), and Ray if it is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psutil
import pytest
from fakes.machine.clusters import CLUSTERS, DATA, Cluster
from fakes.trials import wait_until

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Job
from tunesmith.evaluator.output.output_line import OutputLine

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with CLUSTERS[request.param](tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


def finished(job: Job, timeout_s: float = 20) -> CommandResult:
    wait_until(lambda: job.poll() is not None, timeout_s)
    result = job.poll()
    assert result is not None
    return result


def test_a_command_runs_in_its_folder_and_reports_its_result(cluster: Cluster) -> None:
    """Start, lines, exit status, report, files, environment and log, in one command: each start costs a second."""
    os.environ["ONLY_IN_THE_LOOP"] = "1"
    spec = cluster.command(
        """
        echo noise; echo loss=0.5; echo "$GIVEN" >&2; echo "loss=inherited[$ONLY_IN_THE_LOOP]"
        printf '{"values": {"loss": 1}}\\n' >> "$TUNESMITH_REPORT"
        cat data.txt; wc -c < large/data.bin; rm data.txt; echo mine > made.txt
        mkdir -p "$ARTIFACTS/deep"; echo kept > "$ARTIFACTS/deep/model"
        exit 3
        """,
        environment={"GIVEN": "a b"},
        line_words=("loss",),
    )
    job = cluster.executor.start(spec)
    result = finished(job)
    assert [line.text for line in job.lines()] == ["loss=0.5", "loss=inherited[]"]
    assert (result.status, result.cause, result.error, result.tail) == (3, Cause.EXIT, "", "a b")
    assert result.wall_s > 0
    assert result.peak_rss_gib > 0.0001
    assert spec.report is not None
    assert spec.report.read_text() == '{"values": {"loss": 1}}\n'
    assert spec.log.read_text().count(DATA) == 1
    assert "2000000" in spec.log.read_text()
    assert not (spec.cwd / "data.txt").exists()
    assert (spec.cwd / "made.txt").read_text() == "mine\n"
    assert (cluster.artifacts(spec) / "deep" / "model").read_text() == "kept\n"


def test_lines_arrive_while_it_runs_and_stop_gives_it_a_grace_period(cluster: Cluster) -> None:
    script = """
        trap 'echo loss=saved; exit 7' TERM
        echo loss=1
        while true; do sleep 0.05; done
    """
    job = cluster.executor.start(cluster.command(script, line_words=("loss",)))
    seen: list[OutputLine] = []
    wait_until(lambda: seen.extend(job.lines()) or seen)  # type: ignore[func-returns-value]  # extend, then look
    assert job.poll() is None
    for _ in range(3):
        job.stop()
    result = finished(job)
    job.stop()
    assert (result.status, result.cause) == (7, Cause.STOP)
    assert [line.text for line in seen + job.lines()] == ["loss=1", "loss=saved"]


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


def processes_of(spec: CommandSpec) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == spec.environment["MARK"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.mark.parametrize(
    ("request_end", "cause", "options"),
    [
        ("stop", Cause.STOP, {"grace_s": 0.1}),
        ("kill", Cause.KILL, {"grace_s": 60.0}),
        ("", Cause.TIMEOUT, {"timeout_s": 0.3, "grace_s": 0.1}),
        ("", Cause.EXIT, {}),
    ],
    ids=["stopped", "killed", "timed out", "exits"],
)
def test_a_command_ends_with_all_its_descendants(
    cluster: Cluster, request_end: str, cause: Cause, options: Mapping[str, Any]
) -> None:
    script = IGNORES_SIGTERM + LEAVES_CHILDREN + ("" if cause is Cause.EXIT else "time.sleep(60)")
    spec = cluster.command(script, program=sys.executable, line_words=("loss",), **options)
    job = cluster.executor.start(spec)
    if request_end:
        wait_until(job.lines)
        assert len(processes_of(spec)) >= 4
        job.stop() if request_end == "stop" else job.kill()
    result = finished(job)
    assert (result.cause, result.status) == (cause, 0 if cause is Cause.EXIT else -9)
    wait_until(lambda: not processes_of(spec), timeout_s=3)


def test_log_and_files_are_limited_in_size(cluster: Cluster) -> None:
    script = """
        i=0; while [ $i -lt 3000 ]; do echo "0123456789012345678901234567890123456789"; i=$((i + 1)); done
        head -c 3000000 /dev/zero > big
    """
    spec = cluster.command(script, log_bytes=10_000, file_bytes=1_000_000)
    result = finished(cluster.executor.start(spec))
    assert result.status not in (0, None)
    assert spec.log.stat().st_size < 10_200
    assert b"bytes left out" in spec.log.read_bytes()
    assert b"0123456789" in spec.log.read_bytes()[-200:] or b"File" in spec.log.read_bytes()[-200:]


def test_a_command_that_cannot_start_says_why(cluster: Cluster) -> None:
    result = finished(cluster.executor.start(cluster.command("", program="no-such-program")))
    assert result.status is None
    assert "no-such-program was not found on PATH" in result.error


def test_a_command_reads_folders_outside_of_its_own(cluster: Cluster) -> None:
    spec = cluster.command('cat "$EARLIER/checkpoint"')
    earlier = spec.cwd.parent.parent / "earlier"
    earlier.mkdir()
    (earlier / "checkpoint").write_text("loss=epoch 3\n")
    environment = {**spec.environment, "EARLIER": str(earlier)}
    job = cluster.executor.start(replace(spec, environment=environment, reads=[earlier], line_words=("loss",)))
    assert finished(job).status == 0
    assert job.lines() == [OutputLine("loss=epoch 3", "stdout", 1)]


def test_commands_run_at_the_same_time_and_leave_no_files_of_the_executor(cluster: Cluster) -> None:
    # Each waits until the other has started.
    meeting = cluster.root / "meeting"
    meeting.mkdir()
    script = 'touch "$MEETING/$OWN"; until [ -e "$MEETING/$OTHER" ]; do sleep 0.02; done'
    names = [("a", "b"), ("b", "a")]
    environments = [{"MEETING": str(meeting), "OWN": own, "OTHER": other} for own, other in names]
    specs = [cluster.command(script, environment=environment, timeout_s=20) for environment in environments]
    jobs = [cluster.executor.start(spec) for spec in specs]
    assert [finished(job).status for job in jobs] == [0, 0]
    for spec in specs:
        assert spec.folder is not None
        wait_until(lambda spec=spec: not list(spec.folder.glob(".job-*")))

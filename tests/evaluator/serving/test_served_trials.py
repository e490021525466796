"""Trials of servers: started, awaited, measured and ended, each failure with its kind and its reason."""

from __future__ import annotations

import socket
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from fakes.servers import EXAMPLE, LOAD, SERVER, serving_document, start_served
from fakes.trials import Bench, finish, wait_until

from tunesmith.evaluator.preview.dry_run import dry_run
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import FailureKind, TrialState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def log_of(bench: Bench, number: int = 0) -> str:
    return (bench.study / "trials" / f"{number:04d}" / "log.txt").read_text()


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if (process.info["cwd"] or "").startswith(str(folder)):
            found.append(process)
    return found


def test_a_server_is_measured_and_ended(bench: Bench) -> None:
    outcome = finish(start_served(bench))
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert outcome.values["throughput"] > 0
    assert outcome.values["errors"] == 0
    assert 0 < outcome.values["ttft_p50"] <= outcome.values["ttft_p95"] < outcome.values["e2e_p99"]
    assert "listening on port" in log_of(bench)
    assert not processes_in(bench.study)


def test_two_at_once_get_a_port_each(bench: Bench) -> None:
    both = [start_served(bench, number) for number in (0, 1)]
    outcomes = [finish(evaluation) for evaluation in both]
    assert [outcome.state for outcome in outcomes] == [TrialState.COMPLETE] * 2
    ports = {log_of(bench, number).partition("listening on port ")[2].split()[0] for number in (0, 1)}
    assert len(ports) == 2


def test_a_line_of_the_log_says_that_it_is_ready(bench: Bench) -> None:
    outcome = finish(start_served(bench, ready={"log": r"listening on port \d+"}))
    assert outcome.state is TrialState.COMPLETE, outcome.failure


def test_numbers_in_the_log_of_a_server_are_no_results(bench: Bench) -> None:
    server = f"{sys.executable} -c \"print('throughput=999'); exec(open('server.py').read())\" --port {{port}}"
    outcome = finish(start_served(bench, command=server))
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert outcome.values["throughput"] != 999


def test_a_benchmark_may_print_its_metrics(bench: Bench) -> None:
    printing = f"{sys.executable} -c \"print('throughput=12.5 port={{port}}')\""
    outcome = finish(start_served(bench, bench=printing))
    assert (outcome.state, outcome.values["throughput"]) == (TrialState.COMPLETE, 12.5)


@pytest.mark.skipif(bool(sandbox_problem()), reason=f"no sandbox: {sandbox_problem()}")
def test_server_and_benchmark_meet_in_the_sandbox(bench: Bench) -> None:
    outcome = finish(start_served(bench, run={"sandbox": True}))
    assert outcome.state is TrialState.COMPLETE, outcome.failure


def test_a_stopped_trial_leaves_no_server(bench: Bench) -> None:
    evaluation = start_served(bench, bench=f'{sys.executable} -c "import time; time.sleep(60)" {{port}}')
    wait_until(lambda: evaluation.poll() or "listening on port" in log_of(bench), timeout_s=30)
    evaluation.stop("seen enough")
    assert finish(evaluation).state is TrialState.STOPPED
    assert not processes_in(bench.study)


FAILURES = {
    "never ready": (
        {"command": f'{sys.executable} -c "import time; time.sleep(60)" {{port}}', "start_timeout": 1},
        FailureKind.TIMEOUT,
        "was not ready within 1 s",
    ),
    "refuses its options": (
        {"command": f"{SERVER} --max-num-batched-tokens 1"},
        FailureKind.CRASH,
        "the server did not start: bad combination: ValueError: max_num_batched_tokens (1) must be greater",
    ),
    "is not there": (
        {"command": "no-such-server --port {port}"},
        FailureKind.CRASH,
        "no-such-server was not found on PATH",
    ),
    "out of memory": (
        {"command": f"{sys.executable} -c \"raise MemoryError('weights')\" {{port}}"},
        FailureKind.OOM,
        "MemoryError: weights",
    ),
    "dies while it is measured": (
        {
            "command": f"{SERVER} --load-seconds 0.1",
            "bench": f"{sys.executable} -uc \"import time; print('measuring'); time.sleep(60)\" {{port}}",
        },
        FailureKind.OOM,
        "the server ended during the benchmark: was killed from outside",
    ),
    "too many errors": (
        {"command": f"{SERVER} --max-model-len 11"},
        FailureKind.CRASH,
        "no request of the warm-up",
    ),
    "half of the requests fail": (
        {"bench": f"{sys.executable} half.py {{port}} {{result}}"},
        FailureKind.CRASH,
        "50.0% of the requests failed, more than 5.0% ([serve].max_errors), most often: HTTP 503: busy",
    ),
    "a benchmark without results": (
        {"bench": f"{sys.executable} -c pass {{port}} {{result}}"},
        FailureKind.CRASH,
        "the benchmark ended, but it wrote no file {result}",
    ),
    "a benchmark that fails": (
        {"bench": f"{sys.executable} -c \"raise SystemExit('no tokenizer')\" {{port}}"},
        FailureKind.CRASH,
        "the benchmark ended with exit status 1: no tokenizer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_its_kind_and_its_reason(bench: Bench, name: str) -> None:
    serve, kind, reason = FAILURES[name]
    written = "import json, sys; json.dump({'throughput': 1.0, 'errors': 0.5, "
    written += "'errors_by_reason': {'timeout': 1, 'HTTP 503: busy': 2}}, open(sys.argv[2], 'w'))"
    bench.write(written, "half.py")
    evaluation = start_served(bench, **serve)
    if name == "dies while it is measured":
        wait_until(lambda: evaluation.poll() or "measuring" in log_of(bench), timeout_s=30)
        next(p for p in processes_in(bench.study) if "server.py" in " ".join(p.cmdline()[1:2])).kill()
    outcome = finish(evaluation)
    assert outcome.failure is not None
    assert (outcome.failure.kind, reason in outcome.failure.reason) == (kind, True), outcome.failure
    assert not processes_in(bench.study)


def test_a_fixed_port_in_use_is_said(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        evaluation = start_served(
            bench,
            run={"parallel": 1},
            port=port,
            command=SERVER.replace("{port}", str(port)),
            bench=LOAD.replace("{port}", str(port)),
        )
        outcome = finish(evaluation)
    assert outcome.failure is not None
    assert f"port {port} is in use by another program" in outcome.failure.reason


def test_a_port_that_another_program_takes_first_is_replaced(bench: Bench) -> None:
    bench.write(
        textwrap.dedent("""
        import pathlib, sys
        mark = pathlib.Path(sys.argv[0]).with_name("tried")
        if not mark.exists():
            mark.touch()
            sys.exit("OSError: [Errno 98] Address already in use")
        exec(pathlib.Path("server.py").read_text())
        """),
        "unlucky.py",
    )
    outcome = finish(start_served(bench, command=f"{sys.executable} unlucky.py --port {{port}}"))
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert "Address already in use" in log_of(bench)


def test_a_dry_run_lists_no_numbers_of_the_servers_log(tmp_path: Path) -> None:
    server = f"{sys.executable} -c \"print('load=0.5 gpu=3'); exec(open('server.py').read())\" --port {{port}}"
    (tmp_path / "server.py").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    spec = parse_spec(serving_document({"command": server}))
    run = dry_run(spec, project=tmp_path, study_root=tmp_path / ".tunesmith", seconds=60)
    assert run.counts == {"throughput": 1}
    assert {seen.source for seen in run.sightings} == {"report"}

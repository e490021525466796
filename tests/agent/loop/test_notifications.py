"""Messages to a person who is away: a real command, a real HTTP server, and neither ever holds the loop."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import SCRIPT, invoke, make_project
from fakes.studies import make_spec

from tunesmith.agent.loop.notices.events import Ended, Finished
from tunesmith.agent.loop.notices.notifications import FAILURE_STREAK, Notifier
from tunesmith.study.config.budget import Spent
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState

KEY = "not-for-others-0123456789"


@contextmanager
def receiving(*, status: int = 204, hold: threading.Event | None = None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if hold is not None:
                hold.wait(30)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def finished(number: int, *, loss: float | None = None, reason: str = "no data", improved: bool = False) -> Finished:
    outcome = (
        Outcome(state=TrialState.FAILED, failure=Failure(kind=FailureKind.CRASH, reason=reason))
        if loss is None
        else Outcome(state=TrialState.COMPLETE, values={"loss": loss})
    )
    proposal = Proposal(params={"lr": 0.1}, source=Source.SAMPLER, seed=number)
    trial = Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)
    return Finished(trial=trial, best=None, improved=improved, spent=Spent())


def test_a_run_notifies_a_command_and_an_address_of_new_bests_failures_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", KEY)
    script = f"import os, sys\nif float(sys.argv[2]) < 0.8: sys.exit(os.environ['HOOK_KEY'])\n{SCRIPT}"
    with receiving() as (url, received):
        monkeypatch.setenv("HOOK_URL", url)
        hook = f"{sys.executable} -I -S -c \\\"import sys; open('messages.jsonl', 'a').write(sys.stdin.read())\\\""
        tables = f'[notify]\ncommand = "{hook}"\nurl = "${{HOOK_URL}}"'
        project = make_project(tmp_path / "p", trials=16, script=script, tables=tables)
        done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    sent = [json.loads(line) for line in (project / "messages.jsonl").read_text().splitlines()]
    assert sent == received
    kinds = [message["event"] for message in sent]
    assert {"best", "failures"} <= set(kinds)
    assert kinds[-1] == "end"
    assert (sent[-1]["by"], sent[-1]["study"]) == ("trials", "toy")
    assert sent[-1]["text"] in done.stdout
    assert sent[-1]["best"]["values"]["loss"] == min(m["best"]["values"]["loss"] for m in sent if m["event"] == "best")
    assert next(m for m in sent if m["event"] == "failures")["text"].endswith("as crash: [redacted]")
    assert KEY not in json.dumps(sent)
    history = (project / ".tunesmith" / "history.db").read_bytes()
    assert b"messages.jsonl" not in history
    assert b"HOOK_URL" not in history


def test_errors_of_both_are_reported_once_and_do_not_end_the_run(tmp_path: Path) -> None:
    with receiving(status=500) as (url, received):
        tables = f'[notify]\ncommand = "{sys.executable} -c 1/0"\nurl = "{url}"'
        project = make_project(tmp_path / "p", trials=4, tables=tables)
        done = invoke("run", cwd=project)
    assert done.returncode == 0
    assert received[-1]["event"] == "end"
    assert done.stdout.count("[notify].command ended with status 1: ZeroDivisionError: division by zero;") == 1
    assert done.stdout.count("[notify].url was answered by 127.0.0.1 with status 500;") == 1


def test_a_slow_receiver_blocks_nothing_and_only_the_newest_waiting_message_is_sent(tmp_path: Path) -> None:
    release = threading.Event()
    with receiving(hold=release) as (url, received):
        notifier = Notifier(make_spec(notify={"url": url, "on": ["best"]}), project=tmp_path)
        for number in range(20):
            notifier.handle(finished(number, loss=1.0 - number / 100, improved=True))
        notifier.send_end(Ended(record=StudyRecord(id=1, name="s", spec=notifier.spec), by="trials", best=None), str)
        assert len(received) <= 1, "the first message is still being answered"
        release.set()
        notifier.close()
    assert [message["event"] for message in received] == ["best"] * len(received)
    assert len(received) <= 2
    assert received[-1]["best"]["trial"] == 19
    assert notifier.problems() == []


def test_failures_in_a_row_are_reported_once_until_a_trial_works_again(tmp_path: Path) -> None:
    with receiving() as (url, received):
        notifier = Notifier(make_spec(notify={"url": url}), project=tmp_path)
        for number in range(2 * FAILURE_STREAK):
            notifier.handle(finished(number))
        notifier.close()
        assert [message["event"] for message in received] == ["failures"]
        notifier.handle(finished(98, loss=1.0))
        for number in range(100, 100 + FAILURE_STREAK):
            notifier.handle(finished(number))
        notifier.close()
    assert [message["trial"] for message in received] == [FAILURE_STREAK - 1, 99 + FAILURE_STREAK]


def test_an_error_that_ends_the_run_is_sent(tmp_path: Path) -> None:
    with receiving() as (url, received):
        notifier = Notifier(make_spec(notify={"url": url}), project=tmp_path)
        notifier.send_failure("the history cannot be written: database or disk is full")
        notifier.close()
    assert (received[0]["event"], received[0]["by"]) == ("end", "error")

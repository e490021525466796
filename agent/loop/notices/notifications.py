"""Sends JSON messages about a run to the command or the web address of [notify].

A background thread sends, so a slow or broken receiver never blocks the loop. While the thread is busy, only the newest
message of each kind is kept. Knows no terminal.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tunesmith.agent.loop.notices.events import Ended, Finished, LoopEvent, Opened
from tunesmith.history.redact import redact
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import NotifyTable
from tunesmith.study.formatting import json_values, render_params
from tunesmith.study.trials.results import gain_over_text, is_baseline
from tunesmith.study.trials.trial import Failure, Source, Trial
from tunesmith.study.trials.winner import Winner, certainty_text
from tunesmith.study.units import short_number

FAILURE_STREAK = 5
"""Number of failures in a row that is reported, once until a trial works again."""
COMMAND_TIMEOUT_S = 30.0
"""Time after which a notification command is killed."""
POST_TIMEOUT_S = 10.0
"""Time within which the web address must answer."""
CLOSE_TIMEOUT_S = 5.0
"""Longest wait for unsent messages at the end of a run."""

Message = Mapping[str, Any]


class Notifier:
    """Sends messages as [notify] says. Any thread may call it. Only `close` blocks, and nothing raises.

    Args:
        spec: the study.
        project: the folder in which the command runs.
        wall: returns the time, in seconds since the epoch.

    Attributes:
        spec: the study; commands may replace it while the study runs.
    """

    def __init__(self, spec: StudySpec, *, project: Path, wall: Callable[[], float] = time.time) -> None:
        self.spec = spec
        self._project, self._wall = project, wall
        self._failures_in_a_row = 0
        self._best: Trial | None = None
        self._default: Trial | None = None
        self._waiting: dict[str, Callable[[], Message]] = {}
        self._problems: list[str] = []
        self._reported: set[str] = set()
        self._changed = threading.Condition()
        self._is_busy = False
        self._thread: threading.Thread | None = None

    def handle(self, event: LoopEvent) -> None:
        """Send a message about an event if it is worth one; most are not."""
        match event:
            case Opened(best=best, default=default):
                self._best, self._default = best, default
            case Finished():
                self._handle_finished(event)
            case _:
                return

    def send_end(self, ended: Ended, headline: Callable[[], str]) -> None:
        """Send that the run ended; `headline` returns the result as text and is called in the thread."""
        self._send("end", lambda: {"by": ended.by, "text": headline(), **self._best_part(ended.best)})

    def send_failure(self, reason: str) -> None:
        """Send that the run stopped because of an error."""
        self._send("end", lambda: {"by": "error", "text": reason, **self._best_part(self._best)})

    def send_paused(self, text: str, trial: Trial) -> None:
        """Send that the run pauses, since trials fail for every configuration."""
        kind = trial.failure.kind.value if trial.failure else ""
        self._send("failures", lambda: {"text": text, "trial": trial.number, "failure": kind})

    def send_disk_full(self, text: str) -> None:
        """Send that the run waits for free disk space."""
        self._send("failures", lambda: {"text": text, "trial": None, "failure": "disk"})

    def problems(self) -> list[str]:
        """Return the errors of sending since the last call; the command and the address report one each at most."""
        with self._changed:
            problems, self._problems = self._problems, []
        return problems

    def close(self) -> None:
        """Wait for unsent messages, for `CLOSE_TIMEOUT_S` seconds at most; what is left is dropped."""
        until = time.monotonic() + CLOSE_TIMEOUT_S
        with self._changed:
            while (self._waiting or self._is_busy) and time.monotonic() < until:
                self._changed.wait(0.1)

    # -- messages --------------------------------------------------------------------------------------------------

    def _handle_finished(self, event: Finished) -> None:
        trial = event.trial
        if trial.is_replicate:
            self._best = event.best
            return
        if trial.proposal.source is Source.DEFAULT:
            self._default = trial if is_baseline(trial, self.spec.metric_constraints) else None
        self._failures_in_a_row = self._failures_in_a_row + 1 if trial.failure else 0
        if self._failures_in_a_row == FAILURE_STREAK and trial.failure:
            self._send("failures", lambda failure=trial.failure: self._failure_message(failure, trial))  # type: ignore[misc]
        if event.improved:
            if self._best is not None:
                found = event.winner
                self._send("best", lambda: {"text": self._best_text(trial, found), **self._best_part(trial)})
            self._best = trial

    def _failure_message(self, failure: Failure, trial: Trial) -> Message:
        kind = failure.kind.value
        text = f"{FAILURE_STREAK} trials in a row failed, the last (#{trial.number}) as {kind}: {failure.reason}"
        return {"text": text, "trial": trial.number, "failure": kind}

    def _best_text(self, trial: Trial, found: Winner | None) -> str:
        objective = self.spec.objectives[0]
        value = trial.values[objective.metric]
        certainty = f", {certain}" if found is not None and (certain := certainty_text(found)) else ""
        what = f"trial {trial.number}: {render_params(trial.params)}"
        text = f"new best: {objective.metric} {short_number(value)}{certainty} ({what})"
        if self._default and objective.metric in self._default.values:
            gain = gain_over_text(value, self._default.values[objective.metric], objective)
            text += f", {'' if gain.startswith('-') else '+'}{gain} against the default while tuning"
        return text

    def _best_part(self, trial: Trial | None) -> Message:
        if trial is None:
            return {"best": None}
        return {"best": {"trial": trial.number, "params": dict(trial.params), "values": dict(trial.values)}}

    # -- sending ------------------------------------------------------------------------------------------------

    def _send(self, event: str, build: Callable[[], Message]) -> None:
        if self.spec.notify is None or event not in self.spec.notify.on:
            return
        with self._changed:
            self._waiting[event] = build
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tunesmith-notify", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                event = next(iter(self._waiting))
                build = self._waiting.pop(event)
                self._is_busy = True
            self._deliver(event, build)

    def _deliver(self, event: str, build: Callable[[], Message]) -> None:
        table = self.spec.notify
        assert table is not None  # noqa: S101  # nothing is sent without it
        message = {"event": event, "study": self.spec.study.name, "at": self._wall()}
        try:
            # Values may be nan or infinite, which JSON cannot express.
            text = redact(json.dumps({**message, **json_values(build())}))
        except Exception as error:  # noqa: BLE001  # a message that cannot be written must not end the thread
            self._report_problem("message", f"could not be written: {type(error).__name__}: {error}")
            return
        if table.command is not None:
            self._report_problem("command", run_command(table.command, text, cwd=self._project))
        if table.url is not None:
            self._report_problem("url", post(table, text))

    def _report_problem(self, channel: str, problem: str) -> None:
        if not problem:
            return
        with self._changed:
            if channel not in self._reported:
                self._reported.add(channel)
                self._problems.append(redact(f"[notify].{channel} {problem}; further problems with it are not shown"))


def run_command(command: str, text: str, *, cwd: Path, limit_s: float = COMMAND_TIMEOUT_S) -> str:
    """Run a command with a text on its standard input; return the error, "" for none."""
    try:
        process = subprocess.Popen(
            shlex.split(command), cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return f"cannot start: {error}"
    try:
        _, errors = process.communicate(text + "\n", timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"took longer than {limit_s:.0f} s and was ended"
    lines = errors.strip().splitlines()
    return (
        f"ended with status {process.returncode}{f': {lines[-1][:200]}' if lines else ''}" if process.returncode else ""
    )


def post(table: NotifyTable, text: str, *, limit_s: float = POST_TIMEOUT_S) -> str:
    """Send a text to the address of [notify]; return the error without the address itself, "" for none."""
    import urllib.error
    import urllib.request  # with ssl and http.client: 0.05 s

    url = table.address(os.environ)
    host = urlsplit(url).hostname or "its host"
    request = urllib.request.Request(url, text.encode(), {"content-type": "application/json"}, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310  # the spec allows http and https only
            answer.read(1)
    except urllib.error.HTTPError as error:
        return f"was answered by {host} with status {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"cannot be reached at {host}: {reason}"
    return ""

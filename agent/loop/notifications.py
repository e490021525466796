"""Tells a person who is away what happened: a command or a web address of theirs is handed a message as JSON.

A thread of its own does the sending, so a slow or broken receiver never holds the loop. Of several messages of one
kind that wait only the newest goes out. Knows no terminal.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tunesmith.agent.loop.events import Ended, Finished, LoopEvent, Opened
from tunesmith.history.redact import redact
from tunesmith.study.config.spec import NotifyTable, StudySpec
from tunesmith.study.formatting import json_values, render_params
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Failure, Trial
from tunesmith.study.units import short_number

STREAK = 5
"""After so many failures in a row a person is told, once until something works again."""
COMMAND_S = 30.0
"""A command that takes longer is ended."""
POST_S = 10.0
"""How long an address may take to answer."""
PARTING_S = 5.0
"""How long the end of a run waits for what is still to be sent."""

Message = Mapping[str, Any]


class Notifier:
    """Sends messages as [notify] has it. Any thread may call it; it never waits, but for `close`, and never raises.

    Args:
        spec: the study.
        project: the folder in which the command runs.
        wall: the time, in seconds since the epoch.
    """

    def __init__(self, spec: StudySpec, *, project: Path, wall: Callable[[], float] = time.time) -> None:
        self.spec = spec
        self._project, self._wall = project, wall
        self._streak = 0
        self._best: Trial | None = None
        self._default: Trial | None = None
        self._waiting: dict[str, Callable[[], Message]] = {}
        self._problems: list[str] = []
        self._told: set[str] = set()
        self._changed = threading.Condition()
        self._is_busy = False
        self._thread: threading.Thread | None = None

    def heed(self, news: LoopEvent) -> None:
        """Send what a piece of news is worth; most are worth nothing."""
        match news:
            case Opened(best=best, default=default):
                self._best, self._default = best, default
            case Finished():
                self._heed_end_of_trial(news)
            case _:
                return

    def ended(self, news: Ended, headline: Callable[[], str]) -> None:
        """Send that the run ended; `headline` says what it found, and is asked in the thread."""
        self._send("end", lambda: {"by": news.by, "text": headline(), **self._trial(news.best)})

    def broke(self, reason: str) -> None:
        """Send that the run cannot go on."""
        self._send("end", lambda: {"by": "error", "text": reason, **self._trial(self._best)})

    def stuck(self, text: str) -> None:
        """Send that the run waits for something that a person can mend."""
        self._send("failures", lambda: {"text": text, "trial": None, "failure": "disk"})

    def problems(self) -> list[str]:
        """Return what went wrong since this was last asked; each way of sending says it once only."""
        with self._changed:
            problems, self._problems = self._problems, []
        return problems

    def close(self) -> None:
        """Wait a moment for what is still to be sent; later messages are let go."""
        until = time.monotonic() + PARTING_S
        with self._changed:
            while (self._waiting or self._is_busy) and time.monotonic() < until:
                self._changed.wait(0.1)

    # -- what is worth a message --------------------------------------------------------------------------------

    def _heed_end_of_trial(self, news: Finished) -> None:
        trial = news.trial
        if trial.is_replicate:
            return
        if trial.number == 0:
            self._default = trial
        self._streak = self._streak + 1 if trial.failure else 0
        if self._streak == STREAK and trial.failure:
            self._send("failures", lambda failure=trial.failure: self._failures(failure, trial))  # type: ignore[misc]
        if news.improved:
            if self._best is not None:
                self._send("best", lambda: {"text": self._best_text(trial), **self._trial(trial)})
            self._best = trial

    def _failures(self, failure: Failure, trial: Trial) -> Message:
        text = f"{STREAK} trials in a row failed, the last (#{trial.number}) as {failure.kind.value}: {failure.reason}"
        return {"text": text, "trial": trial.number, "failure": failure.kind.value}

    def _best_text(self, trial: Trial) -> str:
        objective = self.spec.objectives[0]
        value = trial.values[objective.metric]
        text = (
            f"new best: {objective.metric} {short_number(value)} (trial {trial.number}: {render_params(trial.params)})"
        )
        if self._default and objective.metric in self._default.values:
            gain = relative_gain(value, self._default.values[objective.metric], objective)
            text += f", {gain:+.0%} against the default while tuning" if gain is not None else ""
        return text

    def _trial(self, trial: Trial | None) -> Message:
        if trial is None:
            return {"best": None}
        return {"best": {"trial": trial.number, "params": dict(trial.params), "values": dict(trial.values)}}

    # -- sending ------------------------------------------------------------------------------------------------

    def _send(self, event: str, made: Callable[[], Message]) -> None:
        if self.spec.notify is None or event not in self.spec.notify.on:
            return
        with self._changed:
            self._waiting[event] = made
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
                made = self._waiting.pop(event)
                self._is_busy = True
            self._deliver(event, made)

    def _deliver(self, event: str, made: Callable[[], Message]) -> None:
        table = self.spec.notify
        assert table is not None  # noqa: S101  # nothing was sent without
        message = {"event": event, "study": self.spec.study.name, "at": self._wall()}
        try:
            # Values may be nan or infinite, for which JSON has no word.
            text = redact(json.dumps({**message, **json_values(made())}))
        except Exception as error:  # noqa: BLE001  # a message that cannot be written must not end the thread
            self._complain("message", f"could not be written: {type(error).__name__}: {error}")
            return
        if table.command is not None:
            self._complain("command", run_command(table.command, text, cwd=self._project))
        if table.url is not None:
            self._complain("url", post(table, text))

    def _complain(self, way: str, problem: str) -> None:
        if not problem:
            return
        with self._changed:
            if way not in self._told:
                self._told.add(way)
                self._problems.append(redact(f"[notify].{way} {problem}; further trouble with it is not shown"))


def run_command(command: str, text: str, *, cwd: Path, limit_s: float = COMMAND_S) -> str:
    """Run a command with a text on its standard input; return what went wrong, "" for nothing."""
    try:
        process = subprocess.Popen(
            shlex.split(command), cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return f"cannot start: {error}"
    try:
        _, said = process.communicate(text + "\n", timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"took longer than {limit_s:.0f} s and was ended"
    lines = said.strip().splitlines()
    return (
        f"ended with status {process.returncode}{f': {lines[-1][:200]}' if lines else ''}" if process.returncode else ""
    )


def post(table: NotifyTable, text: str, *, limit_s: float = POST_S) -> str:
    """Send a text to the address of [notify]; return what went wrong, without the address itself, "" for nothing."""
    url = table.address(os.environ)
    host = urlsplit(url).hostname or "its host"
    request = urllib.request.Request(url, text.encode(), {"content-type": "application/json"}, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310  # spec.py: http or https alone
            answer.read(1)
    except urllib.error.HTTPError as error:
        return f"was answered by {host} with status {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"cannot be reached at {host}: {reason}"
    return ""

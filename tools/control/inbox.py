"""The channel between other processes and a study's loop: a folder of small files next to its trials.

    STUDY/inbox/17322…-3fa9.json     a command that waits, renamed into place once it is complete
    STUDY/inbox/answers/17322….json  the loop's answer to it
    STUDY/inbox/loop.json            the process id and host of the running loop

Only the loop writes the history. A process that wants a change leaves a command here, whether the study runs or not.
The command stays until the loop has recorded it. The loop knows it by its file name, so one that was recorded just
before a crash is not executed twice.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunesmith.study.commands import MAX_COMMAND_CHARS, Command, command_json
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import valid_values

ANSWER_RETENTION_S = 24 * 3600.0
"""Age at which an answer is deleted."""
ANSWER_TIMEOUT_S = 10.0
"""Longest wait for the answer of a running loop, which reads its inbox 20 times a second."""

_POLL_S = 0.03


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command as it arrived: its file name, its sender, and its JSON text, which is not validated yet."""

    name: str
    by: str
    text: str


class Inbox:
    """The inbox folder of one study, for senders and for the loop.

    Args:
        folder: the study's own folder; created on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._inbox = folder / "inbox"
        self._answers = self._inbox / "answers"
        self._loop_file = self._inbox / "loop.json"

    # -- for senders --------------------------------------------------------------------------------------------

    def has_running_loop(self) -> bool:
        """Return whether a loop runs this study now."""
        try:
            owner = json.loads(self._loop_file.read_text(encoding="utf-8"))
            return _is_alive(int(owner["pid"]), str(owner["host"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def loop_started_at(self) -> float | None:
        """Return when the loop that runs this study started, in seconds since the epoch; None while none runs."""
        if not self.has_running_loop():
            return None
        try:
            return self._loop_file.stat().st_mtime
        except OSError:
            return None

    def submit(self, command: Command, *, by: str) -> str:
        """Leave a command and return its name.

        Raises:
            ProjectError: the folder cannot be written.
        """
        name = f"{time.time_ns()}-{secrets.token_hex(4)}"
        try:
            _write(self._inbox / f"{name}.json", {"by": by, "order": json.loads(command_json(command))})
        except OSError as error:
            message = f"the command cannot be handed to the study: {self._inbox}: {error.strerror}"
            raise ProjectError(message) from None
        return name

    def wait_for_answer(self, name: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> str | None:
        """Wait for the loop's answer to a command; return None after `timeout_s` seconds without one.

        Raises:
            ToolRefused: the loop refused the command; the message says why.
        """
        until = time.monotonic() + timeout_s
        path = self._answers / f"{name}.json"
        while not path.is_file():
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_S)
        answer = json.loads(path.read_text(encoding="utf-8"))
        if not answer["done"]:
            raise ToolRefused(answer["text"])
        return str(answer["text"])

    # -- for the loop -------------------------------------------------------------------------------------------

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Mark the study as running while the context is open."""
        with suppress(OSError):  # A study can run without an inbox.
            _write(self._loop_file, {"pid": os.getpid(), "host": socket.gethostname()})
            self._delete_old_answers()
        try:
            yield
        finally:
            with suppress(OSError):
                self._loop_file.unlink(missing_ok=True)

    def pending(self) -> list[PendingCommand]:
        """Return the commands that wait, oldest first. An empty inbox costs one directory listing."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._inbox) if entry.name.endswith(".json"))
        except OSError:
            return []
        return [self._read(name) for name in names if name != self._loop_file.name]

    def answer(self, command: PendingCommand, text: str, *, done: bool) -> None:
        """Write the answer to a command and remove the command from the folder."""
        with suppress(OSError):
            _write(self._answers / f"{command.name}.json", {"done": done, "text": text})
        with suppress(OSError):
            (self._inbox / f"{command.name}.json").unlink(missing_ok=True)

    def _read(self, file: str) -> PendingCommand:
        """Read one command. Any process may have written the file, so it may hold anything."""
        name = file.removesuffix(".json")
        try:
            with (self._inbox / file).open("rb") as opened:
                raw = opened.read(MAX_COMMAND_CHARS + 1)
            content = valid_values(json.loads(raw)) if len(raw) <= MAX_COMMAND_CHARS else {"order": "too long"}
            return PendingCommand(name, str(content.get("by", "?"))[:40], json.dumps(content.get("order")))
        except (OSError, ValueError, AttributeError, RecursionError):
            return PendingCommand(name, "?", "null")

    def _delete_old_answers(self) -> None:
        if self._answers.is_dir():
            for path in self._answers.iterdir():
                if time.time() - path.stat().st_mtime > ANSWER_RETENTION_S:
                    path.unlink(missing_ok=True)


class InboxControl:
    """Sends commands to a study's loop through its inbox; implements `StudyControl`.

    Args:
        inbox: the study's inbox.
        by: the sender that the history records: chat, mcp.
        check: raises ToolRefused for a command that the loop would refuse as the study is now.
    """

    def __init__(self, inbox: Inbox, *, by: str, check: Callable[[Command], None] | None = None) -> None:
        self._inbox = inbox
        self._by = by
        self._check = check

    def check(self, command: Command) -> None:
        """Refuse a command that the loop would refuse.

        Raises:
            ToolRefused: the message says why.
        """
        if self._check is not None:
            self._check(command)

    def is_running(self) -> bool:
        """Return whether a loop runs this study now."""
        return self._inbox.has_running_loop()

    def running_since(self) -> float | None:
        """Return when the loop that runs this study started, in seconds since the epoch; None while none runs."""
        return self._inbox.loop_started_at()

    def send(self, command: Command) -> str:
        """Submit a command and return the loop's answer, or that the command waits for the next run.

        Raises:
            ProjectError: the folder cannot be written.
            ToolRefused: the loop refused the command; the message says why.
        """
        if not self._inbox.has_running_loop():
            self.check(command)
        name = self._inbox.submit(command, by=self._by)
        if not self._inbox.has_running_loop():
            return "the study is not running; this will be done when it next runs"
        answer = self._inbox.wait_for_answer(name)
        return answer or "the study has not answered yet; this will be done within moments, or when it next runs"


def _write(path: Path, content: dict[str, object]) -> None:
    """Write a file atomically: readers see all of it or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(content))


def _is_alive(pid: int, host: str) -> bool:
    """Return whether a process lives. A process on another host cannot be checked and counts as alive."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

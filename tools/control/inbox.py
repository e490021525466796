"""How other processes ask the loop of a study for something: a folder of small files beside its trials.

    STUDY/inbox/17322…-3fa9.json     an order that waits, renamed into place whole
    STUDY/inbox/answers/17322….json  what the loop said to it
    STUDY/inbox/loop.json            who is at work, while one is

Only the loop writes the history; so whoever wants something of it leaves an order here, whether it runs or not. An
order stays until the loop has recorded it, and is known by its name: one that was recorded just before a crash is not
done twice.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunesmith.study.commands import LONGEST_ORDER, Order, order_text
from tunesmith.study.errors import ProjectError, ToolRefused

ANSWERS_KEPT_S = 24 * 3600.0
PATIENCE_S = 10.0
"""So long whoever asked waits for a running loop; it looks twenty times a second."""

_LOOK_S = 0.03


@dataclass(frozen=True, slots=True)
class Letter:
    """An order as it came in: the name by which it is known, who gave it, and its text, which may be anything."""

    name: str
    by: str
    text: str


class Mailbox:
    """The folder of one study, for both sides.

    Args:
        folder: the study's own folder; made when somebody writes.
    """

    def __init__(self, folder: Path) -> None:
        self._inbox = folder / "inbox"
        self._answers = self._inbox / "answers"
        self._desk = self._inbox / "loop.json"

    # -- for whoever asks ---------------------------------------------------------------------------------------

    def is_attended(self) -> bool:
        """Tell whether a loop is at work here."""
        try:
            told = json.loads(self._desk.read_text(encoding="utf-8"))
            return _is_alive(int(told["pid"]), str(told["host"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def post(self, order: Order, *, by: str) -> str:
        """Leave an order and return its name.

        Raises:
            ProjectError: the folder cannot be written.
        """
        name = f"{time.time_ns()}-{secrets.token_hex(4)}"
        try:
            _write(self._inbox / f"{name}.json", {"by": by, "order": json.loads(order_text(order))})
        except OSError as error:
            raise ProjectError(f"nothing can be asked of the study: {self._inbox}: {error.strerror}") from None
        return name

    def answer_to(self, name: str, *, patience_s: float = PATIENCE_S) -> str | None:
        """Wait for what the loop says to an order; None when it has said nothing by then.

        Raises:
            ToolRefused: the loop refused; the message says why.
        """
        until = time.monotonic() + patience_s
        path = self._answers / f"{name}.json"
        while not path.is_file():
            if time.monotonic() >= until:
                return None
            time.sleep(_LOOK_S)
        told = json.loads(path.read_text(encoding="utf-8"))
        if not told["done"]:
            raise ToolRefused(told["text"])
        return str(told["text"])

    # -- for the loop -------------------------------------------------------------------------------------------

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Tell others for as long as this lasts that somebody is at work."""
        with suppress(OSError):  # a study can do without its mailbox
            _write(self._desk, {"pid": os.getpid(), "host": socket.gethostname()})
            self._forget_old_answers()
        try:
            yield
        finally:
            with suppress(OSError):
                self._desk.unlink(missing_ok=True)

    def letters(self) -> list[Letter]:
        """Return the orders that wait, the oldest first; costs next to nothing when there is none."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._inbox) if entry.name.endswith(".json"))
        except OSError:
            return []
        return [self._letter(name) for name in names if name != self._desk.name]

    def answer(self, letter: Letter, text: str, *, done: bool) -> None:
        """Say what became of an order, and take it out of the folder."""
        with suppress(OSError):
            _write(self._answers / f"{letter.name}.json", {"done": done, "text": text})
        with suppress(OSError):
            (self._inbox / f"{letter.name}.json").unlink(missing_ok=True)

    def _letter(self, file: str) -> Letter:
        """Read one order. Somebody else may have written it, so it may be anything."""
        name = file.removesuffix(".json")
        try:
            with (self._inbox / file).open("rb") as opened:
                raw = opened.read(LONGEST_ORDER + 1)
            told = json.loads(raw) if len(raw) <= LONGEST_ORDER else {"order": "too long"}
            return Letter(name, str(told.get("by", "?"))[:40], json.dumps(told.get("order")))
        except (OSError, ValueError, AttributeError, RecursionError):
            return Letter(name, "?", "null")

    def _forget_old_answers(self) -> None:
        if self._answers.is_dir():
            for path in self._answers.iterdir():
                if time.time() - path.stat().st_mtime > ANSWERS_KEPT_S:
                    path.unlink(missing_ok=True)


class MailboxControl:
    """Gives orders to a study's loop through its mailbox.

    Args:
        mailbox: the study's.
        by: who asks, for the record: chat, mcp.
    """

    def __init__(self, mailbox: Mailbox, *, by: str) -> None:
        self._mailbox = mailbox
        self._by = by

    def is_running(self) -> bool:
        """Tell whether a loop is at work on the study."""
        return self._mailbox.is_attended()

    def give(self, order: Order) -> str:
        """Hand over an order and return what became of it; see `StudyControl`."""
        name = self._mailbox.post(order, by=self._by)
        if not self._mailbox.is_attended():
            return "the study is not running; this will be done when it next runs"
        answer = self._mailbox.answer_to(name)
        return answer or "the study has not answered yet; this will be done within moments, or when it next runs"


def _write(path: Path, content: dict[str, object]) -> None:
    """Write a file that others see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    half.write_text(json.dumps(content), encoding="utf-8")
    half.replace(path)


def _is_alive(pid: int, host: str) -> bool:
    """Tell whether a process lives; of another machine's one can only believe it."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

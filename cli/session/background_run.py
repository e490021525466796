"""Runs of a study in a process of their own, started from chat or MCP; they outlive whoever started them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.inbox import Mailbox

PATIENCE_S = 20.0


class BackgroundRuns:
    """Starts `tunesmith run` for one study.

    What it prints goes to run.jsonl (an event a line) and run.err in the study's folder. It stands in a session of its
    own, so that Ctrl-C in a chat ends an answer and not the study.

    Args:
        study: the study file.
        history: the history file.
        folder: the study's own folder.
    """

    def __init__(self, study: Path, history: Path, folder: Path) -> None:
        self._study = study
        self._history = history
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start or resume the study and return a line about it.

        Raises:
            ToolRefused: it could not start; the message is that of the command.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        words = ["-m", "tunesmith.cli.main", "run", str(self._study), "--history", str(self._history), "--json"]
        errors = self._folder / "run.err"
        with (self._folder / "run.jsonl").open("ab") as out, errors.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self._study.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        mailbox = Mailbox(self._folder)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            status = self._process.poll()
            if status not in (None, 0, 1):
                said = errors.read_text(encoding="utf-8", errors="replace").strip()
                raise ToolRefused(said or f"the run ended at once, with exit status {status}")
            if status is not None:
                return "the study ran to its end"
            if mailbox.is_attended():
                break
            time.sleep(0.05)
        return f"running in the background (process {self._process.pid}); it goes on when this ends"

    def is_mine(self) -> bool:
        """Tell whether a run that was started here is still at work."""
        return self._process is not None and self._process.poll() is None
